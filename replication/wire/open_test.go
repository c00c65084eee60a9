package wire

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// letters are bytes that compress to about a quarter, again and again the same.
func letters(n int) []byte {
	r := rand.NewChaCha8([32]byte{})
	out := make([]byte, n)
	for i := range out {
		out[i] = "acgt"[r.Uint64()%4]
	}
	return out
}

// highest is the largest heap, without what is garbage, while f runs.
func highest(f func()) (most uint64) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var m runtime.MemStats
		for {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	f()
	close(done)
	wg.Wait()
	return most
}

// resumed is a partition whose pipe gets batches that have to be opened.
func resumed(t *testing.T, c *Conns, most int) *Partition {
	now := time.Now()
	p := joined(t, c, "orders", 0)
	p.pipe = pipe.New(pipe.Start{
		Mapping: fsm.Mapping{Phase: fsm.PhaseDense, Segments: []fsm.Segment{{}}}, Position: recovery.Position{LastTime: now.UnixMilli()},
		Expiration: time.Hour.Milliseconds(), Guarded: true, Seen: now, MaxOpened: most,
	})
	return p
}

// stamped is a batch that has to be opened: its broker has stamped it.
func stamped(t *testing.T, value []byte) []byte {
	now := time.Now().UnixMilli()
	return oracle.Source{
		Producer: -1, Attributes: record.CodecZstd | record.AttrLogAppendTime, MaxStamp: now,
		Entries: []oracle.Entry{{Timestamp: now, Value: value}},
	}.Encode(t)
}

// TestWaitsToOpenWithoutTheLock: who waits for memory lets others see the
// partition, and what came before is sent meanwhile.
func TestWaitsToOpenWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(DefaultConfig(), NewBudget(32<<20), func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true })
		p := resumed(t, c, 8<<20)
		if err := c.openers.share.Reserve(t.Context(), 32<<20); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			p.fetched(&kafka.FetchedPartition{Records: stamped(t, letters(1000)), Diverging: kafka.EpochEnd{Epoch: -1}}, nil)
			close(done)
		}()
		synctest.Wait()
		if n := p.pipe.NextSize(); n > 0 {
			t.Errorf("a batch of %d bytes waits that needed memory", n)
		}
		p.Status()
		c.Close()
		<-done
		c.openers.share.Release(32 << 20)
		if used, _ := c.budget.Used(); used != 0 {
			t.Errorf("%d bytes are used by nobody", used)
		}
	})
}

// TestOpeningStaysInTheBudget: however many partitions carry large batches that
// have to be opened, what that takes stands in the node's memory, and is given
// back; a single batch may be opened beyond it.
func TestOpeningStaysInTheBudget(t *testing.T) {
	const limit, partitions, size = 32 << 20, 32, 3 << 20
	batch := stamped(t, letters(size))
	budget := NewBudget(limit)
	c := New(DefaultConfig(), budget, func(fsm.TaskID, uint64) (time.Duration, bool) { return 0, true })
	defer c.Close()
	buffers := kafka.NewBuffers(0)
	all := make([]*Partition, partitions)
	for i := range all {
		all[i] = resumed(t, c, limit/4)
	}
	c.Share("target").Join()
	before := highest(func() {})
	most := highest(func() {
		var wg sync.WaitGroup
		for _, p := range all {
			wg.Go(func() {
				buf, err := buffers.Get(context.Background(), p.Meter.Share, len(batch))
				if err != nil {
					t.Error(err)
					return
				}
				defer buf.Release()
				copy(buf.Bytes(), batch)
				p.fetched(&kafka.FetchedPartition{Records: buf.Bytes(), Diverging: kafka.EpochEnd{Epoch: -1}}, buf)
				b := p.pipe.Pop(time.Now())
				if h, err := record.ParseHeader(b); err != nil || h.Attributes&record.AttrLogAppendTime != 0 || h.Count != 1 {
					t.Errorf("%+v, %v", h, err)
				}
				p.pipe.Acknowledged(0, time.Now())
			})
		}
		wg.Wait()
	})
	t.Logf("batches of %d bytes: %d MiB at most, %d before", len(batch), most>>20, before>>20)
	single := uint64(rewrite.Memory(rewrite.FirstRoom(batch, limit)))
	if garbage := uint64(limit / 2); most > before+limit+single+garbage { // made while it was collected
		t.Errorf("the heap grew to %d MiB, by more than the budget's %d and the %d of one batch", most>>20, limit>>20, single>>20)
	}
	if used, _ := budget.Used(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}
