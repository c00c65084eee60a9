package pipe

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/load"
)

// BenchmarkCopy is the way of a closed batch through a pipe: Take, Next, Pop
// and Acknowledged, with Window batches in flight. One operation is one batch.
func BenchmarkCopy(b *testing.B) {
	for _, c := range []struct {
		name          string
		size, batches int // bytes of a batch, batches of an answer
	}{{"400B", 400, 1}, {"400Bx1000", 400, 1000}, {"16KBx16", 16 << 10, 16}, {"256KBx4", 256 << 10, 4}} {
		b.Run(c.name, func(b *testing.B) {
			l := newLoop(c.size, c.batches)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				l.batch()
			}
		})
	}
}

// TestNothingIsAllocatedPerBatch: a closed batch costs no memory beyond that of
// its bytes, however many wait.
func TestNothingIsAllocatedPerBatch(t *testing.T) {
	for _, batches := range []int{1, 100} {
		l := newLoop(400, batches)
		for range 1000 { // until its queues are as large as they get
			l.batch()
		}
		if got := testing.AllocsPerRun(1000, l.batch); got > 0 {
			t.Errorf("%d batches an answer: %v allocations a batch", batches, got)
		}
	}
}

// loop is one pipe whose source never runs dry and whose target answers as
// soon as the window is full.
type loop struct {
	memory  counted
	pipe    *Pipe
	codec   *rewrite.Rebuilder
	answer  []byte         // of a fetch
	batches []record.Batch // in answer
	records int32          // of a batch
	next    int64          // source offset
	acked   int64          // target offset
	now     time.Time
	flying  int
}

func newLoop(size, batches int) *loop {
	now := time.UnixMilli(1_000_000_000_000)
	value := make([]byte, min(size-200, 1000))
	var recs []*kgo.Record
	for n := 200; n < size; n += len(value) {
		recs = append(recs, &kgo.Record{Value: value, Timestamp: now})
	}
	l := &loop{codec: rewrite.NewRebuilder(), records: int32(len(recs)), now: now}
	one := load.Batch(recs)
	for range batches {
		l.answer = append(l.answer, one...)
	}
	for i := range batches {
		l.batches = append(l.batches, record.Batch(l.answer[i*len(one):(i+1)*len(one)]))
	}
	l.pipe = New(Start{
		Mapping:  fsm.Mapping{Phase: fsm.PhaseDense, ProducerID: 7, Segments: []fsm.Segment{{}}},
		Position: recovery.Position{LastTime: now.UnixMilli()}, Expiration: 24 * 3600_000, Guarded: true, Seen: now,
	})
	return l
}

// batch sends one batch, and takes answers where there are none or no room.
func (l *loop) batch() {
	if l.pipe.NextSize() == 0 {
		l.fetch()
	}
	for l.pipe.Next(l.now, l.now.UnixMilli(), l.leased) != Ready {
		l.pipe.Acknowledged(l.acked, l.now)
		l.acked, l.flying = l.acked+int64(l.records), l.flying-1
		if l.flying < 0 {
			panic(fmt.Sprintf("pipe ended: %+v", l.pipe.Result()))
		}
	}
	l.pipe.Pop(l.now)
	l.flying++
}

func (l *loop) fetch() {
	for _, b := range l.batches {
		b.SetBaseOffset(l.next)
		l.next += int64(l.records)
	}
	l.pipe.Coming(len(l.answer))
	l.pipe.Take(&Arrival{Records: l.answer, Stable: l.next, High: l.next, Memory: &l.memory}, l.codec)
}

func (l *loop) leased() bool { return true }
