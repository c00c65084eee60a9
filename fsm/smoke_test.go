package fsm

import (
	"bytes"
	"testing"
)

func apply(t *testing.T, s *State, index uint64, c Command) Result {
	t.Helper()
	b, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Apply(index, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLinkLife(t *testing.T) {
	s := NewState()
	i := uint64(0)
	do := func(c Command) Result { i++; return apply(t, s, i, c) }
	do(&NodePut{Node: Node{ID: "a", Name: "n1"}})
	do(&NodePut{Node: Node{ID: "b", Name: "n2"}})
	do(&Objects{Kafka: []KafkaCluster{{Name: "us"}, {Name: "eu"}}, Links: []LinkPut{{Spec: LinkSpec{Name: "l", Source: "us", Target: "eu", Include: []string{"*"}}}}})
	do(&StreamsAdd{Link: 1, Streams: []StreamKey{{"orders", 0, "orders"}, {"orders", 1, "orders"}, {"orders", 0, "orders"}}})
	if got := s.View().TaskCount(); got != 3 {
		t.Fatalf("%d tasks, want sync and two streams", got)
	}
	do(&Assign{Items: []Assignment{{Task: 2, To: "a"}}})
	if task := s.View().Task(2); task.Owner != "a" || task.Turn != 1 {
		t.Fatalf("not assigned: %+v", task)
	}
	m := Mapping{Version: 1, Generation: 1, Phase: PhaseDense, Segments: []Segment{{0, 0}}, ProducerID: 7}
	if r := do(&MappingPut{Task: 2, Turn: 0, Mapping: m}); r.Refused != RefusedTurn {
		t.Fatalf("a mapping of an old turn: %+v", r)
	}
	if r := do(&MappingPut{Task: 2, Turn: 1, Mapping: m}); r.Refused != "" {
		t.Fatal(r)
	}
	do(&ProgressBatch{Node: "a", At: 5, Items: []ProgressItem{{Task: 2, Turn: 1, Version: 1, Progress: Progress{Source: 10, Target: 10, At: 6}}}})
	if p := s.View().Task(2).Progress; p.Source != 10 || p.At != 6 {
		t.Fatalf("progress %+v", p)
	}
	var b1, b2 bytes.Buffer
	if err := WriteSnapshot(&b1, s.View()); err != nil {
		t.Fatal(err)
	}
	s2, err := ReadSnapshot(bytes.NewReader(b1.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteSnapshot(&b2, s2.View()); err != nil || !bytes.Equal(b1.Bytes(), b2.Bytes()) {
		t.Fatal("a snapshot read and written again differs", err)
	}
	do(&Objects{DeleteLinks: []string{"l"}})
	do(&LinkPurge{Link: 1})
	if got := s.View().TaskCount(); got != 0 {
		t.Fatalf("%d tasks after the purge", got)
	}
}
