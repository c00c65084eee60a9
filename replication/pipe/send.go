package pipe

import (
	"time"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
)

// Verdict is what Next says.
type Verdict uint8

// The verdicts.
const (
	Nothing Verdict = iota // nothing waits, or no room is in flight: asked again after the next call of Take or an answer
	Ready                  // Pop it and send it on the pipe's Route
	Look                   // read the target's log end first, then tell Looked
	Hold                   // wait for what is in flight, or for Looked
	Fill                   // let the filler take the offsets that ToFill says, then tell Filled
)

func (v Verdict) String() string { return [...]string{"nothing", "ready", "look", "hold", "fill"}[v] }

// LookAfter is how long a guarded pipe that no leader has confirmed lately
// trusts what it knows of the target's end. A successor that writes an old
// batch, after which the broker forgets our producer and would take ours
// twice, has seen the log stand still for a second before: half of that leaves
// room for a round trip.
const LookAfter = time.Second / 2

// Sendable reports whether something waits and room is in flight.
func (p *Pipe) Sendable() bool {
	return p.life != Ended && p.out.queue.len() > 0 && p.out.inFlight.len() < p.out.window()
}

// window is how many may be in flight: behind a fill, or with one next, only
// what is alone.
func (s *sending) window() int {
	if s.pace == Streaming && s.queue.at(0).fill == 0 && !s.filling() {
		return Window
	}
	return 1
}

// filling reports whether a filler takes offsets now.
func (s *sending) filling() bool { return s.inFlight.len() > 0 && s.inFlight.at(0).fill > 0 }

// Route is by which rules the next batch goes.
func (p *Pipe) Route() Route { return p.out.route }

// NextSize is the size of the next batch in bytes, 0: none waits.
func (p *Pipe) NextSize() int {
	if p.out.queue.len() == 0 {
		return 0
	}
	return len(p.out.queue.at(0).batch)
}

// Next judges the next batch. The predecessor decides whether the broker surely
// knows us when the batch arrives. The batch's own age counts too: appended, it
// would let the state expire while a lost copy of it is still on its way. wall
// is the wall clock in unix ms; leased says whether a leader has confirmed
// lately that this node owns the stream.
func (p *Pipe) Next(now time.Time, wall int64, leased func() bool) Verdict {
	switch {
	case !p.Sendable():
		return Nothing
	case p.out.queue.at(0).fill > 0 && p.out.guard.looking: // one thing at a time is asked of the owner
		return Hold
	case p.out.queue.at(0).fill > 0: // its own fence guards it
		p.out.inFlight.push(p.out.queue.pop())
		return Fill
	}
	g := &p.out.guard
	g.wall = wall
	route := Unguarded
	if offsets.Guarded(g.last, wall, g.expiration) && offsets.Guarded(p.out.queue.at(0).maxTime, wall, g.expiration) {
		route = Guarded
		if now.Sub(g.seen) > LookAfter && !leased() {
			return p.look()
		}
	}
	if route == p.out.route {
		return Ready
	}
	if p.out.inFlight.len() > 0 {
		return Hold // judged again when all is acknowledged
	}
	p.out.pace = Probing
	if route == Unguarded && g.oldRequests {
		p.End(recovery.Faulty(recovery.OldRequest, fsm.CodeWaiting, "an earlier request may still be appended"))
		return Nothing
	}
	p.out.route = route
	return Ready
}

// look: perhaps somebody has written behind us what makes the broker forget us.
func (p *Pipe) look() Verdict {
	if g := &p.out.guard; p.out.inFlight.len() == 0 && !g.looking {
		g.looking = true
		return Look
	}
	return Hold
}

// Looked takes what a look at the target said: that it ends where the pipe
// knows (nil), or a fault.
func (p *Pipe) Looked(now time.Time, f *recovery.Fault) {
	p.out.guard.looking = false
	if f != nil {
		p.End(*f)
		return
	}
	p.out.guard.seen = now
}

// Pop puts the next batch in flight and returns it. Its bytes stay as they are
// until it is answered.
func (p *Pipe) Pop(now time.Time) record.Batch {
	it := p.out.queue.pop()
	p.out.queued -= len(it.batch)
	it.sent = now
	p.out.inFlight.push(it)
	// A broker that stamps records itself forgets us as if this one were of now.
	p.out.guard.last = min(it.maxTime, p.out.guard.wall)
	return it.batch
}

// Gap is offsets of the target that a filler is to take.
type Gap struct {
	From, Count int64
	Timestamp   int64 // ms, of what takes them at the source
}

// ToFill says which.
func (p *Pipe) ToFill() Gap {
	it := p.out.inFlight.at(0)
	return Gap{it.sum.Target, it.fill, it.maxTime}
}

