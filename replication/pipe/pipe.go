package pipe

import (
	"slices"
	"time"

	"sluice/fsm"
	"sluice/replication/filter"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// Life is whether a pipe still takes batches in.
type Life uint8

// The lives, in their order: a pipe never goes back.
const (
	Taking    Life = iota // takes what is fetched
	Finishing             // the source came to something that cannot be copied: ends when all before it is acknowledged
	Ended                 // sends nothing more; what is in flight is still answered
)

func (l Life) String() string { return [...]string{"taking", "finishing", "ended"}[l] }

// Pace is how many batches may be in flight.
type Pace uint8

// The paces.
const (
	Probing   Pace = iota // one: nothing was acknowledged yet since the position was derived, the connection made or the route changed
	Streaming             // up to Window, on the guarded route only
)

func (p Pace) String() string { return [...]string{"probing", "streaming"}[p] }

// Route is by which rules a batch is sent.
type Route uint8

// The routes.
const (
	Guarded   Route = iota // the broker surely holds our producer state and refuses what does not follow
	Unguarded              // it may not: alone on its connection, under a lease
)

func (r Route) String() string { return [...]string{"guarded", "unguarded"}[r] }

// Window is how many batches of a stream may be in flight: the broker
// remembers the last five of a producer id, so a sixth could not be told from
// a lost one.
const Window = 5

// MaxHeld bounds the bytes that wait of one pipe; beyond it nothing is fetched
// for it until half of them are sent.
const MaxHeld = 4 << 20

// Start is where and how a pipe begins.
type Start struct {
	Mapping     fsm.Mapping
	Skip        map[int64]bool // producer ids whose batches are not copied
	Position    recovery.Position
	Progress    fsm.Progress // at the position
	TargetEpoch int32        // leader epoch of the target
	Expiration  int64        // ms after which the target forgets an idle producer
	Guarded     bool
	OldRequests bool           // a request of an earlier life may have been appended since the position was derived
	Seen        time.Time      // when the target was last known to end at the position
	MaxOpened   int            // bytes that a batch which has to be opened may decompress to
	MaxBatch    int            // bytes of a batch that the target takes: a larger one is split; 0: not known
	Singly      int64          // Result's of the pipe before
	Filter      *filter.Filter // of the link, whose streams are translated; nil: none
}

// Pipe is one partition under way.
//
// Invariants, between any two calls:
//   - acked.Target <= in flight <= queue <= cursor, without a gap: each batch's
//     target offset is the end of the one before it;
//   - what is queued or in flight was made ready under the one mapping that the
//     pipe began with, which never changes;
//   - inFlight holds <= 1 while Probing or Unguarded, <= Window always;
//   - Streaming only on the Guarded route;
//   - while a filler takes offsets nothing else is in flight;
//   - nothing is queued once Ended, and fault says why it ended.
type Pipe struct {
	mapping     fsm.Mapping
	skip        map[int64]bool
	targetEpoch int32
	maxOpened   int
	maxBatch    int
	singly      int64 // target offset below which each batch goes as it came
	filter      *filter.Filter

	life  Life
	fault recovery.Fault // Finishing: how it will end; Ended: how it did

	in   intake
	out  sending
	done acknowledged
}

// intake is what was got from the source.
type intake struct {
	cursor rewrite.Cursor // the next batch
	epoch  int32          // source leader epoch of the last batch before the cursor
	coming int            // bytes fetched and not handed over yet
	stable int64          // the source's last stable offset as last seen, -1: not yet
	high   int64          // its high watermark
	told   time.Time      // when it told

	filtered filter.Counts // since the last batch that was queued
}

// sending is what goes to the target, and by which rules.
type sending struct {
	queue    ring
	queued   int   // bytes of queue
	sequence int32 // of the next record to be queued
	inFlight ring
	pace     Pace
	route    Route
	guard    guard
}

// empty reports that nothing is on its way.
func (s *sending) empty() bool { return s.queue.len() == 0 && s.inFlight.len() == 0 }

// guard is what the rules of sending rest on.
type guard struct {
	last        int64     // ms, max timestamp of the last batch sent: the predecessor; at most when it was sent
	wall        int64     // ms, the wall clock as Next was last told it
	expiration  int64     // ms, of idle producers at the target
	seen        time.Time // when the target was last known to end where we do
	looking     bool      // Look was said and Looked was not
	oldRequests bool      // a request of an earlier life may still be appended
}

// acknowledged is what the target has.
type acknowledged struct {
	progress  fsm.Progress
	segments  []fsm.Segment // of a translated stream, not handed over yet
	time      int64         // ms, max timestamp of the last batch
	moved     time.Time     // when the last one was acknowledged
	bytes     int64         // of batches
	filtered  filter.Counts // of records up to progress
	unacked   []recovery.Batch
	misplaced []recovery.Misplacement
}

// New begins a pipe.
func New(s Start) *Pipe {
	p := &Pipe{
		mapping: s.Mapping, skip: s.Skip, targetEpoch: s.TargetEpoch, maxOpened: s.MaxOpened, maxBatch: s.MaxBatch, singly: s.Singly, filter: s.Filter,
		in:   intake{stable: -1},
		out:  sending{route: Unguarded, sequence: s.Position.Sequence, guard: guard{last: s.Position.LastTime, expiration: s.Expiration, seen: s.Seen, oldRequests: s.OldRequests}},
		done: acknowledged{progress: s.Progress, time: s.Position.LastTime, moved: s.Seen},
	}
	if s.Guarded {
		p.out.route = Guarded
	}
	shift := s.Mapping.Segments[len(s.Mapping.Segments)-1].Shift()
	if s.Mapping.Phase == fsm.PhaseDense {
		shift = s.Position.Target - s.Position.Source
	}
	p.in.cursor = rewrite.Cursor{Source: s.Position.Source, Target: s.Position.Target, Shift: shift}
	return p
}

// End ends the pipe. The first fault counts: what follows it in flight only
// echoes it, but a later loss of certainty must not be hidden.
func (p *Pipe) End(f recovery.Fault) {
	if p.life == Ended {
		p.fault.Perhaps = p.fault.Perhaps || f.Perhaps
		return
	}
	p.life, p.fault = Ended, f
	for i := range p.out.queue.len() {
		p.out.queue.at(i).release()
	}
	p.out.queue, p.out.queued = ring{}, 0
}

// finish ends the pipe at something of the source that cannot be copied, once
// all that stands before it is acknowledged.
func (p *Pipe) finish(f recovery.Fault) {
	if p.life == Taking {
		p.life, p.fault = Finishing, f
	}
	p.finished()
}

// finished ends a pipe that waited for its last acknowledgement.
func (p *Pipe) finished() {
	if p.life == Finishing && p.out.empty() {
		p.End(p.fault)
	}
}

// passGap counts source offsets that hold nothing to copy, such as the marker
// behind the last transaction, as done once all before them is. A dense stream
// crosses none: a filler takes them where they are known to be a transaction's.
func (p *Pipe) passGap() {
	idle := p.life != Ended && p.out.empty()
	if p.mapping.Phase != fsm.PhaseDense && idle && p.in.cursor.Source > p.done.progress.Source {
		p.done.progress.Source, p.done.progress.SourceEpoch = p.in.cursor.Source, p.in.epoch
		p.done.filtered, p.in.filtered = p.done.filtered.Plus(p.in.filtered), filter.Counts{}
	}
}

// Over reports that the pipe has ended and nothing is in flight any more.
func (p *Pipe) Over() bool { return p.life == Ended && p.out.inFlight.len() == 0 }

// Life returns the pipe's life.
func (p *Pipe) Life() Life { return p.life }

// Result is how a pipe ended.
type Result struct {
	Fault     recovery.Fault
	Progress  fsm.Progress  // acknowledged
	Segments  []fsm.Segment // not handed over by Checkpoint yet
	Unacked   []recovery.Batch
	Misplaced []recovery.Misplacement
	Filtered  filter.Counts // of records that are done with
	InFlight  bool          // something is still unanswered
	Singly    int64         // target offset below which batches are not to be merged: the broker refused what was made of several
}

// Result returns how the pipe ended, or stands.
func (p *Pipe) Result() Result {
	return Result{
		Fault: p.fault, Progress: p.done.progress, Segments: p.done.segments,
		Unacked: p.done.unacked, Misplaced: p.done.misplaced, Filtered: p.done.filtered, InFlight: p.out.inFlight.len() > 0, Singly: p.singly,
	}
}

// Remember is what the owner of the stream knows once the pipe has ended.
func (r *Result) Remember(m recovery.Memory) recovery.Memory {
	if r.Progress.Target > m.Last.Target || r.Progress.Records > m.Last.Records {
		m.Attempts = 0
	}
	m.Last = r.Progress
	m.Unsaved = append(slices.Clip(m.Unsaved), r.Segments...)
	m.Unacked, m.Misplaced, m.Singly = r.Unacked, r.Misplaced, r.Singly
	switch r.Fault.Kind {
	case recovery.TooLarge:
		m.Fits = r.Fault.Fits
	case recovery.Blocked:
		m.Fits = 0 // whoever mends what stopped the stream may have raised it
	default:
	}
	m.Refused = -1
	if r.Fault.Refused {
		m.Refused = r.Progress.Target
	}
	m.OldRequests = m.OldRequests || r.Fault.Perhaps || r.InFlight
	return m
}

// Checkpoint returns what is acknowledged, and the segments that came since the
// last call. It is asked now and then, not for every batch, and gives back
// memory that the pipe needs no more.
func (p *Pipe) Checkpoint() (fsm.Progress, []fsm.Segment) {
	segments := p.done.segments
	p.done.segments = nil
	p.out.queue.settle()
	p.out.inFlight.settle()
	return p.done.progress, segments
}

// Status is a pipe for a person.
type Status struct {
	Phase    fsm.Phase
	Progress fsm.Progress  // acknowledged
	Stable   int64         // the source's last stable offset as last seen, -1: not yet
	High     int64         // the source's high watermark as last seen
	Told     time.Time     // when both were last seen
	Time     int64         // ms, max timestamp of the last batch acknowledged, -1: none
	Moved    time.Time     // when the last batch was acknowledged, or the pipe began
	Bytes    int64         // of batches acknowledged
	Filtered filter.Counts // of records that are done with
}

// Status describes the pipe.
func (p *Pipe) Status() Status {
	return Status{
		Phase: p.mapping.Phase, Progress: p.done.progress, Stable: p.in.stable, High: p.in.high, Told: p.in.told,
		Time: p.done.time, Moved: p.done.moved, Bytes: p.done.bytes, Filtered: p.done.filtered,
	}
}
