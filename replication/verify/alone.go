package verify

import (
	"cmp"
	"slices"

	"sluice/replication/offsets"
)

// side is one of both.
type side int

const (
	atSource side = iota
	atTarget
)

func (s side) other() side { return 1 - s }

// lone are the records of one key that one side has and the other lacks, as far
// as no later record of the key was found at both.
type lone struct {
	last   item
	n      int64
	behind *item // the last one behind all that is compared, nil: none
	stale  bool  // the side that lacks them has an earlier record of the key
}

// end is the last one of the key that the side has.
func (l *lone) end() item {
	if l.behind != nil {
		return *l.behind
	}
	return l.last
}

// cleaners are what is known of those of both sides.
type cleaners struct {
	runs    [2]bool  // by side
	expired [2]int64 // by side: timestamp (ms) before which tombstones may have been removed
	now     int64    // ms
}

// alone holds the records of a topic that is compacted which stand on one side
// only. A cleaner removes a record only once a later one of its key follows, so
// each of them waits for one: where none comes, it was lost.
//
// What waits is bounded. Beyond, half of all keys are let go, and again: those
// that are kept are kept from the first record to the last, so what is found of
// them is sure; records of the others are not decided.
type alone struct {
	tally
	mapping  offsets.Translation
	blind    [2]bool // by side: some of its records were not looked at
	cleaners cleaners
	most     int // keys that may wait, both sides together
	waits    [2]map[uint64]lone
	halved   int // so often
}

// keyOf tells the records of one key. One without a key is its own: cleaners
// remove it whatever follows.
func keyOf(it item) uint64 {
	if it.key != 0 {
		return it.key
	}
	return (it.value ^ uint64(it.timestamp)) * 0x9e3779b97f4a7c15
}

// keeps reports whether records of the key are decided.
func (a *alone) keeps(key uint64) bool { return a.halved == 0 || key>>(64-a.halved) == 0 }

// add lets a record wait, and returns how many were given up for it.
func (a *alone) add(at side, it item) (lost int64) {
	key := keyOf(it)
	if !a.keeps(key) {
		return 1
	}
	if a.waits[at] == nil {
		a.waits[at] = map[uint64]lone{}
	}
	l := a.waits[at][key]
	a.waits[at][key] = lone{last: it, n: l.n + 1}
	for a.most > 0 && len(a.waits[atSource])+len(a.waits[atTarget]) > a.most && a.halved < 63 {
		a.halved++
		for _, m := range a.waits {
			for key, l := range m { // in any order: a sum
				if !a.keeps(key) {
					lost += l.n
					delete(m, key)
				}
			}
		}
	}
	return lost
}

// take removes what waits of a key.
func (a *alone) take(at side, key uint64) lone {
	l := a.waits[at][key]
	delete(a.waits[at], key)
	return l
}

// waiting reports whether anything waits.
func (a *alone) waiting() bool { return len(a.waits[atSource])+len(a.waits[atTarget]) > 0 }

// follow notes a record of a side behind all that is compared.
func (a *alone) follow(at side, it item) {
	if l, ok := a.waits[at][keyOf(it)]; ok {
		l.behind = &it
		a.waits[at][keyOf(it)] = l
	}
}

// gone reports whether what a side has alone ends with a tombstone that the other
// may have removed again, as it may once nothing of the key stands before it. A
// timestamp of the future does not tell how old it is.
func (a *alone) gone(at side, l *lone) bool {
	end := l.end()
	old := end.timestamp < a.cleaners.expired[at.other()] || end.timestamp > a.cleaners.now
	return a.cleaners.runs[at.other()] && end.value == 0 && end.key != 0 && old
}

// doubts reports whether a side has such tombstones: whether the other has an
// earlier record of their keys is to be found out.
func (a *alone) doubts(at side) bool {
	for _, l := range a.waits[at] { // in any order: any is enough
		if a.gone(at, &l) {
			return true
		}
	}
	return false
}

// earlier is about a record of one side, in what was compared: a tombstone that
// this side lacks and that would have removed it was lost.
func (a *alone) earlier(at side, it item) {
	if l, ok := a.waits[at.other()][keyOf(it)]; ok {
		l.stale = true
		a.waits[at.other()][keyOf(it)] = l
	}
}

// rest gives the keys of what still waits, in the order of its offsets.
func (a *alone) rest() []uint64 {
	var keys []uint64
	for _, m := range a.waits {
		for key := range m { // in any order: sorted below
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	at := func(key uint64) int64 {
		return max(a.waits[atSource][key].last.offset, a.waits[atTarget][key].last.offset)
	}
	slices.SortStableFunc(keys, func(x, y uint64) int { return cmp.Compare(at(x), at(y)) })
	return keys
}