// Filled takes what became of that: the target ends where it should (nil), or a
// fault.
func (p *Pipe) Filled(now time.Time, f *recovery.Fault) {
	it := p.out.inFlight.pop()
	if f != nil {
		p.End(it.about(*f))
		return
	}
	p.out.guard.seen = now
	p.done.advance(&it, it.sum.Target+it.fill, 0, p.targetEpoch, now)
	p.finished()
}

// Acknowledged takes the broker's answer for the oldest batch in flight: that
// it stands at base. So all before it stands there too, even where the answer
// about that was a time-out. It returns the batch's records and bytes, none
// where it stands elsewhere than it should.
func (p *Pipe) Acknowledged(base int64, now time.Time) (records, bytes int) {
	it := p.answered(p.life == Ended)
	defer it.release()
	if base != it.sum.Target {
		p.done.misplaced = append(p.done.misplaced, recovery.Misplacement{Batch: it.sum, At: base})
		p.End(recovery.AtTarget(recovery.Misplaced, fsm.CodeForeignWriter, it.sum.Target, base, "a batch was written at another offset than expected"))
		return 0, 0
	}
	for _, b := range p.done.unacked {
		if b.Target >= p.done.progress.Target && b.Target < it.sum.Target {
			p.done.begin(b.Segments)
		}
	}
	p.done.time, p.out.guard.seen = it.maxTime, now
	p.done.advance(&it, it.sum.End(), it.sum.End()-p.done.progress.Target, p.targetEpoch, now)
	p.done.begin(it.sum.Segments)
	p.done.bytes += int64(len(it.batch))
	p.done.filtered = p.done.filtered.Plus(it.filtered)
	if p.out.route == Guarded {
		p.out.pace = Streaming
	}
	p.passGap()
	p.finished()
	return int(it.sum.Count), len(it.batch)
}

// begin adds segments. A filter may make one of every second record, so they are
// thinned out as in the facts while nobody takes them.
func (a *acknowledged) begin(segments []fsm.Segment) {
	if a.segments = append(a.segments, segments...); len(a.segments) > 2*fsm.MaxSegments {
		a.segments = fsm.JoinSegments(nil, a.segments)
	}
}

// advance notes that the target, in its leader epoch, ends behind what was in
// flight, with so many records more.
func (a *acknowledged) advance(it *item, target, records int64, epoch int32, now time.Time) {
	a.moved = now
	a.progress = fsm.Progress{
		Source: it.sum.Next, SourceEpoch: it.epoch, Target: target, TargetEpoch: epoch,
		Records: a.progress.Records + records, At: now.UnixMilli(),
	}
}

// Refused takes the error that is the answer for the oldest batch in flight, or
// stands in its place. What a broker refuses for good is told with the batch's
// source offsets; of one that was made of several it may be a single one that it
// refuses, so these are sent again as they came.
func (p *Pipe) Refused(f recovery.Fault) {
	it := p.answered(true)
	defer it.release()
	if it.merged && f.Kind == recovery.Blocked && f.Code != fsm.CodeRecordTooLarge {
		p.singly = it.sum.End()
		f = recovery.Faulty(recovery.Retry, fsm.CodeStarting, "a batch that was made of several small ones was refused, and they are sent again as they came: "+f.Message)
	}
	p.End(it.about(f))
}

// about gives what is refused for good the source offsets that it is about. What
// is too large is refused for good only where it cannot be split.
func (it *item) about(f recovery.Fault) recovery.Fault {
	if f.Kind == recovery.Blocked && f.Code == fsm.CodeRecordTooLarge && it.sum.Count > 1 {
		f.Kind, f.Fits = recovery.TooLarge, len(it.batch)/2
		return f
	}
	if f.Kind == recovery.Blocked && f.Range == recovery.None() {
		f.Source, f.Range = true, recovery.Range{From: it.from, To: it.sum.Next}
	}
	return f
}

// answered takes the oldest batch out of flight; unsure: it is perhaps not
// written.
func (p *Pipe) answered(unsure bool) item {
	it := p.out.inFlight.pop()
	if unsure {
		p.done.unacked = append(p.done.unacked, it.sum)
	}
	return it
}

// Reconnected makes the first batch on a new connection go alone.
func (p *Pipe) Reconnected() { p.out.pace = Probing }

// Expires notes after how many ms the target's brokers forget an idle producer
// now.
func (p *Pipe) Expires(after int64) { p.out.guard.expiration = after }

// Unanswered is how long the target has been silent about what is in flight.
func (p *Pipe) Unanswered(now time.Time) time.Duration {
	if p.out.inFlight.len() == 0 || p.out.filling() {
		return 0
	}
	return now.Sub(p.out.inFlight.at(0).sent)
}
