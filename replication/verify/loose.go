package verify

import (
	"fmt"
	"slices"
)

// loose is a record without its match so far.
type loose struct {
	item
	fault int // index of its Fault, -1: not kept
}

// memory is how many unmatched, and how many matched, records are remembered
// to tell a misplaced or repeated record from a missing or strange one.
const memory = 1024

// tally books what a comparison finds of one partition: counts, the first
// faults, and the records that are without a match so far.
type tally struct {
	maxFaults      int
	topic          string
	partition      int32
	counts         Counts
	faults         []Fault
	missing, extra []loose
	recent         []item // matched target records, a ring
	recentNext     int
}

// noteMissing is about a source record that is not where it should be.
func (y *tally) noteMissing(s item) {
	if y.settle(&y.extra, &y.counts.Extra, s) {
		return
	}
	y.counts.Missing++
	y.missing = push(y.missing, loose{s, y.fault(Missing, s.offset, -1, "not at the target")})
}

// noteGone is about a source record that was deleted at the target before its
// time.
func (y *tally) noteGone(s item) {
	y.counts.Missing++
	y.counts.TargetGone++
	y.fault(Missing, s.offset, -1, "deleted at the target, and the source's retention keeps it")
}

// noteExtra is about a target record that belongs to no source record.
func (y *tally) noteExtra(t item) {
	if y.settle(&y.missing, &y.counts.Missing, t) {
		return
	}
	y.counts.Extra++
	message := "not at the source"
	if at, ok := y.seen(t); ok {
		message = fmt.Sprintf("a duplicate of target offset %d", at)
	}
	y.extra = push(y.extra, loose{t, y.fault(Extra, -1, t.offset, message)})
}

// noteAgain is about a target record that stands there once more, further on.
func (y *tally) noteAgain(s, t item) {
	y.counts.Extra++
	y.fault(Extra, -1, t.offset, fmt.Sprintf("source offset %d, which was copied again further on", s.offset))
}

// settle accounts for a record without its match that is equal to one of those
// that are loose at the other side, noted so often.
func (y *tally) settle(others *[]loose, noted *int64, it item) bool {
	other, ok := take(others, it)
	if !ok {
		return false
	}
	*noted--
	source, target := it.offset, other.offset
	if others == &y.missing {
		source, target = target, source
	}
	y.misordered(source, target, other.fault)
	return true
}

// differ is about two records at the same place that are not equal.
func (y *tally) differ(s, t item) {
	y.counts.Differing++
	y.fault(Differing, s.offset, t.offset, s.differences(t)+" differ")
}

// misordered turns the fault of a record that was thought missing or extra.
func (y *tally) misordered(source, target int64, fault int) {
	y.counts.Misordered++
	if fault >= 0 {
		f := &y.faults[fault]
		f.Kind, f.Source, f.Target, f.Message = Misordered, source, target, "out of order"
	}
}

// fault keeps one of the first faults and returns its index, -1: not kept.
func (y *tally) fault(k Kind, source, target int64, message string) int {
	if len(y.faults) >= y.maxFaults {
		return -1
	}
	y.faults = append(y.faults, Fault{Kind: k, Topic: y.topic, Partition: y.partition, Source: source, Target: target, Message: message})
	return len(y.faults) - 1
}

// remember keeps a matched target record for a while.
func (y *tally) remember(t item) {
	if len(y.recent) < memory {
		y.recent = append(y.recent, t)
		return
	}
	y.recent[y.recentNext] = t
	y.recentNext = (y.recentNext + 1) % memory
}

// seen finds an equal record among those matched a while ago.
func (y *tally) seen(t item) (offset int64, ok bool) {
	i := slices.IndexFunc(y.recent, func(r item) bool { return r.same(t) })
	if i < 0 {
		return 0, false
	}
	return y.recent[i].offset, true
}

// take removes the first equal record.
func take(list *[]loose, it item) (loose, bool) {
	i := slices.IndexFunc(*list, func(l loose) bool { return l.same(it) })
	if i < 0 {
		return loose{}, false
	}
	found := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return found, true
}

// push appends and forgets the oldest beyond memory.
func push(list []loose, l loose) []loose {
	if len(list) >= memory {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, l)
}
