package verify

import (
	"sort"

	"sluice/fsm"
)

// mapping says where a source record must stand at the target.
type mapping struct {
	segments   []fsm.Segment
	translated bool // segments may have been thinned: between two of them offsets lie in a range
}

func newMapping(m *fsm.Mapping) mapping {
	return mapping{segments: m.Segments, translated: m.Phase == fsm.PhaseTranslated}
}

// exact reports whether the segment i ends where the next one begins: the
// facts thin out all but the newest segments of a translated stream.
func (m mapping) exact(i int) bool {
	return !m.translated || len(m.segments)-i <= fsm.MaxSegments/4
}

// settled gives the last source position up to which target is exact.
func (m mapping) settled(source int64) int64 {
	i := sort.Search(len(m.segments), func(i int) bool { return m.segments[i].Source > source }) - 1
	if i < 0 || m.exact(i) {
		return source
	}
	return m.segments[i].Source
}

// place is the range of target offsets where a record may stand. Skipped: the
// mapping itself says that it was not copied.
type place struct {
	lo, hi  int64
	skipped bool
}

func (p place) holds(target int64) bool { return !p.skipped && p.lo <= target && target <= p.hi }

// locate gives the place of a source offset. A record that would stand where
// the next segment begins, or later, was left out: that is how a gap that an
// operator accepted, or a filter, shows in the mapping.
func (m mapping) locate(source int64) place {
	i := sort.Search(len(m.segments), func(i int) bool { return m.segments[i].Source > source }) - 1
	if i < 0 {
		return place{skipped: true}
	}
	seg := m.segments[i]
	p := place{lo: source + seg.Shift(), hi: source + seg.Shift()}
	if i+1 == len(m.segments) {
		return p
	}
	next := m.segments[i+1]
	if !m.exact(i) && source > seg.Source {
		// The segments that were between, each of them left source offsets out.
		p.lo = max(seg.Target+1, next.Target-(next.Source-source))
		p.hi = min(p.hi, next.Target-1)
	}
	p.skipped = p.lo > p.hi || p.lo >= next.Target
	return p
}

// target gives the target offset that belongs to a source position: where the
// first record at or after it stands or will stand.
func (m mapping) target(source int64) int64 {
	i := sort.Search(len(m.segments), func(i int) bool { return m.segments[i].Source > source }) - 1
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
	s := target - m.segments[i].Shift()
	if i+1 < len(m.segments) {
		s = min(s, m.segments[i+1].Source)
	}
	return s
}
