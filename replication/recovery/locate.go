package recovery

import (
	"fmt"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// located is where the stream goes on by what was gathered. Where its log end
// cannot be counted, both logs are compared behind the last place that is known.
func (s *Situation) located() (Position, Step) {
	if s.Task.Mapping.Filled {
		return filled(s)
	}
	pos := s.derive()
	if pos.Outcome != Unknown || s.Task.Mapping.Phase != fsm.PhaseTranslated {
		return pos, nil
	}
	if step := s.align(); step != nil {
		return pos, step
	}
	if a := s.Aligned; a.Repeats > 0 {
		pos.From = pos.To - a.Repeats
		pos.Detail = fmt.Sprintf("%s; of its last records %d may stand behind source offset %d, and would be copied again from there", pos.Detail, a.Repeats, a.Source)
		return pos, nil
	}
	pos.Outcome, pos.Source = Found, s.Aligned.Source
	if s.Memory.Last.Target > pos.Target {
		pos.Outcome = LostAcked
	}
	return pos, nil
}

// align gathers an alignment up to the target's log end, once nothing can be
// appended there any more: a second reading of the source may be another one,
// so the producer's sequence protects from nothing. Nil: it is there.
func (s *Situation) align() Step { return alignFrom(s, lastKnown) }

// alignFrom is align from another place on.
func alignFrom(s *Situation, known func(*Situation) fsm.Progress) Step {
	switch {
	case s.Aligned != nil:
		return nil
	case s.Memory.OldRequests && !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Log.High < s.Log.LogEnd && s.Task.Stop != nil:
		return s.notYet(NotReplicated(false, s.Log.High, s.Log.LogEnd).Message)
	case s.Log.High < s.Log.LogEnd:
		return Restart{NotReplicated(false, s.Log.High, s.Log.LogEnd)}
	case s.Source == nil:
		return Gather{What: NeedSource}
	}
	return Gather{What: NeedAlignment, Known: known(s)}
}

// lastKnown is the last place at or below the target's log end that is known: the
// checkpoint, or where a segment begins.
func lastKnown(s *Situation) fsm.Progress {
	p, end := s.Memory.Last, s.Log.LogEnd
	if p.Target >= 0 && p.Target <= end {
		return p
	}
	segments := s.Task.Mapping.Segments
	at := segments[0]
	for _, seg := range segments {
		if seg.Target <= end {
			at = seg
		}
	}
	return s.progressAt(at.Source, at.Target, 0)
}

// addAligned adds the segments that were found behind the last known place, and
// takes away those that the target lost.
func addAligned(s *Situation, m *fsm.Mapping) {
	if s.Aligned != nil {
		m.Segments = append(offsets.Cut(m, s.Log.LogEnd), alignedSegments(s)...)
	}
}

// alignedSegments are the segments that were found behind the last known place.
// Where that lies behind a gap that no record has followed yet, a segment begins
// there of which the mapping does not know.
func alignedSegments(s *Situation) []fsm.Segment {
	m, known, found := s.successor(), lastKnown(s), s.Aligned.Segments
	kept := offsets.Cut(&m, s.Log.LogEnd)
	at := fsm.Segment{Source: known.Source, Target: known.Target}
	last := kept[len(kept)-1]
	if at.Shift() == last.Shift() || at.Source <= last.Source || at.Target <= last.Target || len(found) > 0 && found[0].Source == at.Source {
		return found
	}
	return append([]fsm.Segment{at}, found...)
}

// deletedAgain tells of records that the alignment may have copied again; nil: none.
func deletedAgain(s *Situation) *fsm.Event {
	if s.Aligned == nil || s.Aligned.Deleted == 0 {
		return nil
	}
	return &fsm.Event{Code: fsm.CodeDeletedAgain, From: s.Log.LogEnd, To: s.Log.LogEnd + s.Aligned.Deleted, Message: fmt.Sprintf(
		"up to %d records from source offset %d on are perhaps copied again: their keys were deleted, and the target's cleaner has taken the deletions", s.Aligned.Deleted, s.Aligned.Source)}
}

// addEnd adds the segment that begins at the target's log end, where the segments
// that were cut off would have said what stands before it.
func addEnd(m *fsm.Mapping, source, end int64) {
	last := m.Segments[len(m.Segments)-1]
	if m.Phase == fsm.PhaseTranslated && end-source != last.Shift() && source > last.Source {
		m.Segments = append(m.Segments, fsm.Segment{Source: source, Target: end})
	}
}
