package recovery

import (
	"fmt"
	"strings"

	"sluice/fsm"
	"sluice/replication/offsets"
)

func (s *Situation) later(f Fault) Step {
	return Wait{Code: f.Code, Message: f.Message, For: Backoff(s.Memory.Attempts)}
}

// after decides about a fault.
func (s *Situation) after(f Fault) Step {
	if filling(s) && f.Kind != Retry && f.Kind != Unsure && f.Kind != Blocked {
		return s.open()
	}
	switch f.Kind {
	case Retry:
		return s.later(f)
	case Unsure:
		return s.unsure(f)
	case Blocked:
		return Halt{f}
	case Misplaced:
		return s.misplaced()
	case Gap:
		return s.gap(f)
	case Forgotten:
		return s.raiseEpoch(f)
	case Diverged:
		return s.diverged(f)
	case OutOfRange:
		return s.outOfRange()
	case TopicChanged, OldRequest, TooLarge:
	}
	return s.open()
}

// unsure asks who owns the stream before it is derived again: a conflict may
// be the successor's writes.
func (s *Situation) unsure(f Fault) Step {
	switch s.Owner {
	case OwnerConfirmed:
		if over := s.Memory.Attempts - quickRetries; over > 0 {
			return Wait{Code: f.Code, Message: f.Message, For: Backoff(over)}
		}
		return s.open()
	case OwnerLost:
		return End{Lost(f.Message)}
	case OwnerUnknown:
		if f.Perhaps || f.Code == fsm.CodeStarting {
			return Alone{f.Message}
		}
		return Wait{Code: fsm.CodeWaiting, Message: f.Message, For: Backoff(s.Memory.Attempts)}
	case OwnerUnasked:
	}
	return Gather{What: NeedOwner}
}

// misplaced names every batch that stands elsewhere.
func (s *Situation) misplaced() Step {
	wrong := s.Memory.Misplaced
	if len(wrong) == 0 {
		return s.open()
	}
	places := make([]string, len(wrong))
	for i, w := range wrong {
		places[i] = fmt.Sprintf("[%d, %d) instead of [%d, %d)", w.At, w.At+int64(w.Count), w.Target, w.End())
	}
	msg := "another writer's records stand in the target; ours stand at " + strings.Join(places, ", ")
	last := wrong[len(wrong)-1]
	return Halt{AtTarget(Blocked, fsm.CodeForeignWriter, wrong[0].Target, last.At+int64(last.Count), msg)}
}

// diverged: the source's log is another one from f.Range.From on.
func (s *Situation) diverged(f Fault) Step {
	at, from := s.Memory.Last.Source, f.Range.From
	if f.Epoch < s.Memory.Last.SourceEpoch { // all of the last copied record's epoch is gone
		from = min(from, at-1)
	}
	if at <= from { // what it lost was fetched, but not copied
		s.Memory.Last.SourceEpoch = -1
		return s.open()
	}
	return Halt{AtSource(Blocked, fsm.CodeSourceTruncated, from, at, "the source lost records that are copied: its log diverges here")}
}

// outOfRange tells why the source refuses the position.
func (s *Situation) outOfRange() Step {
	switch {
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case s.Task.Mapping == nil || s.Task.Mapping.SourceTopicID != s.Places.Source:
		return s.open()
	case s.Source == nil:
		return Gather{What: NeedSource}
	}
	at, first, end := s.Memory.Last.Source, s.Source.First, s.Source.End
	switch {
	case at < first:
		return Halt{AtSource(Blocked, fsm.CodePositionLost, at, first, fmt.Sprintf("source retention took records before they were copied; its log starts at %d now", first))}
	case at > end:
		return Halt{AtSource(Blocked, fsm.CodeSourceTruncated, end, at, fmt.Sprintf("the source's log ends at %d, records up to %d are copied", end, at))}
	}
	return s.open()
}

