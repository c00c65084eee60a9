package recovery

import (
	"fmt"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/replication/offsets"
)

// order is what to do about a stopped stream: the operator's order, else what
// the link's policy says for such a stop, else nothing. Going on past a range
// changes offsets: where they must stay identical only an operator may.
func order(t *fsm.Copy, spec *fsm.LinkSpec) fsm.Order {
	policy := reason.Of(t.Stop.Code).Policy
	switch {
	case t.Order != "":
		return t.Order
	case policy && spec.OnLoss == fsm.OnLossContinue && spec.Offsets != fsm.OffsetsIdentical:
		return fsm.OrderContinue
	case policy && spec.OnLoss == fsm.OnLossRecopy:
		return fsm.OrderRecopy
	}
	return ""
}

// stopped carries out the order of a stopped stream.
func (s *Situation) stopped() Step {
	switch order(s.Task, s.Spec) {
	case fsm.OrderContinue:
		return s.skipLoss()
	case fsm.OrderRecopy:
		return s.recopy()
	case fsm.OrderRetry: // lifts the stop in the facts
	}
	if missing(s.Task.Stop.Code) {
		return lookForTopic(s)
	}
	return stays(s.Task.Stop)
}

// skipLoss commits a new offset segment behind what stopped the stream. What is
// skipped stands in the event. The producer epoch is raised, so that an owner
// that is cut off and knows only the old mapping is refused.
func (s *Situation) skipLoss() Step {
	switch {
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case missing(s.Task.Stop.Code) && (s.Task.Mapping == nil || s.otherTopic() == nil):
		return Lift{} // nothing is lost
	case s.Task.Mapping == nil:
		return s.beginBehind()
	}
	// The order is about the topics of the stop. One that was made again since has
	// other offsets, and is a stop of its own.
	if f := s.otherTopic(); f != nil && f.Code != ofTopic(s).Code {
		return Halt{*f}
	}
	switch {
	case !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Log == nil:
		return Gather{What: NeedLog}
	}
	at, step := s.fallenBack()
	if step != nil {
		return step
	}
	if s.Source == nil {
		return Gather{What: NeedSource}
	}
	m := s.successor()
	m.SourceTopicID, m.TargetTopicID = s.Places.Source, s.Places.Target
	source, step := s.resumeAt(&m, at)
	if step != nil {
		return step
	}
	records := s.Memory.Last.Records
	if m.Generation != s.Task.Mapping.Generation {
		records = 0
	}
	return s.commitRaised(m, s.progressAt(source, s.Log.LogEnd, records), Commit{Event: &fsm.Event{
		Code: fsm.CodeNewSegment, From: s.Task.Stop.From, To: s.Task.Stop.To,
		Message: fmt.Sprintf("went on past %s: source offset %d stands at target offset %d", ofTopic(s).Code, source, s.Log.LogEnd),
	}})
}

// fallenBack looks at the target of a stopped stream before anything is
// skipped. Where it lost records from before the stop, the stop is lifted, and
// these are copied again first; where others wrote meanwhile, that is the stop
// now. Nil: neither, and the stream stands at a source offset, which may be further
// than it is known to have come.
func (s *Situation) fallenBack() (at int64, step Step) {
	if !reason.Of(s.Task.Stop.Code).Batch || filling(s) {
		return s.Memory.Last.Source, nil
	}
	pos, step := s.located()
	if step != nil {
		return 0, step
	}
	switch pos.Outcome {
	case Found:
		return pos.Source, nil
	case LostAcked:
		if pos.Source >= s.Task.Stop.From {
			return pos.Source, nil
		}
		if s.Aligned != nil || s.Task.Mapping.Filled { // segments behind the log end are void
			return 0, s.raiseEpoch(AtTarget(Forgotten, fsm.CodeEpochRaised, pos.Target, pos.Target, pos.Detail))
		}
		return 0, Commit{
			Mapping: s.successor(), Progress: s.progressAt(pos.Source, pos.Target, s.Memory.Last.Records),
			Event: &fsm.Event{Code: fsm.CodeTargetLostAcked, From: pos.From, To: pos.To,
				Message: pos.Detail + "; copied again before going on past " + string(s.Task.Stop.Code)},
		}
	case RaiseEpoch: // it lost even what the epoch before wrote
	case NeedTail, Foreign, Unknown, Truncated:
	}
	f := faultAt(pos)
	if f.Kind == Forgotten {
		return 0, s.raiseEpoch(f)
	}
	return 0, s.blockedOr(f)
}

