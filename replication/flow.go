package replication

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/position"
	"sluice/replication/rewrite"
)

// window is how many batches of a stream may be in flight: the broker
// remembers the last five of a producer id, so a sixth could not be told from
// a lost one.
const window = 5

// flowBytes bounds what waits of one stream; beyond it the lane leaves the
// stream out until half of it is sent.
const flowBytes = 4 << 20

// item is one batch on its way.
type item struct {
	buf      *kafka.Buf // released when done; nil: the batch has memory of its own
	batch    record.Batch
	from     int64 // first source offset
	next     int64 // source offset after it
	epoch    int32 // source leader epoch
	target   int64 // base offset to expect
	count    int32
	maxTime  int64         // ms, of its records
	segments []fsm.Segment // that begin in it (translated)
	taken    time.Time     // when it arrived, for latency
	sent     time.Time     // when it was handed to the outlet
}

func (it *item) release() {
	if it.buf != nil {
		it.buf.Release()
		it.buf = nil
	}
}

// flow is the data of one stream between its lane and its outlet, from one
// derived position to the first trouble. The lane's and the outlet's
// goroutines call it; the stream only waits for its end.
type flow struct {
	s        *Stream
	m        fsm.Mapping // does not change while the flow lives
	skip     map[int64]bool
	tgtEpoch int32
	limit    *limiter
	lane     *lane
	guarded  *outlet
	alone    *outlet       // the unguarded one
	quiet    chan struct{} // closed when ended and nothing is in flight
	look     chan struct{} // asks the stream to look at the target

	mu sync.Mutex
	taken
	sending
	acknowledged
	ending
}

// taken is what a flow has got from the source.
type taken struct {
	cursor rewrite.Cursor
	epoch  int32    // source leader epoch of the last batch before the cursor
	coming int      // bytes that the lane has fetched and not handed over yet
	paused bool     // the lane left it out for being full
	after  *trouble // the source has no more: ends the flow once all before it is acknowledged
	high   int64    // source's last stable offset as last seen
	held   heldBack
}

// sending is what of it goes to the target, and by which rules.
type sending struct {
	out        *outlet // where it sends now
	ready      bool    // stands in out's list
	queue      []item
	bytes      int // of queue
	inflight   []item
	window     int
	expiration int64     // ms, of idle producer ids at the target
	sentTime   int64     // ms, max timestamp of the last batch sent: the predecessor
	seen       time.Time // when the target was last known to end where we do
	looking    bool      // the stream has been asked to look whether it still does
	wary       bool      // a request of an earlier life may have been appended since the position was derived
}

// acknowledged is what the target has.
type acknowledged struct {
	acked    fsm.Progress  // up to the last acknowledged batch
	segments []fsm.Segment // of a translated stream, not checkpointed yet
	ackTime  int64         // ms, max timestamp of the last batch
	lastMove time.Time
	ackBytes int64
	rate     rate
}

// ending is how a flow ended.
type ending struct {
	ended   bool
	trouble trouble
	wrong   []written // batches that stand elsewhere than expected
	unsure  []item    // sent, and not known to be written: in order, without bytes
}

// written is a batch that the broker put elsewhere than expected.
type written struct {
	item item
	base int64
}

// push queues a batch, made ready to be sent.
func (f *flow) push(it item) {
	record.Rewrite(it.batch, f.m.ProducerID, f.m.ProducerEpoch, position.Sequence(&f.m, it.target))
	f.queue = append(f.queue, it)
	f.bytes += len(it.batch)
	// A segment that the mapping already knows begins here: jump its gap.
	if f.m.Phase == fsm.PhaseDense {
		if next := f.knownNext(); next > f.cursor.Source {
			f.cursor.Source, f.cursor.Shift = next, f.cursor.Target-next
		}
	}
}

// enqueue puts the flow on its outlet's list when it has something to send.
func (f *flow) enqueue() {
	if !f.ended && !f.ready && len(f.queue) > 0 && len(f.inflight) < f.window {
		f.ready = true
		f.out.enqueue(f)
	}
}

