package data

import "math"

// counts brings every broker's count of replicas to the floor or the ceiling
// of its share with the smallest replicas that may move. With hard, disks stay
// within their whole band.
func (q *pass) counts(hard bool) {
	if !q.o.Goals.Has(GoalReplicas) {
		return
	}
	c := counter{pass: q, hard: hard, stuck: make([]bool, len(q.load))}
	for {
		s := c.best(c.stuck, func(b int32) float64 { return positive(q.load[b].count - q.t.counts[b].hi) })
		if s < 0 {
			break
		}
		c.stuck[s] = !c.shed(s)
	}
	clear(c.stuck)
	for {
		d := c.best(c.stuck, func(b int32) float64 {
			if !q.state(b).gains() {
				return never
			}
			return positive(q.t.counts[b].lo - q.load[b].count)
		})
		if d < 0 {
			return
		}
		c.stuck[d] = !c.feed(d)
	}
}

// never is the worth of a broker that does not come into question.
const never = -math.MaxFloat64

// positive is the worth of n replicas too many or too few, of which there are
// none where n is not positive.
func positive(n int32) float64 {
	if n <= 0 {
		return never
	}
	return float64(n)
}

// counter moves one replica at a time to even out counts.
type counter struct {
	*pass
	hard  bool
	stuck []bool // by broker: no move was found
}

// best returns the broker that is worth most, the first of equals, without
// those to be skipped; -1 where none comes into question.
func (c *counter) best(skip []bool, worth func(b int32) float64) int32 {
	best, top := int32(-1), never
	for b, k := range c.t.pool {
		if k < 0 || skip[b] {
			continue
		}
		if v := worth(int32(b)); v > top {
			best, top = int32(b), v
		}
	}
	return best
}

// shed moves the smallest possible replica from s to the broker that lacks
// most, first to those below their floor.
func (c *counter) shed(s int32) bool {
	return c.move(func(b int32) float64 {
		n, want := c.load[b].count, c.t.counts[b]
		if n >= want.hi || !c.state(b).gains() {
			return never
		}
		return float64(want.lo-n)*2 + float64(want.hi-want.lo)
	}, func(d int32) (from, to int32) { return s, d })
}

// feed moves the smallest possible replica to d from the broker that can
// spare most.
func (c *counter) feed(d int32) bool {
	return c.move(func(b int32) float64 { return positive(c.load[b].count - c.t.counts[b].lo) },
		func(s int32) (from, to int32) { return s, d })
}

// move makes the one move that is possible with the broker worth most.
func (c *counter) move(worth func(b int32) float64, route func(b int32) (from, to int32)) bool {
	tried := make([]bool, len(c.load))
	for {
		b := c.best(tried, worth)
		if b < 0 {
			return false
		}
		s, d := route(b)
		if r := c.smallest(s, d); r >= 0 {
			c.put(r, d)
			return true
		}
		tried[b] = true
	}
}

// smallest returns the smallest replica that may move from s to d, or one at
// most twice as large that suits better otherwise; -1 if there is none.
func (c *counter) smallest(s, d int32) int32 {
	if c.t.pool[s] != c.t.pool[d] {
		return -1
	}
	give := float64(c.load[s].bytes) - (1-c.o.DiskBand)*c.t.disk[s]
	room := (1+c.o.DiskBand)*c.t.disk[d] - float64(c.load[d].bytes)
	best, top, seen := int32(-1), 0.0, 0
	for _, r := range c.lists.of(s) {
		if c.moved[r] {
			continue
		}
		size := float64(c.size[r])
		if c.hard && c.o.Goals.Has(GoalDisk) && size > 0 && (size > give || size > room) {
			break
		}
		if best >= 0 && (seen == choices || c.size[r] > 2*c.size[best]) {
			break
		}
		if !c.fits(r, d) || !c.legal(r, d) || !c.affords(r, d) {
			continue
		}
		seen++
		if v := c.suits(r, d); best < 0 || v > top {
			best, top = r, v
		}
	}
	return best
}
