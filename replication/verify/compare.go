package verify

import (
	"fmt"
	"slices"

	"sluice/replication/offsets"
)

// lookahead is how many records of each side are searched for the place where
// the sides agree again.
const lookahead = 32

// comparison compares the records of one partition. Feed it with push, in any
// chunks, until both sides have ended.
type comparison struct {
	tally
	mapping offsets.Translation
	floor   int64 // target offset; what stands below it is gone at one side
	head    int64 // log start of the target
	due     int64 // source offset; what stands below it the source's retention deletes too
	source  queue
	target  queue
	holes   holes
}

// queue is a FIFO of records. Its end is known once closed.
type queue struct {
	items  []item // a part of store
	store  []item
	closed bool
}

func (q *queue) pop(n int) { q.items = q.items[n:] }

func (q *queue) add(more []item, end bool) {
	q.store = append(append(q.store[:0], q.items...), more...)
	q.items = q.store
	q.closed = q.closed || end
}

// wants reports whether the comparison may need more of this side.
func (q *queue) wants() bool { return !q.closed && len(q.items) <= lookahead }

// push adds records of the sides and compares what can be compared. ends
// tells that a side has no more.
func (c *comparison) push(source, target []item, sourceEnd, targetEnd bool) {
	c.source.add(c.keptSource(source), sourceEnd)
	c.target.add(c.keptTarget(target), targetEnd)
	for c.step() {
	}
}

// trim notes that retention took what lay below the source offset, or below
// the target offset, while they were read; 0: nothing.
func (c *comparison) trim(source, target int64) {
	if source > 0 || target > 0 {
		c.floor = max(c.floor, target, c.mapping.Target(c.mapping.From(source, target)))
		c.head = max(c.head, target)
	}
}

// leaveOut adds batches that were not opened, and takes what lies in them at the
// other side out of the comparison.
func (c *comparison) leaveOut(source, target []hole) {
	for _, h := range source {
		c.counts.TooLarge += h.records
		c.holes.name("source", h)
		h.from, h.to = c.mapping.Target(c.mapping.Settled(h.from)), c.mapping.Target(c.mapping.Settles(h.to))
		c.holes.source = append(c.holes.source, h)
	}
	for _, h := range target {
		c.holes.name("target", h)
		c.holes.target = append(c.holes.target, h)
	}
	if len(source) > 0 || len(target) > 0 {
		c.source.items, c.target.items = c.keptSource(c.source.items), c.keptTarget(c.target.items)
	}
}

// keptSource counts and leaves out the source records that stand in a batch of
// the target that was not opened.
func (c *comparison) keptSource(items []item) []item {
	if len(c.holes.target) == 0 {
		return items
	}
	return slices.DeleteFunc(items, func(it item) bool {
		p := c.mapping.Place(it.offset)
		in := !p.Skipped && within(c.holes.target, p.Lo, p.Hi)
		if in {
			c.counts.TooLarge++
		}
		return in
	})
}

// keptTarget leaves out the copies of source batches that were not opened.
func (c *comparison) keptTarget(items []item) []item {
	return slices.DeleteFunc(items, func(it item) bool { return within(c.holes.source, it.offset, it.offset) })
}