// pick hands the outlet the next batch to send, at most room bytes unless
// nothing has been picked yet. It moves the flow to the other outlet where
// the guard says so.
func (f *flow) pick(o *outlet, room int, empty bool) (kafka.ProducePartition, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = false
	if f.ended || len(f.queue) == 0 || len(f.inflight) >= f.window {
		return kafka.ProducePartition{}, false
	}
	it := f.queue[0]
	if !f.route(&it) {
		return kafka.ProducePartition{}, false
	}
	if f.out != o {
		f.enqueue()
		return kafka.ProducePartition{}, false
	}
	if len(it.batch) > room && !empty {
		f.enqueue()
		return kafka.ProducePartition{}, false
	}
	it.sent = f.s.r.now()
	f.queue[0] = item{}
	f.queue = f.queue[1:]
	f.bytes -= len(it.batch)
	f.inflight = append(f.inflight, it)
	f.sentTime = it.maxTime
	f.enqueue() // the next batch goes into the next request, which waits for no answer
	if f.paused && f.bytes < flowBytes/2 {
		f.paused = false
		f.lane.resume()
	}
	return kafka.ProducePartition{Topic: f.s.key.TargetTopic, TopicID: f.m.TargetTopicID, Partition: f.s.key.Partition, Batch: it.batch}, true
}

// expires notes after how many ms the target's brokers forget a silent
// producer id now.
func (f *flow) expires(after int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expiration = after
}

// route chooses the outlet for the next batch; false when it has to wait or
// the flow ended. The predecessor decides whether the broker surely knows us
// when the batch arrives. The batch's own age counts too: appended, it would
// let the state expire while a lost copy of it is still on its way.
func (f *flow) route(it *item) bool {
	ms := f.s.r.nowMs()
	guarded := position.Guarded(f.sentTime, ms, f.expiration) && position.Guarded(it.maxTime, ms, f.expiration)
	if guarded && !f.sure() {
		return false
	}
	if guarded == (f.out == f.guarded) {
		return true
	}
	if len(f.inflight) > 0 {
		return false // judged again when all is acknowledged
	}
	f.window = 1
	if guarded {
		f.out = f.guarded
		return true
	}
	if f.wary {
		return f.end(trouble{remedy: quietly, code: fsm.CodeWaiting, from: -1, to: -1, msg: "an earlier request may still be appended"})
	}
	f.out = f.alone
	return true
}

// lookAfter is how long a guarded flow that no leader has confirmed lately
// trusts what it knows of the target's end. A successor that writes an old
// batch, after which the broker forgets our producer and would take ours
// twice, has seen the log stand still for slowAnswer before: half of that
// leaves room for a round trip.
const lookAfter = slowAnswer / 2

// sure reports whether nobody can have written behind us what makes the broker
// forget us; where it is not, it has the stream look.
func (f *flow) sure() bool {
	if f.s.r.now().Sub(f.seen) <= lookAfter {
		return true
	}
	if age, ok := f.s.r.ctl.Lease(f.s.id, f.s.turn); ok && age <= f.s.r.cfg.Lease {
		return true
	}
	if len(f.inflight) == 0 && !f.looking {
		f.looking = true
		f.look <- struct{}{}
	}
	return false
}

// looked takes what a look at the target said: that the flow may go on, or
// trouble.
func (f *flow) looked(t *trouble) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looking = false
	if t != nil {
		f.end(*t)
		return
	}
	f.seen = f.s.r.now()
	f.enqueue()
}

