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
	alone
	edges  edges
	source queue
	target queue
	holes  holes
}

// compacted reports whether either side may lack records because a later one of
// their key follows.
func (c *comparison) compacted() bool {
	return c.cleaners.runs[atSource] || c.cleaners.runs[atTarget]
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
		c.edges.floor = max(c.edges.floor, target, c.mapping.Target(c.mapping.From(source, target)))
		c.edges.head = max(c.edges.head, target)
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
		c.blind[atSource] = c.blind[atSource] || len(source) > 0
		c.blind[atTarget] = c.blind[atTarget] || len(target) > 0
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
		if p := c.mapping.Place(s[0].offset); p.Skipped || p.Hi < c.edges.floor {
			c.passOver(p)
			return true
		}
	}
	switch {
	case len(t) > 0 && t[0].offset < c.edges.floor:
		if t[0].offset >= c.edges.head {
			c.counts.SourceGone++
		}
		c.target.pop(1)
		return true
	case len(s) == 0 && len(t) == 0, len(s) == 0 && !c.source.closed, len(t) == 0 && !c.target.closed:
		return false
	case len(s) == 0:
		c.passTarget(1)
		return true
	case len(t) == 0:
		c.passSource(1)
		return true
	case s[0].same(t[0]) && c.again(s[0], t[0]):
		c.noteAgain(s[0], t[0])
		c.target.pop(1)
		return true
	case s[0].same(t[0]) && (!c.compacted() || c.mapping.Place(s[0].offset).Holds(t[0].offset)):
		c.pair(s[0], t[0])
		return true
	case c.compacted():
		return c.byOffset(s[0], t[0])
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
		c.blind[atSource] = true
	case p.Hi >= c.edges.head:
		c.counts.Inexact++
	case s.offset < c.edges.due:
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
	if c.compacted() {
		c.common(keyOf(s))
	}
	c.source.pop(1)
	c.target.pop(1)
}

// byOffset compares the heads of a compacted topic, where each side may lack
// any record and offsets tell which belong together; false when more records are
// needed.
func (c *comparison) byOffset(s, t item) bool {
	switch p := c.mapping.Place(s.offset); {
	case t.offset < p.Lo:
		c.passAlone(0, 1)
	case t.offset > p.Hi:
		c.passAlone(1, 0)
	case p.Lo < p.Hi:
		return c.byContent(s, t)
	default:
		c.differ(s, t)
		c.source.pop(1)
		c.target.pop(1)
	}
	return true
}

// byContent does so where the place is known within a range only. What is passed
// over here may have its match further on: it waits for it.
func (c *comparison) byContent(s, t item) bool {
	if c.source.wants() || c.target.wants() {
		return false
	}
	i, j, ok := c.agree(true)
	switch {
	case ok:
		c.passAlone(i, j)
	case s.timestamp < t.timestamp: // most likely the older one is the one that the other side lacks
		c.passAlone(1, 0)
	case s.timestamp > t.timestamp:
		c.passAlone(0, 1)
	default:
		c.passAlone(1, 1)
	}
	return true
}

// passAlone passes over so many records of each side.
func (c *comparison) passAlone(source, target int) {
	for _, it := range c.source.items[:source] {
		c.lonely(atSource, it)
	}
	for _, it := range c.target.items[:target] {
		c.lonely(atTarget, it)
	}
	c.source.pop(source)
	c.target.pop(target)
}

// passSource passes over source records that the target does not have.
func (c *comparison) passSource(n int) {
	if c.compacted() {
		c.passAlone(n, 0)
		return
	}
	for _, it := range c.source.items[:n] {
		c.noteMissing(it)
	}
	c.source.pop(n)
}

// passTarget is the reverse.
func (c *comparison) passTarget(n int) {
	if c.compacted() {
		c.passAlone(0, n)
		return
	}
	for _, it := range c.target.items[:n] {
		c.noteExtra(it)
	}
	c.target.pop(n)
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
	c.source.pop(both)
	c.target.pop(both)
	c.passSource(i - both)
	c.passTarget(j - both)
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
