package data

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// rackModel is brokers with these racks, from id 1 on.
func rackModel(racks ...string) *Model {
	m := &Model{}
	for i, rack := range racks {
		m.Brokers = append(m.Brokers, Broker{ID: int32(i + 1), Rack: rack})
	}
	return m
}

// TestUnnamedRacksAreTold: Kafka spreads replicas over racks only if every
// broker has one.
func TestUnnamedRacksAreTold(t *testing.T) {
	dead := rackModel("a", "", "b")
	dead.Brokers[1].State = Dead
	for _, c := range []struct {
		name    string
		m       *Model
		brokers []int32
		what    string
	}{
		{"one of three", rackModel("a", "", "b"), []int32{2}, "1 broker has no rack, while 2 others have one"},
		{"two of three", rackModel("", "a", ""), []int32{1, 3}, "2 brokers have no rack, while 1 other has one"},
		{"all named", rackModel("a", "b"), nil, ""},
		{"none named", rackModel("", ""), nil, ""},
		{"a dead one does not matter", dead, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planAndCheck(t, c.m, DefaultOptions())
			if c.brokers == nil {
				if len(p.Findings) > 0 {
					t.Errorf("found %+v", p.Findings)
				}
				return
			}
			if len(p.Findings) != 1 || p.Findings[0].Code != CodeUnnamedRack || p.Findings[0].What != c.what || !reflect.DeepEqual(p.Findings[0].Brokers, c.brokers) {
				t.Errorf("found %+v", p.Findings)
			}
		})
	}
}

// TestUnevenReplicationIsTold: partitions of one topic with different counts of
// replicas are named, those that most of the topic are not like.
func TestUnevenReplicationIsTold(t *testing.T) {
	for _, c := range []struct {
		name     string
		replicas string // of partition 0, 1, ...
		what     string
		names    []string
	}{
		{"three of nine", "333343443", "topic t: partitions 4, 6, 7 have 4 replicas; the other 6 have 3", []string{"t-4", "t-6", "t-7"}},
		{"one of two", "12", "topic t: partition 1 has 2 replicas; the other one has 1", []string{"t-1"}},
		{"one with fewer", "2212", "topic t: partition 2 has 1 replica; the other 3 have 2", []string{"t-2"}},
		{"some with fewer, some with more", "33243", "topic t: partition 2 has 2 replicas, partition 3 has 4 replicas; the other 3 have 3", []string{"t-2", "t-3"}},
		{"as many of one kind as of the other", "3434", "topic t: partitions 1, 3 have 4 replicas; the other 2 have 3", []string{"t-1", "t-3"}},
		{"twelve", strings.Repeat("2", 13) + strings.Repeat("3", 12), "topic t: partitions 13, 14, 15, 16, 17 and 7 more have 3 replicas; the other 13 have 2",
			[]string{"t-13", "t-14", "t-15", "t-16", "t-17", "t-18", "t-19", "t-20", "t-21", "t-22"}},
		{"all alike", "3333", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := rackModel("", "", "", "")
			for i, n := range c.replicas {
				m.Partitions = append(m.Partitions, Partition{Topic: "t", ID: int32(i), Replicas: []int32{1, 2, 3, 4}[:n-'0']})
			}
			p := planAndCheck(t, m, DefaultOptions())
			if c.names == nil {
				if len(p.Findings) > 0 {
					t.Errorf("found %+v", p.Findings)
				}
				return
			}
			if len(p.Findings) != 1 || p.Findings[0].Code != CodeUnevenReplication || p.Findings[0].Topic != "t" ||
				p.Findings[0].What != c.what || !reflect.DeepEqual(p.Findings[0].Partitions, c.names) || !strings.HasPrefix(p.Findings[0].Help, "perhaps a reassignment is running") {
				t.Errorf("found %+v", p.Findings)
			}
		})
	}
}

// TestUnevenReplicationIsToldOfTenTopics, and of the others their number; that
// of excluded ones is nobody's wish to hear.
func TestUnevenReplicationIsToldOfTenTopics(t *testing.T) {
	m := rackModel("", "")
	for i := range 14 {
		hold := Free
		if i == 3 {
			hold = Excluded
		}
		topic := fmt.Sprintf("t%02d", i)
		m.Partitions = append(m.Partitions, Partition{Topic: topic, Replicas: []int32{1}, Hold: hold}, Partition{Topic: topic, ID: 1, Replicas: []int32{2, 1}, Hold: hold})
	}
	p := planAndCheck(t, m, DefaultOptions())
	if len(p.Findings) != 11 || p.Findings[3].Topic != "t04" || p.Findings[9].Topic != "t10" || p.Findings[10].What != "3 more topics whose partitions have different numbers of replicas" {
		t.Errorf("found %+v", p.Findings)
	}
}

// TestCheckKnowsTheFindings: none is left out, none invented.
func TestCheckKnowsTheFindings(t *testing.T) {
	m := rackModel("a", "", "b")
	p := planAndCheck(t, m, DefaultOptions())
	p.Findings = []Finding{}
	if err := Check(m, DefaultOptions(), p); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "what is found") {
		t.Errorf("got %v", err)
	}
}
