package fsm

// MaxSegments bounds the checkpointed segments of a translated stream.
const MaxSegments = 512

// JoinSegments appends the segments that lie beyond the last one, and thins
// all out when they are too many. It is the one rule for segments that are in
// the facts and for those that wait to be. What it returns shares nothing with
// what it was given, and takes the room of MaxSegments at most.
func JoinSegments(have, more []Segment) []Segment {
	out := thin(extend(have, more))
	if cap(out) > MaxSegments {
		out = append(make([]Segment, 0, len(out)), out...)
	}
	return out
}

// extend appends the segments that lie beyond the last one.
func extend(have, more []Segment) []Segment {
	out := append(make([]Segment, 0, len(have)+len(more)), have...)
	for _, s := range more {
		if n := len(out); n == 0 || s.Source > out[n-1].Source && s.Target >= out[n-1].Target {
			out = append(out, s)
		}
	}
	return out
}

// thin drops every second of the older half when there are too many; those
// that stay are still exact at their start.
func thin(s []Segment) []Segment {
	for len(s) > MaxSegments {
		half := len(s) / 2
		kept := make([]Segment, 0, len(s)-half/2)
		for i, seg := range s {
			if i == 0 || i >= half || i%2 == 0 {
				kept = append(kept, seg)
			}
		}
		s = kept
	}
	return s
}

// newest is how many segments of a mapping that was only ever thinned, never
// cut, have surely no dropped one behind them: thin leaves the newer half whole.
const newest = MaxSegments / 4

// ExactFrom is the source offset from which on all segments are there. Behind
// one that begins before it others may have been dropped.
func (m *Mapping) ExactFrom() int64 {
	if i := len(m.Segments) - newest; i > 0 && m.Phase == PhaseTranslated {
		return max(m.Thinned, m.Segments[i].Source)
	}
	return m.Thinned
}

// thinnedAfter is Thinned of the mapping next that follows m. Where next has cut
// off the newest segments, some of those that are the newest now may have
// dropped ones behind them. What it adds is exact: it was counted, or found by
// comparing both logs.
func (m *Mapping) thinnedAfter(next *Mapping) int64 {
	if m.Phase != PhaseTranslated || next.Phase != PhaseTranslated {
		return 0
	}
	same := 0
	for same < min(len(m.Segments), len(next.Segments)) && m.Segments[same] == next.Segments[same] {
		same++
	}
	from := min(m.ExactFrom(), next.Segments[min(same, len(next.Segments)-1)].Source)
	if from <= next.Segments[0].Source {
		return 0
	}
	return from
}