// answered takes the broker's answer, or the error that took its place, for
// the oldest batch in flight.
func (f *flow) answered(p *kafka.ProducedPartition, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.inflight[0]
	f.inflight = f.inflight[1:]
	defer f.settle()
	defer it.release()
	if f.ended || err != nil || p.ErrorCode != 0 {
		f.unsure = append(f.unsure, item{from: it.from, next: it.next, epoch: it.epoch, target: it.target, count: it.count, maxTime: it.maxTime, segments: it.segments})
	}
	switch {
	case err != nil:
		t := troubleOf(err, false)
		t.remedy = again
		if isAny(err, errLease) {
			t.remedy, t.code = later, fsm.CodeWaiting
		}
		f.fail(t, &it)
	case p.ErrorCode != 0:
		t := troubleOf(needs(kerr.ErrorForCode(p.ErrorCode), "WRITE", f.s.key.TargetTopic), false)
		t.refused = p.ErrorCode == kerr.OutOfOrderSequenceNumber.Code
		t.perhaps = p.ErrorCode == kerr.RequestTimedOut.Code || p.ErrorCode == kerr.NotEnoughReplicasAfterAppend.Code
		if t.remedy == halt {
			t.source, t.from, t.to = true, it.from, it.next
		}
		if p.ErrorMessage != "" {
			t.msg += ": " + p.ErrorMessage
		}
		f.fail(t, &it)
	case p.BaseOffset != it.target:
		f.wrong = append(f.wrong, written{it, p.BaseOffset})
		f.fail(trouble{remedy: mismatch, code: fsm.CodeForeignWriter, from: it.target, to: p.BaseOffset, msg: "a batch was written at another offset than expected"}, &it)
	default:
		f.ack(&it)
	}
}

// ack books a batch that stands where it should.
func (f *flow) ack(it *item) {
	f.ackTime = it.maxTime
	f.lastMove = f.s.r.now()
	f.seen = f.lastMove
	f.acked = fsm.Progress{
		Source: it.next, SourceEpoch: it.epoch, Target: it.target + int64(it.count), TargetEpoch: f.tgtEpoch,
		Records: f.acked.Records + int64(it.count), At: f.lastMove.UnixMilli(),
	}
	f.segments = append(f.segments, it.segments...)
	f.ackBytes += int64(len(it.batch))
	f.s.r.stats.acked(it)
	if f.out == f.guarded {
		f.window = window
	}
	f.passGap()
	f.enqueue()
	f.finish()
}

// passGap counts source offsets that hold nothing to copy, such as the marker
// behind the last transaction, as done once all before them is. A dense stream
// crosses none.
func (f *flow) passGap() {
	idle := !f.ended && len(f.queue) == 0 && len(f.inflight) == 0
	if f.m.Phase != fsm.PhaseDense && idle && f.cursor.Source > f.acked.Source {
		f.acked.Source, f.acked.SourceEpoch = f.cursor.Source, f.epoch
	}
}

// fail ends the flow after a batch that did not go well. The first trouble
// counts: what follows it in flight only echoes it.
func (f *flow) fail(t trouble, it *item) {
	if t.from < 0 && t.remedy == halt {
		t.from, t.to = it.from, it.next
	}
	f.end(t)
}

// end ends the flow; always false, for callers that return it.
func (f *flow) end(t trouble) bool {
	if f.ended {
		// A later loss of certainty must not be hidden by the first trouble.
		f.trouble.perhaps = f.trouble.perhaps || t.perhaps
		return false
	}
	f.ended, f.trouble = true, t
	for i := range f.queue {
		f.queue[i].release()
	}
	f.queue, f.bytes = nil, 0
	f.settle()
	return false
}

// endAfter ends the flow at something of the source that cannot be copied,
// once all that stands before it is acknowledged; always false.
func (f *flow) endAfter(t trouble) bool {
	if f.after == nil {
		f.after = &t
	}
	f.finish()
	return false
}

// finish ends a flow that waited for its last acknowledgement.
func (f *flow) finish() {
	if f.after != nil && len(f.queue) == 0 && len(f.inflight) == 0 {
		f.end(*f.after)
	}
}

// settle closes quiet once nothing is in flight any more.
func (f *flow) settle() {
	if f.ended && len(f.inflight) == 0 {
		select {
		case <-f.quiet:
		default:
			close(f.quiet)
		}
	}
}

// stop ends the flow from outside.
func (f *flow) stop(t trouble) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(t)
}

// unanswered is how long the target has been silent about what is in flight.
func (f *flow) unanswered() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.inflight) == 0 {
		return 0
	}
	return f.s.r.now().Sub(f.inflight[0].sent)
}

// reconnected narrows the window: the first batch on a new connection goes
// alone.
func (f *flow) reconnected() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.window = 1
}
