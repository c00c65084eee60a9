package verify

import "fmt"

// lonely is about a record that has no match at the head of the other side.
func (a *alone) lonely(at side, it item) {
	key := keyOf(it)
	other, ok := a.waits[at.other()][key]
	if ok && other.last.same(it) {
		s, t := other.last, it
		if at == atSource {
			s, t = it, other.last
		}
		if a.mapping.Place(s.offset).Holds(t.offset) {
			other.n--
			a.waits[at.other()][key] = other
			a.counts.Compared++
			a.remember(t)
			a.common(key)
			return
		}
	}
	if a.repeats(at, it) {
		a.counts.Compacted++
		a.common(key)
		return
	}
	a.counts.Undecided += a.add(at, it)
}

// repeats reports whether a record is equal to the last one of its key that both
// sides have: where no offset tells them apart, that may as well be this one.
func (a *alone) repeats(at side, it item) bool {
	if at == atSource && a.mapping.Settled(it.offset) == it.offset || at == atTarget && a.mapping.SettledAt(it.offset) {
		return false
	}
	for i := range a.recent { // the youngest first
		r := a.recent[(a.recentNext-1-i+2*len(a.recent))%len(a.recent)]
		if r.key == it.key {
			return r.same(it)
		}
	}
	return false
}

// common notes a record that is at both sides: cleaners had cause to remove
// what stands before it of its key.
func (a *alone) common(key uint64) {
	a.removed(atSource, a.take(atSource, key))
	a.removed(atTarget, a.take(atTarget, key))
}

// later notes a record of one side that stands behind all that is compared.
// copied tells that the other has had it too, and may have removed it.
func (a *alone) later(at side, it item, copied bool) {
	a.removed(at.other(), a.take(at.other(), keyOf(it)))
	if copied {
		a.follow(at, it)
	}
}

// removed is about records of one side that stand before a later one of their
// key at the other.
func (a *alone) removed(at side, l lone) {
	switch {
	case l.n == 0:
	case a.cleaners.runs[at.other()]:
		a.counts.Compacted += l.n
	default:
		a.lost(at, l, "and its topic is not compacted there")
	}
}

// lost is about records of one side that the other had no cause to remove.
func (a *alone) lost(at side, l lone, why string) {
	if a.blind[at.other()] { // the cause may stand there
		a.counts.Undecided += l.n
		return
	}
	if l.n > 1 {
		why += fmt.Sprintf("; as %d before it of the same key", l.n-1)
	}
	if at == atSource {
		a.counts.Missing += l.n
		a.fault(Missing, l.last.offset, -1, "not at the target, "+why)
	} else {
		a.counts.Extra += l.n
		a.fault(Extra, -1, l.last.offset, "not at the source, "+why)
	}
}

// close decides about all that still waits, once nothing can come any more.
func (a *alone) close() {
	for _, key := range a.rest() {
		s, t := a.take(atSource, key), a.take(atTarget, key)
		p := a.mapping.Place(s.last.offset)
		switch {
		case t.n == 0:
			a.last(atSource, s)
		case s.n == 0:
			a.last(atTarget, t)
		case t.last.offset > p.Hi:
			a.removed(atSource, s)
			a.last(atTarget, t)
		case t.last.offset < p.Lo:
			a.removed(atTarget, t)
			a.last(atSource, s)
		case a.blind[atSource], a.blind[atTarget]:
			a.counts.Undecided += s.n + t.n
		default:
			a.counts.Differing++
			a.fault(Differing, s.last.offset, t.last.offset, "the last records of one key: "+s.last.differences(t.last)+" differ")
			s.n--
			t.n--
			a.removed(atSource, s)
			a.removed(atTarget, t)
		}
	}
}

// last is about the records of a key that one side has alone, none behind
// them.
func (a *alone) last(at side, l lone) {
	switch {
	case !a.cleaners.runs[at.other()]:
		a.lost(at, l, "and its topic is not compacted there")
	case l.last.key == 0: // a cleaner removes what has no key
		a.counts.Compacted += l.n
	case l.stale:
		a.lost(at, l, "which has an earlier record of its key that it would have deleted")
	case a.gone(at, &l) && l.behind != nil:
		a.counts.Compacted += l.n
	case a.gone(at, &l):
		a.counts.Tombstones++
		a.counts.Compacted += l.n - 1
	default:
		a.lost(at, l, "which has no later record of its key")
	}
}