// blockedOr replaces the stop where the fault stops the stream too.
func (s *Situation) blockedOr(f Fault) Step {
	if f.Kind == Blocked {
		return Halt{f}
	}
	return s.notYet(f.Message)
}

// resumeAt decides the next source offset of a stopped stream, which stands at one,
// and what of the mapping has to change.
func (s *Situation) resumeAt(m *fsm.Mapping, at int64) (source int64, step Step) {
	first, stop := s.Source.First, ofTopic(s)
	if filling(s) && stop.Code != fsm.CodeIdentityLost {
		return refill(s, m)
	}
	begin := func(source int64) (int64, Step) {
		m.Generation++
		m.Segments, m.Bump = []fsm.Segment{{Source: source, Target: s.Log.LogEnd}}, 0
		return source, nil
	}
	behind := func(source int64) (int64, Step) {
		addAligned(s, m)
		m.Segments = offsets.Behind(m, source, s.Log.LogEnd)
		return source, nil
	}
	none := s.Log.LogEnd < m.Segments[0].Target // of the stream's records is left
	switch {
	case stop.Code == fsm.CodeTargetTruncated, stop.Code == fsm.CodeForeignWriter && none:
		return begin(max(m.Segments[0].Source, first))
	}
	switch stop.Code {
	case fsm.CodeSourceRecreated:
		return begin(first)
	case fsm.CodeSourceTruncated:
		return begin(max(first, min(stop.From, s.Source.End)))
	case fsm.CodeTargetRecreated:
		return begin(max(at, first))
	case fsm.CodeForeignWriter:
		source, step := s.behindForeign(m)
		if step != nil {
			return 0, step
		}
		return behind(source)
	case fsm.CodePositionUnknown:
		if m.Phase == fsm.PhaseTranslated {
			if step := s.align(); step != nil {
				return 0, step
			}
			at = s.Aligned.Source
		}
		translate(m)
		return behind(max(at, first))
	case fsm.CodeIdentityLost: // the checkpoint may be behind the place where it stopped
		translate(m)
		return behind(max(at, stop.From, first))
	case fsm.CodePositionLost:
		return behind(max(at, first))
	}
	return behind(max(at, stop.To)) // a batch that cannot be copied
}

// behindForeign goes on behind another writer's records. How many of ours are
// in the log tells the sequence of our last batch there; those that were moved
// get segments of their own.
func (s *Situation) behindForeign(m *fsm.Mapping) (source int64, step Step) {
	old := s.Task.Mapping
	if old.Phase != fsm.PhaseDense || old.Filled {
		return s.behindForeignTranslated()
	}
	near := max(s.Memory.Last.Target, old.Segments[0].Target) // up to there everything is known to stand where it should
	ours, placed, step := s.ours(near)
	if step != nil {
		return 0, step
	}
	if ours < 0 {
		return 0, s.notYet("none of our records is left in the target to tell the position from; recopy")
	}
	m.Segments = offsets.Moved(old, near, placed)
	return offsets.Source(old, ours), nil
}

// behindForeignTranslated does so where nothing can be counted: our records
// between the others' are found in the source.
func (s *Situation) behindForeignTranslated() (source int64, step Step) {
	if step := s.align(); step != nil {
		return 0, step
	}
	if a := s.Aligned; a.Repeats > 0 {
		return 0, s.notYet(fmt.Sprintf("%d of our last records in the target cannot be told from those that are still to be copied; recopy", a.Repeats))
	}
	return s.Aligned.Source, nil
}

