package data

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestLostPartitionsAreLeftOut: what lies on dead brokers alone can be read
// nowhere, so nobody could send it; a living copy, on a broker to be emptied
// too, is enough.
func TestLostPartitionsAreLeftOut(t *testing.T) {
	m := &Model{Brokers: []Broker{{ID: 0, State: Dead}, {ID: 1, State: Dead}, {ID: 2}, {ID: 3}, {ID: 4, State: Draining}}}
	m.Partitions = []Partition{
		{Topic: "drained", Replicas: []int32{0, 4}, Size: 5},
		{Topic: "lost", Replicas: []int32{1, 0}, Size: 5},
		{Topic: "safe", Replicas: []int32{0, 2}, Size: 5},
	}
	p := planAndCheck(t, m, DefaultOptions())
	var moved []string
	for _, c := range p.Changes {
		moved = append(moved, c.Topic)
	}
	if !slices.Equal(moved, []string{"drained", "safe"}) || p.Moves != 3 || p.Bytes != 15 {
		t.Errorf("%d moves of %v, %d bytes", p.Moves, moved, p.Bytes)
	}
	want := []Unmet{{Code: CodeNoSource, Hard: true, Brokers: []int32{0, 1}, Partitions: []string{"lost-0"},
		What: "1 partition left out: no living copy to read from, all are on dead brokers",
		Help: "bring one of these brokers back: until then nobody can send the records, and if the brokers are gone for good, the records are lost"}}
	if !reflect.DeepEqual(p.Unmet, want) {
		t.Errorf("unmet: %+v", p.Unmet)
	}
}

// TestLostPartitionsCountNowhere: the rest is planned as if they were not
// there.
func TestLostPartitionsCountNowhere(t *testing.T) {
	m, o := Generate(Shape{Brokers: 9, Racks: 3, Partitions: 400, RF: []int{1, 2, 3}, Dead: 2, Skew: 0.2}, 5), DefaultOptions()
	dead := func(id int32) bool { return m.Brokers[id].State == Dead }
	rest := &Model{Brokers: m.Brokers}
	for _, p := range m.Partitions {
		if slices.ContainsFunc(p.Replicas, func(id int32) bool { return !dead(id) }) {
			rest.Partitions = append(rest.Partitions, p)
		}
	}
	if len(rest.Partitions) == len(m.Partitions) {
		t.Fatal("no partition is lost")
	}
	with, without := planAndCheck(t, m, o), planAndCheck(t, rest, o)
	if len(with.Changes) == 0 || len(with.Changes) != len(without.Changes) || with.Bytes != without.Bytes || with.Moves != without.Moves {
		t.Fatalf("%d changes and %d bytes with lost partitions, %d and %d without", len(with.Changes), with.Bytes, len(without.Changes), without.Bytes)
	}
	for i := range with.Changes {
		a, b := &with.Changes[i], &without.Changes[i]
		if a.Topic != b.Topic || a.ID != b.ID || !slices.Equal(a.To, b.To) {
			t.Errorf("%s-%d goes to %v with lost partitions, %s-%d to %v without", a.Topic, a.ID, a.To, b.Topic, b.ID, b.To)
		}
	}
	for b := range with.Brokers {
		if !dead(with.Brokers[b].ID) && (with.Brokers[b].After != without.Brokers[b].After || with.Brokers[b].Share != without.Brokers[b].Share) {
			t.Errorf("broker %d: %+v with lost partitions, %+v without", b, with.Brokers[b], without.Brokers[b])
		}
	}
}

// TestCheckRefusesMovesWithoutSource: what nobody can send is among no moves,
// whoever made the proposal, and is said.
func TestCheckRefusesMovesWithoutSource(t *testing.T) {
	m := &Model{Brokers: []Broker{{ID: 0, State: Dead}, {ID: 1}, {ID: 2, State: Dead}}}
	m.Partitions = []Partition{{Topic: "t", Replicas: []int32{0, 2}, Size: 5}}
	p := &Proposal{Changes: []Change{{Topic: "t", From: []int32{0, 2}, To: []int32{1, 2}}}, Bytes: 5,
		Stages: []Stage{{Bytes: 5, Steps: []Step{{To: []int32{1, 2}}}}}}
	if err := Check(m, DefaultOptions(), p); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "no living copy to read from") {
		t.Errorf("got %v", err)
	}
	good := planAndCheck(t, m, DefaultOptions())
	good.Unmet = []Unmet{{Code: CodeNoPlace, Hard: true}}
	if err := Check(m, DefaultOptions(), good); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), CodeNoSource) {
		t.Errorf("not said: %v", err)
	}
}

// TestLivingCopySends: where the leader is dead, the first living copy sends,
// and the time counts there.
func TestLivingCopySends(t *testing.T) {
	m := &Model{Brokers: []Broker{{ID: 0, State: Dead}, {ID: 1}, {ID: 2}, {ID: 3}}}
	m.Partitions = []Partition{{Topic: "a", Replicas: []int32{0, 1}, Size: 10}, {Topic: "b", Replicas: []int32{1}, Size: 10}}
	p := &Proposal{Changes: []Change{{Partition: 0, From: []int32{0, 1}, To: []int32{2, 1}}, {Partition: 1, From: []int32{1}, To: []int32{3}}},
		Stages: []Stage{{Steps: []Step{{Change: 0, To: []int32{2, 1}}, {Change: 1, To: []int32{3}}}}}}
	if s := estimate(m, newBrokerIndex(m.Brokers), p, 1); s != 20 {
		t.Errorf("broker 1 sends 20 bytes at 1 a second in %v s", s)
	}
}
