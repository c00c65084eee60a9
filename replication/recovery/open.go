package recovery

import (
	"sluice/fsm"
)

// open resolves the mapping if there is none, derives the position and opens a
// pipe there.
func (s *Situation) open() Step {
	if s.Places == nil {
		return Gather{What: NeedPlaces}
	}
	if s.Task.Mapping == nil {
		return s.begin()
	}
	if f := s.otherTopic(); f != nil {
		return Halt{*f}
	}
	if s.Log == nil {
		return Gather{What: NeedLog}
	}
	if filling(s) {
		return fillHead(s)
	}
	pos, step := s.located()
	switch {
	case step != nil:
		return step
	case pos.Outcome != Found && pos.Outcome != LostAcked:
		return s.unusable(pos)
	case pos.Outcome == LostAcked && (s.Aligned != nil || s.Task.Mapping.Filled): // segments behind the log end are void, and the checkpoint, once filler reaches it
		return Restart{AtTarget(Forgotten, fsm.CodeEpochRaised, pos.Target, pos.Target, pos.Detail)}
	}
	if s.Task.Mapping.Filled && s.Owner != OwnerConfirmed {
		return notConfirmed(s)
	}
	// Brokers may refuse any sequence but 0 of a producer that they forgot.
	if s.Log.Producer == nil && pos.Target == s.Memory.Refused && pos.Target != s.Task.Mapping.SequenceZero {
		return Restart{AtTarget(Forgotten, fsm.CodeEpochRaised, pos.Target, pos.Target, "the broker forgot our producer and refuses its next sequence")}
	}
	guarded := s.guarded(pos)
	first := s.Fault != nil && s.Fault.Kind == OldRequest
	if !s.Waited && (first || !guarded && s.Memory.OldRequests) {
		return Gather{What: NeedOldRequests}
	}
	return s.compared(pos, guarded)
}

// unusable is about a position that no pipe can be opened at.
func (s *Situation) unusable(pos Position) Step {
	f := faultAt(pos)
	if pos.Outcome == Unknown && s.Aligned == nil && s.Memory.Attempts < unknownTries {
		f.Kind = Retry
	}
	if f.Kind == Blocked {
		return Halt{f}
	}
	return Restart{f}
}

// faultAt is what stands against going on at a derived position that is
// neither Found nor LostAcked.
func faultAt(pos Position) Fault {
	f := AtTarget(Blocked, "", pos.From, pos.To, pos.Detail)
	switch pos.Outcome {
	case Foreign:
		f.Code = fsm.CodeForeignWriter
	case Unknown:
		f.Code = fsm.CodePositionUnknown
	case Truncated:
		f.Code = fsm.CodeTargetTruncated
	case RaiseEpoch:
		return AtTarget(Forgotten, fsm.CodeEpochRaised, pos.Target, pos.Target, pos.Detail)
	case NeedTail, Found, LostAcked:
		return Faulty(Retry, fsm.CodeStarting, "the end of the target's log could not be read")
	}
	return f
}

// otherTopic compares the topics' ids with those that the mapping was made for.
func (s *Situation) otherTopic() *Fault {
	m, p := s.Task.Mapping, s.Memory.Last
	var f Fault
	switch {
	case m.SourceTopicID != s.Places.Source:
		f = AtSource(Blocked, fsm.CodeSourceRecreated, 0, p.Source, "the source topic was deleted and created again: what was copied belongs to the old one")
	case m.TargetTopicID != s.Places.Target:
		f = AtTarget(Blocked, fsm.CodeTargetRecreated, 0, p.Target, "the target topic was deleted and created again: the copy is gone")
	default:
		return nil
	}
	return &f
}