// ours is the target offset, as the mapping would have it without foreign
// records, behind our last record in the log, -1 when none is found, and our
// batches that stand behind what is known, repeats of that left out.
func (s *Situation) ours(near int64) (end int64, placed []offsets.Placed, step Step) {
	m, log := s.Task.Mapping, s.Log
	end = -1
	if p := log.Producer; p != nil && p.Epoch == m.ProducerEpoch {
		if end = offsets.OffsetOf(m, p.LastSequence, near) + 1; end == near {
			return end, nil, nil
		}
	}
	if s.Ours == nil {
		return 0, nil, Gather{What: NeedOurs, From: max(min(near, log.LogEnd)-1, log.LogStart)}
	}
	for i := range s.Ours {
		b := &s.Ours[i]
		if behind := offsets.OffsetOf(m, b.Sequence, near) + int64(b.Count); behind > near {
			placed, end = append(placed, offsets.Placed{BaseOffset: b.Target, BaseSequence: b.Sequence}), max(end, behind)
		}
	}
	if end < near && near == s.Memory.Last.Target && near <= log.LogEnd {
		end = near // all that is new behind the checkpoint is foreign
	}
	return end, placed, nil
}

// beginBehind begins a stream in a target that is not empty, or where identical
// offsets cannot be had, because an operator said so.
func (s *Situation) beginBehind() Step {
	switch {
	case s.ProducerID < 0:
		return Gather{What: NeedProducer}
	case s.Log == nil:
		return Gather{What: NeedLog}
	case s.Source == nil:
		return Gather{What: NeedSource}
	}
	start, end := max(s.Source.First, s.Task.Start), s.Log.LogEnd
	return Commit{Mapping: s.firstMapping(start, end), Progress: s.progressAt(start, end, 0), Event: &fsm.Event{
		Code: fsm.CodeNewSegment, From: s.Log.LogStart, To: end,
		Message: fmt.Sprintf("begins behind the target's own records: source offset %d stands at target offset %d", start, end),
	}}
}

// recopy begins a new generation from the log start, once the operator has
// emptied or recreated the target. It deletes nothing itself.
func (s *Situation) recopy() Step {
	switch {
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case s.Log == nil:
		return Gather{What: NeedLog}
	case s.Log.LogEnd > s.Log.LogStart:
		return s.notYet(fmt.Sprintf("recopy begins when the target partition is empty; it holds [%d, %d)", s.Log.LogStart, s.Log.LogEnd))
	case s.Task.Mapping != nil && !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Source == nil:
		return Gather{What: NeedSource}
	}
	first, end := s.Source.First, s.Log.LogEnd
	if s.Task.Mapping == nil { // a stream that never began does so as its link says
		first = max(first, s.Task.Start)
	}
	if s.Task.Mapping == nil && s.ProducerID < 0 {
		return Gather{What: NeedProducer}
	}
	m := s.firstMapping(first, end)
	if s.Task.Mapping != nil {
		m = s.successor()
		m.Generation++
		m.Filled, m.Bump = false, 0
		m.Phase, m.Segments = s.firstPhase(), []fsm.Segment{{Source: first, Target: end}}
		m.SourceTopicID, m.TargetTopicID = s.Places.Source, s.Places.Target
	}
	if f := s.shifted(first, end); f != nil {
		head := headed(s, m, first)
		if head == nil {
			return s.notYet(f.Message)
		}
		m = *head
	}
	var step Step = Commit{Mapping: m, Progress: s.progressAt(first, end, 0)}
	if s.Task.Mapping != nil {
		step = s.commitRaised(m, s.progressAt(first, end, 0), Commit{})
	}
	if c, ok := step.(Commit); ok {
		c.Event = &fsm.Event{Code: fsm.CodeRecopied, From: first, To: -1,
			Message: fmt.Sprintf("generation %d begins at source offset %d", c.Mapping.Generation, first)}
		step = c
	}
	return step
}
