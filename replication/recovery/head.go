package recovery

import (
	"fmt"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// Where offsets are to be identical and the source has lost its head, the stream
// is filling first: the target's offsets before the source's log start are taken by
// empty records under the stream's producer id, which are deleted before a record
// is copied. The mapping says how far from its first moment on (its only segment is
// where the source begins), and sequences are counted from where the target was
// empty, so the log end and the producer's state tell how far the stream is, as they
// do of a dense one. None of that is guarded: the filler is as old as the source's
// first record.

// filling reports whether the stream is in that phase.
func filling(s *Situation) bool {
	return s.Task.Mapping != nil && s.Task.Mapping.Phase == fsm.PhaseFilling
}

// headed makes a mapping fill the head before a source offset, from the target's
// log end on; nil: that cannot be.
func headed(s *Situation, m fsm.Mapping, source int64) *fsm.Mapping {
	end := s.Log.LogEnd
	if !s.Heads || s.Spec.Offsets != fsm.OffsetsIdentical || end != s.Log.LogStart || source <= end || source-end > offsets.MostFilled {
		return nil
	}
	m.Phase, m.SequenceZero, m.Segments = fsm.PhaseFilling, end, []fsm.Segment{{Source: source, Target: source}}
	return &m
}

// fillHead goes on filling from the target's log end, until the stream can begin.
func fillHead(s *Situation) Step {
	m, log := s.Task.Mapping, s.Log
	start := m.Segments[0].Target
	switch {
	case s.Memory.OldRequests && !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Source == nil:
		return Gather{What: NeedSource}
	case log.High < log.LogEnd:
		return Restart{NotReplicated(false, log.High, log.LogEnd)}
	}
	if f := strangeHead(s); f != nil {
		return Halt{*f}
	}
	if first := s.Source.First; first > start { // its head went on meanwhile
		if first-log.LogEnd > offsets.MostFilled {
			return Halt{AtTarget(Blocked, fsm.CodeIdentityLost, log.LogEnd, first, "offsets: identical: "+tooMany(first, log.LogEnd))}
		}
		next := s.successor()
		next.Segments = []fsm.Segment{{Source: first, Target: first}}
		return s.commitRaised(next, s.progressAt(first, log.LogEnd, 0), Commit{})
	}
	switch state := log.Producer; {
	case s.Task.Unsure, log.LogEnd < m.SequenceZero,
		log.LogEnd > m.SequenceZero && (state == nil || state.Epoch < m.ProducerEpoch) && log.LogEnd < start:
		// Whoever else may fill knows an older epoch; or the broker may refuse any sequence but 0.
		return s.commitRaised(s.successor(), s.progressAt(start, log.LogEnd, 0), Commit{})
	case log.LogEnd < start:
		return Fill{Target: log.LogEnd, To: start, Sequence: offsets.Sequence(m, log.LogEnd)}
	case log.LogStart < start:
		return Gather{What: NeedTrim, From: start}
	}
	next := s.successor()
	next.Phase = fsm.PhaseDense
	return s.commitRaised(next, s.progressAt(start, start, 0), Commit{Event: &fsm.Event{
		Code: fsm.CodeHeadFilled, From: m.Segments[0].Source, To: m.Segments[0].Source,
		Message: fmt.Sprintf("the target takes up at offset %d, where the source begins; records keep their offsets", start),
	}})
}

// strangeHead is about a target that holds something else than filler.
func strangeHead(s *Situation) *Fault {
	m, log := s.Task.Mapping, s.Log
	start, from := m.Segments[0].Target, log.LogStart
	var f Fault
	switch state, tail := log.Producer, log.Tail; {
	case log.LogEnd > start:
		f = AtTarget(Blocked, fsm.CodeForeignWriter, start, log.LogEnd, fmt.Sprintf("the target's log ends at %d, where the source's begins at %d; no record is copied yet", log.LogEnd, start))
	case state != nil && state.Epoch > m.ProducerEpoch:
		f = AtTarget(Blocked, fsm.CodeForeignWriter, from, log.LogEnd, fmt.Sprintf("the target has seen producer epoch %d of this stream, which is known to be at %d", state.Epoch, m.ProducerEpoch))
	case state != nil && state.Epoch == m.ProducerEpoch && offsets.NextSequence(state.LastSequence, 1) != offsets.Sequence(m, log.LogEnd),
		state == nil && tail != nil && tail.ProducerID != m.ProducerID:
		f = AtTarget(Blocked, fsm.CodeForeignWriter, from, log.LogEnd, "others wrote to the target before the stream's first record")
	default:
		return nil
	}
	return &f
}

// refill begins to fill anew a stream that was stopped while it did.
func refill(s *Situation, m *fsm.Mapping) (source int64, step Step) {
	start := max(s.Source.First, s.Task.Start)
	next := headed(s, *m, start)
	if next == nil {
		return 0, s.notYet(fmt.Sprintf("the source begins at %d and the target holds [%d, %d); delete the target topic, which the link creates again", start, s.Log.LogStart, s.Log.LogEnd))
	}
	next.Generation++
	*m = *next
	return start, nil
}

// tooMany says why a head is not filled.
func tooMany(source, target int64) string {
	return fmt.Sprintf("%d offsets would have to be taken before the first record, at most %d are", source-target, int64(offsets.MostFilled))
}

// shifted refuses a start that gives other offsets where they have to be
// identical.
func (s *Situation) shifted(source, target int64) *Fault {
	if s.Spec.Offsets != fsm.OffsetsIdentical || source == target {
		return nil
	}
	f := AtTarget(Blocked, fsm.CodeIdentityLost, target, source,
		fmt.Sprintf("offsets: identical needs the source to start where the target ends, at %d, but it starts at %d", target, source))
	if s.Heads && source-target > offsets.MostFilled {
		f.Message = "offsets: identical: " + tooMany(source, target)
	}
	return &f
}
