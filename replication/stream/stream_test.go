package stream_test

import (
	"testing"

	"sluice/fsm"
	"sluice/test/rig"
)

func embedded(t *testing.T, spec fsm.LinkSpec, topics map[string]int32, nodes ...string) *rig.Pair {
	t.Helper()
	src, dst := rig.Embedded(t)
	return rig.NewPair(t, src, dst, spec, topics, nodes...)
}

func TestCopiesIdentically(t *testing.T) {
	p := embedded(t, fsm.LinkSpec{}, map[string]int32{"orders": 3, "pay": 1}, "n1")
	p.Produce(t, "orders", 0, 0, 100)
	p.Produce(t, "orders", 2, 0, 10)
	r, n := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	p.Produce(t, "orders", 0, 100, 250)
	p.Produce(t, "pay", 0, 0, 50)
	p.Copied(t, "orders", 0, 250, 0)
	p.Copied(t, "orders", 2, 10, 0)
	p.Copied(t, "pay", 0, 50, 0)
	n.Checkpoint(t, r)
	for task := range p.View().Tasks {
		if task.Kind == fsm.KindCopy && task.Copy.Stream.Topic == "orders" && task.Copy.Stream.Partition == 0 && task.Copy.Progress.Source != 250 {
			t.Errorf("progress %+v", task.Copy.Progress)
		}
	}
}

func TestTakeoverWhileThePredecessorGoesOn(t *testing.T) {
	p := embedded(t, fsm.LinkSpec{}, map[string]int32{"orders": 2}, "n1", "n2")
	p.Produce(t, "orders", 0, 0, 100)
	r1, n1 := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	p.Copied(t, "orders", 0, 100, 0)
	n1.Cut(true) // it goes on believing that it owns the streams
	r2, _ := p.Runner(t, "n2", nil)
	p.Own(t, r2, "n2")
	for i := 100; i < 400; i += 10 {
		p.Produce(t, "orders", 0, i, i+10)
	}
	p.Copied(t, "orders", 0, 400, 0)
}