// compared checks a position that was derived beyond the checkpoint, and opens
// there. If the checkpoint's leader epoch ended before the position, an unclean
// election at the source may have replaced what was copied since: those records
// are compared, and a difference stops the stream.
func (s *Situation) compared(pos Position, guarded bool) Step {
	p, m := s.Memory.Last, s.Task.Mapping
	switch {
	case pos.Source == p.Source:
		return s.openAt(pos, guarded, p.SourceEpoch)
	case p.SourceEpoch < 0 || pos.Source < p.Source || m.Phase != fsm.PhaseDense:
		return s.openAt(pos, guarded, -1)
	case s.EpochEnd == nil:
		return Gather{What: NeedEpochEnd, Epoch: s.Memory.Last.SourceEpoch}
	case *s.EpochEnd >= pos.Source:
		return s.openAt(pos, guarded, p.SourceEpoch)
	case *s.EpochEnd < 0:
		return s.openAt(pos, guarded, -1)
	case s.Log.High < pos.Target:
		return Restart{NotReplicated(false, s.Log.High, pos.Target)}
	case s.Difference == nil:
		return Gather{What: NeedDifference, From: max(*s.EpochEnd, m.Segments[0].Source), At: pos}
	case *s.Difference >= 0:
		return Halt{AtSource(Blocked, fsm.CodeSourceTruncated, *s.Difference, pos.Source, "the source replaced records that were already copied (unclean leader election)")}
	}
	return s.openAt(pos, guarded, -1)
}

func (s *Situation) openAt(pos Position, guarded bool, epoch int32) Step {
	if over := s.Memory.Attempts - quickRetries; s.Fault != nil && over > 0 && s.Fault.Kind != TooLarge { // which ends by itself: each time half is tried
		return againAndAgain(*s.Fault, over)
	}
	o := Open{Position: pos, Guarded: guarded, Unreplicated: s.Log.High < pos.Target}
	o.Progress, o.Segments = s.Memory.settled(pos, epoch, s.Now)
	if s.Aligned != nil {
		o.Segments, o.Event = alignedSegments(s), deletedAgain(s)
	}
	if pos.Outcome == LostAcked {
		o.Event = &fsm.Event{Code: fsm.CodeTargetLostAcked, From: pos.From, To: pos.To, Message: pos.Detail}
	}
	return o
}

// againAndAgain is about a fault that is met each time a pipe is opened, though
// nothing that was gathered explains it. What it would mean, were it true, is
// not so.
func againAndAgain(f Fault, over int) Step {
	switch f.Kind {
	case OutOfRange, Diverged, Gap:
		f.Code = fsm.CodeUnreachable
	case Retry, Unsure, OldRequest, Blocked, Forgotten, TopicChanged, Misplaced, TooLarge:
	}
	return Wait{Code: f.Code, Message: f.Message, For: Backoff(over)}
}

// begin resolves the start of a stream that has none, and commits it as its
// first mapping. It is never resolved again.
func (s *Situation) begin() Step {
	switch {
	case s.ProducerID < 0:
		return Gather{What: NeedProducer}
	case s.Task.Start < 0 && s.Source == nil:
		return Gather{What: NeedSource}
	case s.Log == nil:
		return Gather{What: NeedLog}
	}
	start := s.Task.Start
	if start < 0 {
		start = s.Source.First
	}
	if s.Log.LogEnd > s.Log.LogStart && s.Spec.Writers != fsm.WritersShared {
		return Halt{AtTarget(Blocked, fsm.CodeNotEmpty, s.Log.LogStart, s.Log.LogEnd, "the target partition holds records that this link did not write")}
	}
	m := s.firstMapping(start, s.Log.LogEnd)
	if f := s.shifted(start, s.Log.LogEnd); f != nil {
		head := headed(s, m, start)
		if head == nil {
			return Halt{*f}
		}
		m = *head
	}
	return Commit{Mapping: m, Progress: s.progressAt(start, s.Log.LogEnd, 0)}
}

// firstMapping is that of a stream which has none.
func (s *Situation) firstMapping(source, target int64) fsm.Mapping {
	return fsm.Mapping{
		Version: 1, Generation: 1, Phase: s.firstPhase(), SourceTopicID: s.Places.Source, TargetTopicID: s.Places.Target,
		Segments: []fsm.Segment{{Source: source, Target: target}}, ProducerID: s.ProducerID, SequenceZero: target,
	}
}

// firstPhase is the one that a generation begins in.
func (s *Situation) firstPhase() fsm.Phase {
	if s.Spec.Translated() {
		return fsm.PhaseTranslated
	}
	return fsm.PhaseDense
}
