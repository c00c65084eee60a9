package offsets

import (
	"fmt"
	"slices"
	"sort"

	"sluice/fsm"
)

// Translation says where source records stand at the target, exactly or within
// a range. It is a value: nobody changes its segments.
type Translation struct {
	segments []fsm.Segment
	// thinned segments at the front end not where the next one begins: the facts
	// drop segments of translated streams, all but the newest (fsm.ExactFrom).
	// What stands between two of them is known within a range.
	thinned int
}

// Translate returns the translation of a stream's mapping.
func Translate(m *fsm.Mapping) Translation {
	s, exact := m.Segments, m.ExactFrom()
	thinned := sort.Search(len(s), func(i int) bool { return s[i].Source >= exact })
	return Translation{segments: s, thinned: min(thinned, len(s)-1)}
}

// Start is the source offset that the stream starts with.
func (t Translation) Start() int64 { return t.segments[0].Source }

// at is the segment that a source offset lies in, -1: before the first.
func (t Translation) at(source int64) int {
	return sort.Search(len(t.segments), func(i int) bool { return t.segments[i].Source > source }) - 1
}

// exact reports whether Target is exact at a source position of segment i.
func (t Translation) exact(i int, source int64) bool {
	return i < 0 || i >= t.thinned || source == t.segments[i].Source
}

// Settled gives the last source position up to source where Target is exact.
func (t Translation) Settled(source int64) int64 {
	if i := t.at(source); !t.exact(i, source) {
		return t.segments[i].Source
	}
	return source
}

// SettledAt reports whether Source is exact at a target position.
func (t Translation) SettledAt(target int64) bool {
	i := sort.Search(len(t.segments), func(i int) bool { return t.segments[i].Target > target }) - 1
	return i < 0 || i >= t.thinned
}

// Settles gives the first source position from source on where Target is
// exact.
func (t Translation) Settles(source int64) int64 {
	if i := t.at(source); !t.exact(i, source) {
		return t.segments[i+1].Source // the last segment is exact
	}
	return source
}

// Place is the range of target offsets where a record may stand, never empty.
// Skipped: it stands nowhere, for the mapping itself says that it was not
// copied.
type Place struct {
	Lo, Hi  int64
	Skipped bool
}

// Holds reports whether the record may stand at the target offset.
func (p Place) Holds(target int64) bool { return !p.Skipped && p.Lo <= target && target <= p.Hi }

func (p Place) String() string {
	if p.Lo == p.Hi {
		return fmt.Sprint(p.Lo)
	}
	return fmt.Sprintf("%d to %d", p.Lo, p.Hi)
}

// Place gives the place of a source offset. A record that would stand where
// the next segment begins, or later, was left out: that is how a gap that an
// operator accepted, or a filter, shows in the mapping.
//
// Between two segments of which others were dropped no more is sure than that it
// stands behind what stands before the first and before the second: the dropped
// ones may have left out source offsets, and target offsets, where others wrote
// or records were copied a second time.
func (t Translation) Place(source int64) Place {
	i := t.at(source)
	if i < 0 {
		return Place{Skipped: true}
	}
	seg := t.segments[i]
	p := Place{Lo: source + seg.Shift(), Hi: source + seg.Shift()}
	if i+1 == len(t.segments) {
		return p
	}
	next := t.segments[i+1]
	if !t.exact(i, source) {
		p.Lo, p.Hi = seg.Target, next.Target-1
	}
	if p.Lo > p.Hi || p.Lo >= next.Target {
		return Place{Skipped: true}
	}
	return p
}

// Target gives the target offset that belongs to a source position: where the
// first record at or after it stands or will stand. Where it is not exact
// (Settled, Settles) it may stand anywhere up to the next segment.
func (t Translation) Target(source int64) int64 {
	i := t.at(source)
	if i < 0 {
		return t.segments[0].Target
	}
	at := source + t.segments[i].Shift()
	if i+1 < len(t.segments) {
		at = min(at, t.segments[i+1].Target)
	}
	return at
}

// Least gives the least target offset where what stands at the source position
// or behind it may stand.
func (t Translation) Least(source int64) int64 { return t.Target(t.Settled(source)) }

// With adds a place that is known beside the mapping: the source record stands at
// the target offset. Where the mapping says so already, or the contrary, it is
// returned as it is.
func (t Translation) With(at fsm.Segment) Translation {
	i := t.at(at.Source)
	if t.exact(i, at.Source) || !t.Place(at.Source).Holds(at.Target) {
		return t
	}
	return Translation{segments: slices.Insert(slices.Clone(t.segments), i+1, at), thinned: t.thinned + 1}
}

// Open gives the source positions from a first one on of which it is not known
// exactly what stands there at a target whose log starts at head; none: from is
// to.
func (t Translation) Open(source, head int64) (from, to int64) {
	from = max(source, t.Source(head))
	return from, max(from, t.From(source, head))
}

// Source gives the source position that belongs to a target position: all
// before it stands before target.
func (t Translation) Source(target int64) int64 {
	i := sort.Search(len(t.segments), func(i int) bool { return t.segments[i].Target > target }) - 1
	if i < 0 {
		return t.segments[0].Source
	}
	if i < t.thinned {
		return t.segments[i].Source // further on it is not known
	}
	s := target - t.segments[i].Shift()
	if i+1 < len(t.segments) {
		s = min(s, t.segments[i+1].Source)
	}
	return s
}

// Meant reports whether the mapping has a source offset that belongs to the
// target offset. There is none where others wrote, and where records stand
// that were copied again behind it.
func (t Translation) Meant(target int64) bool {
	i := sort.Search(len(t.segments), func(i int) bool { return t.segments[i].Target > target }) - 1
	if i < 0 || i < t.thinned || i+1 == len(t.segments) {
		return i >= 0
	}
	return target-t.segments[i].Shift() < t.segments[i+1].Source
}

// From gives the first source position from source on where Target is exact and
// gives no less than the target position.
func (t Translation) From(source, target int64) int64 {
	s := t.Settles(max(source, t.Source(target)))
	for t.Target(s) < target {
		s = t.segments[t.at(s)+1].Source
	}
	return s
}
