package verify

import (
	"sort"

	"sluice/fsm"
)

// mapping says where a source record must stand at the target. It is a value:
// nobody changes its segments.
type mapping struct {
	segments []fsm.Segment
	// thinned segments at the front end not where the next one begins: the facts
	// drop segments of translated streams, all but the newest. What stands
	// between two of them is known within a range.
	thinned int
	foreign bool // records of other writers may stand between ours
}

// newMapping is the mapping of a stream; shared says that others write to its
// target partition too. Where a shift grows, others have written, shared or not.
func newMapping(m *fsm.Mapping, shared bool) mapping {
	out := mapping{segments: m.Segments, foreign: shared}
	if m.Phase == fsm.PhaseTranslated {
		out.thinned = max(0, len(m.Segments)-fsm.MaxSegments/4)
	}
	for i := 1; i < len(m.Segments); i++ {
		out.foreign = out.foreign || m.Segments[i].Shift() > m.Segments[i-1].Shift()
	}
	return out
}

// at is the segment that a source offset lies in, -1: before the first.
func (m mapping) at(source int64) int {
	return sort.Search(len(m.segments), func(i int) bool { return m.segments[i].Source > source }) - 1
}

// exact reports whether target is exact at a source position of segment i.
func (m mapping) exact(i int, source int64) bool {
	return i < 0 || i >= m.thinned || source == m.segments[i].Source
}

// settled gives the last source position up to source where target is exact.
func (m mapping) settled(source int64) int64 {
	if i := m.at(source); !m.exact(i, source) {
		return m.segments[i].Source
	}
	return source
}

// settles gives the first source position from source on where target is
// exact.
func (m mapping) settles(source int64) int64 {
	if i := m.at(source); !m.exact(i, source) {
		return m.segments[i+1].Source // the last segment is exact
	}
	return source
}

// place is the range of target offsets where a record may stand, never empty.
// Skipped: it stands nowhere, for the mapping itself says that it was not
// copied.
type place struct {
	lo, hi  int64
	skipped bool
}

func (p place) holds(target int64) bool { return !p.skipped && p.lo <= target && target <= p.hi }

// locate gives the place of a source offset. A record that would stand where
// the next segment begins, or later, was left out: that is how a gap that an
// operator accepted, or a filter, shows in the mapping.
//
// Between two segments of which others were dropped a record stands behind what
// stands before the first and before the second. Where nobody else writes, each
// segment that was dropped left source offsets out, so it also stands no further
// than the first one's shift puts it, and there is a source offset for each
// target offset up to the second one.
func (m mapping) locate(source int64) place {
	i := m.at(source)
	if i < 0 {
		return place{skipped: true}
	}
	seg := m.segments[i]
	p := place{lo: source + seg.Shift(), hi: source + seg.Shift()}
	if i+1 == len(m.segments) {
		return p
	}
	next := m.segments[i+1]
	switch {
	case m.exact(i, source):
	case m.foreign:
		p.lo, p.hi = seg.Target, next.Target-1
	default:
		p.lo = max(seg.Target, next.Target-(next.Source-source))
		p.hi = min(p.hi, next.Target-1)
	}
	if p.lo > p.hi || p.lo >= next.Target {
		return place{skipped: true}
	}
	return p
}

// target gives the target offset that belongs to a source position: where the
// first record at or after it stands or will stand. Where it is not exact
// (settled, settles) and nobody else writes, it is the highest that this may be.
func (m mapping) target(source int64) int64 {
	i := m.at(source)
	if i < 0 {
		return m.segments[0].Target
	}
	t := source + m.segments[i].Shift()
	if i+1 < len(m.segments) {
		t = min(t, m.segments[i+1].Target)
	}
	return t
}

// source gives the source position that belongs to a target position: all
// before it stands before target.
func (m mapping) source(target int64) int64 {
	i := sort.Search(len(m.segments), func(i int) bool { return m.segments[i].Target > target }) - 1
	if i < 0 {
		return m.segments[0].Source
	}
	if i < m.thinned && m.foreign {
		return m.segments[i].Source // further on it is not known
	}
	s := target - m.segments[i].Shift()
	if i+1 < len(m.segments) {
		s = min(s, m.segments[i+1].Source)
	}
	return s
}

// from gives the first source position from source on where target is exact and
// gives no less than the target position.
func (m mapping) from(source, target int64) int64 {
	s := m.settles(max(source, m.source(target)))
	for m.target(s) < target {
		s = m.segments[m.at(s)+1].Source
	}
	return s
}
