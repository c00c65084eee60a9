package verify

import (
	"cmp"
	"slices"
)

// book gathers what is found of all partitions.
type book struct {
	maxFaults int
	total     Result
	done      int // partitions
	left      map[leftKey]*LeftOut
	partly    map[string]bool // topics of which something was left out
	topics    map[string]bool // topics of which a partition was compared
}

// leftKey is what LeftOuts of one row have in common.
type leftKey struct {
	topic   string
	why     Why
	message string
}

func newBook(maxFaults int, s selection) book {
	b := book{maxFaults: maxFaults, left: map[leftKey]*LeftOut{}, partly: map[string]bool{}, topics: map[string]bool{}}
	b.total.Selected = s.selected
	for _, l := range s.left {
		b.leaveOut(l)
	}
	return b
}

func (b *book) leaveOut(l LeftOut) {
	b.partly[l.Topic] = true
	key := leftKey{l.Topic, l.Why, l.Message}
	row := b.left[key]
	if row == nil {
		row = &LeftOut{Topic: l.Topic, Why: l.Why, Message: l.Message}
		b.left[key] = row
	}
	row.Partitions = append(row.Partitions, l.Partitions...)
	row.Offsets += l.Offsets
}

func (b *book) add(f found) {
	b.done++
	b.total.Counts.Add(f.counts)
	b.total.Ranges = append(b.total.Ranges, f.compare)
	b.topics[f.compare.Topic] = true
	for _, l := range f.left {
		b.leaveOut(l)
	}
	if len(f.left) == 0 {
		b.total.Covered.Partitions++
	}
	b.total.Faults = append(b.total.Faults, f.faults...)
	slices.SortFunc(b.total.Faults, func(a, c Fault) int {
		return cmp.Or(cmp.Compare(a.Topic, c.Topic), cmp.Compare(a.Partition, c.Partition),
			cmp.Compare(max(a.Source, a.Target), max(c.Source, c.Target)))
	})
	b.total.Faults = b.total.Faults[:min(len(b.total.Faults), b.maxFaults)]
}

// result is what was found so far; whole once the job is done.
func (b *book) result(whole bool) Result {
	r := b.total
	r.Faults, r.Ranges = slices.Clone(r.Faults), nil
	for topic := range b.topics {
		if !b.partly[topic] {
			r.Covered.Topics++
		}
	}
	if !whole {
		return r
	}
	r.Ranges = slices.SortedFunc(slices.Values(b.total.Ranges), func(a, c Range) int {
		return cmp.Or(cmp.Compare(a.Topic, c.Topic), cmp.Compare(a.Partition, c.Partition))
	})
	for _, l := range b.left {
		row := *l
		row.Partitions = slices.Sorted(slices.Values(l.Partitions))
		r.LeftOut = append(r.LeftOut, row)
	}
	slices.SortFunc(r.LeftOut, func(a, c LeftOut) int {
		return cmp.Or(cmp.Compare(a.Topic, c.Topic), cmp.Compare(a.Why, c.Why), cmp.Compare(a.Message, c.Message))
	})
	return r
}