// step compares the heads; false when more records are needed.
func (c *comparison) step() bool {
	s, t := c.source.items, c.target.items
	if len(s) > 0 {
		if p := c.mapping.Place(s[0].offset); p.Skipped || p.Hi < c.floor {
			c.passOver(p)
			return true
		}
	}
	switch {
	case len(t) > 0 && t[0].offset < c.floor:
		if t[0].offset >= c.head {
			c.counts.SourceGone++
		}
		c.target.pop(1)
		return true
	case len(s) == 0 && len(t) == 0, len(s) == 0 && !c.source.closed, len(t) == 0 && !c.target.closed:
		return false
	case len(s) == 0:
		c.noteExtra(t[0])
		c.target.pop(1)
		return true
	case len(t) == 0:
		c.noteMissing(s[0])
		c.source.pop(1)
		return true
	case s[0].same(t[0]) && c.again(s[0], t[0]):
		c.noteAgain(s[0], t[0])
		c.target.pop(1)
		return true
	case s[0].same(t[0]):
		if c.compacted && !c.mapping.Place(s[0].offset).Holds(t[0].offset) {
			c.byOffset(s[0], t[0])
			return true
		}
		c.pair(s[0], t[0])
		return true
	case c.compacted:
		c.byOffset(s[0], t[0])
		return true
	}
	// Enough of both sides must be there to find where they agree again.
	if c.source.wants() || c.target.wants() {
		return false
	}
	c.realign()
	return true
}

// again reports whether the target's record is one that was copied again: the
// mapping means nothing to stand at its place, and the source's record further
// on.
func (c *comparison) again(s, t item) bool {
	return !c.mapping.Meant(t.offset) && c.mapping.Place(s.offset).Lo > t.offset
}

// passOver accounts for the source's head, which has no place at the target,
// or none any more.
func (c *comparison) passOver(p offsets.Place) {
	switch s := c.source.items[0]; {
	case p.Skipped:
		c.counts.Skipped++
	case p.Hi >= c.head:
		c.counts.Inexact++
	case s.offset < c.due:
		c.counts.Trimmed++
	default:
		c.noteGone(s)
	}
	c.source.pop(1)
}

// pair counts two equal records.
func (c *comparison) pair(s, t item) {
	c.counts.Compared++
	if p := c.mapping.Place(s.offset); !p.Holds(t.offset) {
		c.counts.OffsetMismatch++
		c.fault(OffsetMismatch, s.offset, t.offset, fmt.Sprintf("promised at target offset %s", p))
	}
	c.remember(t)
	c.source.pop(1)
	c.target.pop(1)
}

// byOffset compares the heads of a compacted topic, where each side may lack
// any record and offsets alone tell which belong together.
func (c *comparison) byOffset(s, t item) {
	switch p := c.mapping.Place(s.offset); {
	case t.offset < p.Lo:
		c.counts.Compacted++
		c.target.pop(1)
	case t.offset > p.Hi:
		c.counts.Compacted++
		c.source.pop(1)
	case p.Lo == p.Hi:
		c.differ(s, t)
		c.source.pop(1)
		c.target.pop(1)
	default: // a range: the one that is not there was compacted away
		c.counts.Compacted++
		c.target.pop(1)
	}
}

// realign finds the nearest place where the sides agree again and accounts
// for what lies before it. Places where the offsets agree too are preferred,
// for equal records are not rare, unless records before it have changed
// places.
func (c *comparison) realign() {
	i, j, ok := c.agree(false)
	if m, n, by := c.agree(true); by && !(i < m && j < n) {
		i, j = m, n
	}
	if !ok {
		i, j = 1, 1
	}
	s, t := c.source.items[:i], c.target.items[:j]
	both := min(i, j)
	for k := range both {
		c.differ(s[k], t[k])
	}
	for _, it := range s[both:] {
		c.noteMissing(it)
	}
	for _, it := range t[both:] {
		c.noteExtra(it)
	}
	c.source.pop(i)
	c.target.pop(j)
}

// agree finds i and j, least in sum, so that the i-th record of the source is
// equal to the j-th of the target.
func (c *comparison) agree(inPlace bool) (i, j int, ok bool) {
	s, t := c.source.items, c.target.items
	for sum := 1; sum <= 2*lookahead; sum++ {
		for i := max(0, sum-lookahead); i <= min(sum, lookahead); i++ {
			j := sum - i
			if i >= len(s) || j >= len(t) || !s[i].same(t[j]) {
				continue
			}
			if !inPlace || c.mapping.Place(s[i].offset).Holds(t[j].offset) {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}