// gap commits that from here on gaps of transactions are filled, or that offsets
// are translated. The producer epoch is raised: an owner that is cut off and knows
// only the old mapping would count on behind what is written under the new one.
func (s *Situation) gap(f Fault) Step {
	p, old := s.Memory.Last, s.Task.Mapping
	fill := f.Transaction && (old == nil || old.Filled || s.Gaps.Fills && old.Phase == fsm.PhaseDense)
	switch {
	case s.Spec.Offsets == fsm.OffsetsIdentical && !fill:
		f.Kind, f.Code = Blocked, fsm.CodeIdentityLost
		return Halt{f}
	case s.Task.Mapping == nil || p.Source != f.Range.From:
		return s.open() // what stands before it was not acknowledged: derive and copy that first
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case s.Memory.OldRequests && !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Waited && s.Log == nil:
		return Gather{What: NeedLog}
	}
	if s.Waited && s.Log.LogEnd != p.Target {
		return s.open() // an old request was appended meanwhile
	}
	if fill && !s.Task.Mapping.Filled && !s.Gaps.Fenced { // where that cannot be done, the link may still be told not to
		if s.Log == nil {
			return Gather{What: NeedLog}
		}
		return Gather{What: NeedFence}
	}
	m := s.successor()
	switch {
	case fill && m.Filled:
		return takeBack(s, m, f, p)
	case fill:
		m.Filled = true
		return s.commitRaised(m, p, Commit{Event: &fsm.Event{
			Code: fsm.CodeGapsFilled, From: f.Range.From, To: f.Range.To,
			Message: "the offsets that transactions take without a record are taken at the target too, so that all records keep theirs: " + f.Message,
		}})
	}
	translate(&m)
	m.Segments = offsets.Cut(&m, p.Target) // a translated stream knows of none ahead
	if f.Range.To > p.Source {
		m.Segments = append(m.Segments, fsm.Segment{Source: f.Range.To, Target: p.Target})
		p.Source, p.SourceEpoch = f.Range.To, -1 // not the epoch of what takes the gap
	}
	return s.commitRaised(m, p, Commit{Event: &fsm.Event{
		Code: fsm.CodeTranslated, From: f.Range.From, To: f.Range.To, Message: "offsets are translated from here on: " + f.Message,
	}})
}

// raiseEpoch begins a new producer epoch at the log end: the broker's state is
// gone and it refuses our next sequence. Only once no earlier request can come.
func (s *Situation) raiseEpoch(f Fault) Step {
	switch {
	case s.Task.Mapping == nil:
		return s.open()
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Log == nil:
		return Gather{What: NeedLog}
	}
	pos, step := s.located()
	switch {
	case step != nil:
		return step
	case pos.Outcome == RaiseEpoch && !s.Task.Mapping.Filled: // else the position is there too
		if pos, step = s.behindLost(pos); step != nil {
			return step
		}
	case pos.Outcome != Found && pos.Outcome != LostAcked && pos.Outcome != RaiseEpoch:
		return s.open() // something else by now
	}
	p, src, end := s.Memory.Last, pos.Source, s.Log.LogEnd
	m := s.successor()
	cut(s, &m, end)
	addAligned(s, &m)
	if end < p.Target {
		addEnd(&m, src, end)
	}
	c := Commit{Event: &fsm.Event{Code: fsm.CodeEpochRaised, From: end, To: end}, Tell: deletedAgain(s)}
	if left := kept(s); left < p.Target {
		c.Tell = &fsm.Event{Code: fsm.CodeTargetLostAcked, From: left, To: p.Target,
			Message: fmt.Sprintf("the target acknowledged up to %d and ends at %d now", p.Target, left)}
	}
	next := s.commitRaised(m, s.progressAt(src, end, p.Records), c)
	if c, ok := next.(Commit); ok {
		c.Event.Message = fmt.Sprintf("producer epoch %d begins at target offset %d: %s", c.Mapping.ProducerEpoch, end, f.Message)
	}
	return next
}

// behindLost is the position where the target lost even what the producer epoch
// before wrote.
func (s *Situation) behindLost(pos Position) (Position, Step) {
	src, ok := s.sourceOf(s.Log.LogEnd)
	if !ok {
		if step := s.align(); step != nil {
			return pos, step
		}
		if a := s.Aligned; a.Repeats > 0 {
			return pos, Halt{AtTarget(Blocked, fsm.CodePositionUnknown, pos.Target-a.Repeats, pos.Target, "the target lost records, and where it ends now is not known")}
		}
		src = s.Aligned.Source
	}
	pos.Source = src
	return pos, nil
}
