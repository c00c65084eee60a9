package recovery

import (
	"fmt"

	"sluice/fsm"
)

// tailCompared is how many of the target's last records are compared with the source's
// where nothing that is known tells how they correspond.
const tailCompared = 10_000

// adopt finds the place of a stream that was taken over from a Sluice cluster
// which is lost. What the facts say of it may be older than what was copied, and
// its owner there may still run: so nothing is written before a mapping with a
// raised producer epoch is committed, at a place that both logs prove. Where they
// prove none, the stream stops.
//
// A producer epoch belongs to one mapping. As long as the target's last record is
// of the epoch that the facts know, they know the last mapping under which
// anything was written, and the place is derived as at any takeover. Else the
// target's last records are looked for in the source.
func adopt(s *Situation) Step {
	switch {
	case s.Places == nil:
		return Gather{What: NeedPlaces}
	case s.Task.Mapping == nil && s.ProducerID < 0:
		return Gather{What: NeedProducer}
	case !s.Waited:
		return Gather{What: NeedOldRequests}
	case s.Log == nil:
		return Gather{What: NeedLog}
	case s.Source == nil:
		return Gather{What: NeedSource}
	}
	if ofNow(s) && filling(s) && s.Log.LogEnd <= s.Task.Mapping.Segments[0].Target {
		return fillHead(s)
	}
	if ofNow(s) {
		switch pos, step := s.located(); {
		case step != nil:
			return step
		case pos.Outcome == Found, pos.Outcome == LostAcked, pos.Outcome == RaiseEpoch:
			return s.raiseEpoch(AtTarget(Forgotten, fsm.CodeEpochRaised, pos.Target, pos.Target, takenOver))
		case pos.Outcome == Truncated:
			return Halt{faultAt(pos)}
		}
	}
	switch {
	case s.Log.LogEnd == 0 && s.Task.Mapping == nil, strange(s):
		return s.begin()
	case s.Log.LogEnd == s.Log.LogStart:
		return lostPlace(s, s.Log.LogEnd, "no record is left in the target to tell by how far the stream was copied")
	case s.Log.High < s.Log.LogEnd:
		return Restart{NotReplicated(false, s.Log.High, s.Log.LogEnd)}
	}
	if source, target, ok := tailPlace(s); ok {
		if s.Difference == nil {
			return compareTail(s, source, target)
		}
		if *s.Difference < 0 {
			return goOn(s, source+s.Log.LogEnd-target, []fsm.Segment{{Source: source, Target: target}})
		}
	}
	if step := alignFrom(s, lastPlace); step != nil {
		return step
	}
	if a := s.Aligned; a.Repeats > 0 {
		return lostPlace(s, s.Log.LogEnd-a.Repeats, fmt.Sprintf("where its last %d records stand in the source is not certain", a.Repeats))
	}
	at, found := lastPlace(s), s.Aligned.Segments
	if len(found) == 0 || found[0].Source > at.Source {
		found = append([]fsm.Segment{{Source: at.Source, Target: at.Target}}, found...)
	}
	return goOn(s, s.Aligned.Source, found)
}

const takenOver = "taken over from a Sluice cluster that is lost"

// ofNow reports whether the stream has a mapping that is about the topics of now.
func ofNow(s *Situation) bool { return s.Task.Mapping != nil && s.otherTopic() == nil }

// lastPlace is the last one that is known: of a stream of which nothing is, where
// both logs begin.
func lastPlace(s *Situation) fsm.Progress {
	if ofNow(s) {
		return lastKnown(s)
	}
	return s.progressAt(max(s.Source.First, s.Task.Start), s.Log.LogStart, 0)
}

// strange reports whether the target's records are not those of the stream that
// was taken over. A transaction's may be its filler.
func strange(s *Situation) bool {
	t := s.Log.Tail
	return s.Task.Mapping == nil && s.Log.Producer == nil && t != nil && !t.Transactional && t.ProducerID != s.ProducerID && s.Spec.Writers != fsm.WritersShared
}

// tailPlace is the place from which on the target's last records may be compared with
// the source's one by one; false: there are none.
func tailPlace(s *Situation) (source, target int64, ok bool) {
	shift := int64(0)
	if ofNow(s) {
		segments := s.Task.Mapping.Segments
		shift = segments[len(segments)-1].Shift()
	}
	end := s.Log.LogEnd
	target = max(s.Log.LogStart, end-tailCompared, s.Source.First+shift)
	return target - shift, target, target < end && end-shift <= s.Source.End
}

func compareTail(s *Situation, source, target int64) Step {
	m := fsm.Mapping{Phase: fsm.PhaseDense, Segments: []fsm.Segment{{Source: source, Target: target}}}
	at := Position{Source: source + s.Log.LogEnd - target, Target: s.Log.LogEnd, LastTime: -1, From: -1, To: -1, Ours: -1}
	return Gather{What: NeedDifference, From: source, At: at, Mapping: &m}
}

// goOn commits the mapping by which the stream goes on at the target's log end;
// the segments begin at a place that was found, and replace what the mapping said
// from there on.
func goOn(s *Situation, source int64, segments []fsm.Segment) Step {
	end := s.Log.LogEnd
	if f := s.shifted(source, end); f != nil {
		return Halt{*f}
	}
	m, records := s.firstMapping(source, end), int64(0)
	if old := s.Task.Mapping; old != nil {
		m = s.successor()
		m.SourceTopicID, m.TargetTopicID = s.Places.Source, s.Places.Target
		if ofNow(s) {
			segments = joined(m.Segments, segments)
			records = max(0, s.Memory.Last.Records+end-max(0, s.Memory.Last.Target))
		} else {
			m.Generation++
		}
	}
	m.Segments = segments
	if m.Phase == fsm.PhaseFilling { // the lost cluster went on
		m.Phase = fsm.PhaseDense
	}
	if len(segments) > 1 {
		translate(&m)
	}
	c := s.commitRaised(m, s.progressAt(source, end, records), Commit{})
	if c, ok := c.(Commit); ok {
		c.Event = &fsm.Event{Code: fsm.CodeEpochRaised, From: end, To: end, Message: fmt.Sprintf(
			"producer epoch %d begins at target offset %d: %s; its last records were found in the source, it goes on at source offset %d", c.Mapping.ProducerEpoch, end, takenOver, source)}
		return c
	}
	return c
}

// joined are the segments of before up to where the found ones begin, and these.
func joined(before, found []fsm.Segment) []fsm.Segment {
	var out []fsm.Segment
	for _, seg := range before {
		if seg.Source <= found[0].Source && seg.Target <= found[0].Target {
			out = append(out, seg)
		}
	}
	for _, seg := range found {
		if len(out) == 0 || seg.Shift() != out[len(out)-1].Shift() {
			out = append(out, seg)
		}
	}
	return out
}

// lostPlace stops a stream whose place neither log tells.
func lostPlace(s *Situation, from int64, why string) Step {
	if s.Task.Mapping != nil {
		if f := s.otherTopic(); f != nil {
			f.Message += "; " + takenOver + ", and " + why
			return Halt{*f}
		}
	}
	return Halt{AtTarget(Blocked, fsm.CodePositionUnknown, from, s.Log.LogEnd, takenOver+", which may have copied on after what is known here: "+why)}
}
