package verify

import "sluice/fsm"

// Records enough to know a place by: fewer may stand elsewhere too. Where they
// repeat themselves more are taken, up to so many.
const (
	enoughToKnow = lookahead
	mostToKnow   = memory
)

// meeting finds where two logs that begin with different records meet: the
// first records of the one somewhere in the other. Both hold the same records in
// the same order, and either may lack the oldest. It holds the first records of
// both, whatever is read.
type meeting struct {
	sides [2]approach
	at    fsm.Segment // where they meet, once found
	found bool
}

// approach is one side of a meeting.
type approach struct {
	limit int64  // offset: from there on nothing has to be found
	first []item // its first records, a pattern
	fail  []int  // how long a beginning of the pattern ends with its n-th record
	known bool   // the pattern is complete
	whole bool   // it is all that the side has
	read  []item // before the other's pattern was complete
	ended bool   // the side has no more, or no more is needed

	passed int     // records that were held against the other's pattern
	match  int     // so many of the last ones are the beginning of it
	starts []int64 // their offsets, a ring
}

// newMeeting looks up to a source offset and the target offset that belongs to
// it.
func newMeeting(source, target int64) *meeting {
	return &meeting{sides: [2]approach{{limit: source}, {limit: target}}}
}

// wants tells which side to read on, false: it is decided.
func (m *meeting) wants() (side, bool) {
	s, t := &m.sides[atSource], &m.sides[atTarget]
	switch {
	case m.found:
		return 0, false
	case !s.known:
		return atSource, true
	case !t.known:
		return atTarget, true
	case !s.ended && (t.ended || s.passed <= t.passed):
		return atSource, true
	}
	return atTarget, !t.ended
}

// add takes what was read of a side; end: it has no more.
func (m *meeting) add(at side, items []item, end bool) {
	a := &m.sides[at]
	if !a.known {
		a.learn(items, end)
	}
	a.read = append(a.read, items...)
	a.ended = end
	if m.sides[atSource].known && m.sides[atTarget].known {
		m.hold(atSource)
		m.hold(atTarget)
	}
}

// learn adds records to the pattern until it is long enough and cannot overlap
// with itself.
func (a *approach) learn(items []item, end bool) {
	for _, it := range items {
		n := 0
		if len(a.first) > 0 {
			n = a.fail[len(a.fail)-1]
			for n > 0 && !a.first[n].same(it) {
				n = a.fail[n-1]
			}
			if a.first[n].same(it) {
				n++
			}
		}
		a.first, a.fail = append(a.first, it), append(a.fail, n)
		if a.known = len(a.first) >= enoughToKnow && n == 0 || len(a.first) >= mostToKnow; a.known {
			return
		}
	}
	a.known, a.whole = end, end
}

// usable reports whether the pattern tells a place.
func (a *approach) usable() bool {
	return len(a.first) > 0 && (a.whole || a.fail[len(a.fail)-1] == 0)
}

// hold holds what was read of a side against the first records of the other.
func (m *meeting) hold(at side) {
	a, other := &m.sides[at], &m.sides[at.other()]
	for i, it := range a.read {
		if m.found || a.match == 0 && it.offset >= a.limit {
			a.ended = true
			break
		}
		if start, ok := a.next(it, other); ok && (!other.whole || a.ended && i == len(a.read)-1) {
			m.meet(at, start, other.first[0].offset)
		}
	}
	a.read = nil
}

// next goes on by one record, and gives the offset of the first one where so many
// are the other's pattern.
func (a *approach) next(it item, other *approach) (start int64, ok bool) {
	p := other.first
	if !other.usable() {
		a.ended = true
		return 0, false
	}
	if a.starts == nil {
		a.starts = make([]int64, len(p))
	}
	a.starts[a.passed%len(p)] = it.offset
	a.passed++
	for a.match > 0 && (a.match == len(p) || !p[a.match].same(it)) {
		a.match = other.fail[a.match-1]
	}
	if p[a.match].same(it) {
		a.match++
	}
	return a.starts[a.passed%len(p)], a.match == len(p)
}

func (m *meeting) meet(at side, start, first int64) {
	m.found, m.at = true, fsm.Segment{Source: start, Target: first}
	if at == atTarget {
		m.at = fsm.Segment{Source: first, Target: start}
	}
}
