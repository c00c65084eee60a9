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
		s := c.most(func(b int32) int32 { return q.load[b].count - q.t.counts[b].hi })
		if s < 0 {
			break
		}
		if !c.shed(s) {
			c.stuck[s] = true
		}
	}
	clear(c.stuck)
	for {
		d := c.most(func(b int32) int32 {
			if !q.state(b).gains() {
				return 0
			}
			return q.t.counts[b].lo - q.load[b].count
		})
		if d < 0 {
			return
		}
		if !c.feed(d) {
			c.stuck[d] = true
		}
	}
}

// counter moves one replica at a time to even out counts.
type counter struct {
	*pass
	hard  bool
	stuck []bool // by broker: no move was found
}

// most returns the broker that is not stuck with the largest positive lack.
func (c *counter) most(lack func(b int32) int32) int32 {
	best, top := int32(-1), int32(0)
	for b, k := range c.t.pool {
		if k < 0 || c.stuck[b] {
			continue
		}
		if v := lack(int32(b)); v > top {
			best, top = int32(b), v
		}
	}
	return best
}

// shed moves the smallest possible replica from s to the broker that lacks
// most, first to those below their floor.
func (c *counter) shed(s int32) bool {
	tried := make([]bool, len(c.load))
	for {
		d, top := int32(-1), math.Inf(-1)
		for b, k := range c.t.pool {
			n, want := c.load[b].count, c.t.counts[b]
			if k < 0 || tried[b] || n >= want.hi || !c.state(int32(b)).gains() {
				continue
			}
			v := float64(want.lo-n)*2 + float64(want.hi-want.lo)
			if v > top {
				d, top = int32(b), v
			}
		}
		if d < 0 {
			return false
		}
		if r := c.smallest(s, d); r >= 0 {
			c.put(r, d)
			return true
		}
		tried[d] = true
	}
}

// feed moves the smallest possible replica to d from the broker that can
// spare most.
func (c *counter) feed(d int32) bool {
	tried := make([]bool, len(c.load))
	for {
		s, top := int32(-1), int32(0)
		for b, k := range c.t.pool {
			if v := c.load[b].count - c.t.counts[b].lo; k >= 0 && v > top && !tried[b] {
				s, top = int32(b), v
			}
		}
		if s < 0 {
			return false
		}
		if r := c.smallest(s, d); r >= 0 {
			c.put(r, d)
			return true
		}
		tried[s] = true
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
