package replication_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/rig"
)

// TestSuccessorTellsTheSourceEpoch: a successor that goes on beyond the
// checkpoint tells the source which leader epoch the record before has, so
// that a source which lost that record says so.
func TestSuccessorTellsTheSourceEpoch(t *testing.T) {
	src, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("source"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(src.Close)
	_, dst := rig.Embedded(t)
	p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{}, map[string]int32{"orders": 1}, "n1", "n2")
	r1, n1 := p.Runner(t, "n1", nil)
	p.Own(t, r1, "n1")
	p.Produce(t, "orders", 0, 0, 5)
	p.Copied(t, "orders", 0, 5, 0)
	n1.Checkpoint(t, r1)
	p.Produce(t, "orders", 0, 5, 10)
	p.Copied(t, "orders", 0, 10, 0)
	r1.Close()
	var asked atomic.Bool
	var epoch atomic.Int32
	src.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		src.KeepControl()
		for _, topic := range req.(*kmsg.FetchRequest).Topics {
			for _, part := range topic.Partitions {
				if part.FetchOffset == 10 && asked.CompareAndSwap(false, true) {
					epoch.Store(part.LastFetchedEpoch)
				}
			}
		}
		return nil, nil, false
	})
	r2, _ := p.Runner(t, "n2", nil)
	p.Own(t, r2, "n2")
	rig.Until(t, 30*time.Second, "the successor's first fetch", asked.Load)
	if epoch.Load() < 0 {
		t.Errorf("last fetched epoch %d", epoch.Load())
	}
	if at := first(p).Progress.Source; at != 5 {
		t.Fatalf("the checkpoint is at %d: nothing was derived", at)
	}
}
