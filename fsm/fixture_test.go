package fsm

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// driver applies commands one after the other.
type driver struct {
	t     testing.TB
	s     *State
	index uint64
}

func newDriver(t testing.TB) *driver { return &driver{t: t, s: NewState()} }

// do applies a command and returns the answer.
func (d *driver) do(c Command) Result {
	d.t.Helper()
	b, err := Encode(c)
	if err != nil {
		d.t.Fatal(err)
	}
	d.index++
	r, err := d.s.Apply(d.index, b)
	if err != nil {
		d.t.Fatal(err)
	}
	if r.Index != d.index || d.s.View().Index != d.index {
		d.t.Fatalf("%T: index %d, view at %d, want %d", c, r.Index, d.s.View().Index, d.index)
	}
	return r
}

// must applies commands that may not be refused.
func (d *driver) must(cs ...Command) {
	d.t.Helper()
	for _, c := range cs {
		if r := d.do(c); r.Refused != RefusedNot {
			d.t.Fatalf("%T refused: %s: %s", c, r.Refused, r.Message)
		}
	}
}

// Ids of the fixture.
const (
	linkL                  = LinkID(1)
	taskSync, task0, task1 = TaskID(1), TaskID(2), TaskID(3)
)

var mapping1 = Mapping{
	Version: 1, Generation: 1, Phase: PhaseDense, SourceTopicID: TopicID{1}, TargetTopicID: TopicID{2},
	Segments: []Segment{{100, 40}}, ProducerID: 7, SequenceZero: 40,
}

// fixture has nodes a and b (named n1 and n2), Kafka clusters us, eu and
// spare, and the link l from us to eu: its sync task and orders/0 belong to a
// at turn 1, orders/0 with a mapping; orders/1 belongs to nobody.
func fixture(t testing.TB) *driver {
	d := newDriver(t)
	d.must(
		&ClusterInit{ClusterID: "c1", At: 1},
		&NodePut{Node: Node{ID: "a", Name: "n1", Datacenter: "east", Addr: "n1:7400", Feature: 1}, At: 2},
		&NodePut{Node: Node{ID: "b", Name: "n2", Datacenter: "west", Addr: "n2:7400", Feature: 1}, At: 3},
		&Objects{
			Kafka: []KafkaCluster{{Name: "us", Bootstrap: []string{"us:9092"}}, {Name: "eu", Bootstrap: []string{"eu:9092"}, ClusterID: "pinned"}, {Name: "spare"}},
			Links: []LinkPut{{Spec: linkSpec("l"), Starts: []StartAt{{Topic: "orders", Offsets: []int64{100, -1}}}}},
			At:    4,
		},
		&StreamsAdd{Link: linkL, Streams: []StreamKey{{"orders", 0, "orders"}, {"orders", 1, "orders"}}, At: 5},
		&Assign{Items: []Assignment{{Task: taskSync, To: "a"}, {Task: task0, To: "a"}}, At: 6},
		&MappingPut{Task: task0, Turn: 1, Mapping: mapping1, Progress: Progress{Source: 100, Target: 40, SourceEpoch: -1, TargetEpoch: -1}, At: 7},
	)
	return d
}

func linkSpec(name string) LinkSpec {
	return LinkSpec{
		Name: name, Source: "us", Target: "eu", Include: []string{"orders", "pay-*"}, Start: StartEarliest, Offsets: OffsetsAuto,
		OnLoss: OnLossHalt, Copies: CopiesSkipFromTarget, Writers: WritersOurs, State: StateRunning,
	}
}

// translated gives orders/0 a mapping of the phase translated.
func (d *driver) translated() {
	m := mapping1
	m.Version, m.Phase = 2, PhaseTranslated
	d.must(&MappingPut{Task: task0, Turn: 1, Mapping: m, At: 8})
}

// stopped stops orders/0.
func (d *driver) stopped() {
	d.must(&TaskStop{Task: task0, Turn: 1, Stop: Stop{Code: CodePositionLost, From: 100, To: 200, Message: "gone", At: 8}})
}

// snapshot gives the bytes of a View: all of its facts, in their only order.
func snapshot(t testing.TB, v *View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSnapshot(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hash is equal for equal Views.
func hash(t testing.TB, v *View) [32]byte { return sha256.Sum256(snapshot(t, v)) }

// facts is the hash of what is left of a View without its index and without
// how often and when events were seen.
func facts(t testing.TB, v *View) [32]byte {
	bare := *v
	bare.Index, bare.nextEvent, bare.Events = 0, 0, nil
	for _, r := range v.Events {
		for _, ev := range r.All() {
			e := *ev
			e.Count, e.Last, e.First, e.Seq = 0, 0, 0, 0
			bare.Events = append(bare.Events, LinkEvents{Link: r.Link, Events: []*Event{&e}})
		}
	}
	return hash(t, &bare)
}

// reread gives the state that a node has after it restored a snapshot.
func reread(t testing.TB, v *View) *State {
	t.Helper()
	s, err := ReadSnapshot(bytes.NewReader(snapshot(t, v)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
