package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/fsm"
	"sluice/test/rig"
)

// TestRetentionPassesTheCheckpoint: the source moved to another leader and
// trimmed its log behind the checkpoint, but not behind what stands at the
// target. Nothing is lost, and nothing may say so.
func TestRetentionPassesTheCheckpoint(t *testing.T) {
	src := rig.Kfake(t, "source", 2)
	_, dst := rig.Embedded(t)
	p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	r1, n1 := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	p.Produce(t, "orders", 0, 0, 50)
	p.Copied(t, "orders", 0, 50, 0)
	rig.Until(t, 30*time.Second, "the checkpoint", func() bool { n1.Checkpoint(t, r1); return first(p).Copy.Progress.Source == 50 })
	p.Produce(t, "orders", 0, 50, 100)
	if err := src.MoveTopicPartition("orders", 0, 1-src.LeaderFor("orders", 0)); err != nil {
		t.Fatal(err)
	}
	for i := 100; i < 120; i++ { // single batches: nothing begins before the trimmed head
		p.Produce(t, "orders", 0, i, i+1)
	}
	p.Copied(t, "orders", 0, 120, 0)
	r1.Close()
	var to kadm.Offsets
	to.Add(kadm.Offset{Topic: "orders", At: 110})
	if _, err := kadm.NewClient(p.Source).DeleteRecords(context.Background(), to); err != nil {
		t.Fatal(err)
	}
	r2, _ := p.Runner(t, "n2", nil)
	p.Own(t, r2, "n2")
	p.Produce(t, "orders", 0, 120, 130)
	rig.Until(t, 30*time.Second, "it goes on or stops", func() bool { return first(p).Copy.Stop != nil || p.End(t, "orders", 0) == 130 })
	if st := first(p).Copy.Stop; st != nil {
		t.Fatalf("stopped by %+v", st)
	}
	p.Copied(t, "orders", 0, 130, 0)
}

// first is the first copy task.
func first(p *rig.Pair) *fsm.Task {
	for t := range p.View().Tasks {
		if t.Kind == fsm.KindCopy {
			return t
		}
	}
	return nil
}
