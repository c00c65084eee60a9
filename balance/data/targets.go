package data

import (
	"cmp"
	"math"
	"slices"
)

// aim is the part of a band's margin that a plan aims at. The trigger is the
// whole band, so that a result near the aim's edge is left alone.
const aim = 0.975

// targets is what the planner steers by.
type targets struct {
	disk   []float64 // by broker: bytes it should hold
	counts []span    // by broker: replicas it may hold
	in     []float64 // by broker: bytes a second it should take
	limit  []float64 // by broker: bytes never exceeded
	pinned []bool    // by broker: holds an item that no band can take in
	pool   []int32   // by broker: brokers between which bytes may flow; -1: leaves
	pools  int
}

func (l *layout) targets(o Options) *targets {
	t := &targets{limit: make([]float64, len(l.load)), pool: make([]int32, len(l.load)), pinned: make([]bool, len(l.load))}
	w := l.weights(func(b *Broker) int64 { return b.Disk })
	for b := range t.limit {
		t.limit[b] = math.Inf(1)
		if d := l.m.Brokers[b].Disk; d > 0 {
			t.limit[b] = math.Floor(o.DiskLimit * float64(d))
		}
	}
	counts := l.limits(w, func(*Partition) float64 { return 1 })
	l.findPools(t, counts)
	for b := range l.load {
		have := &l.load[b]
		if l.state(int32(b)) == Cordoned {
			counts.hi[b] = math.Min(counts.hi[b], float64(have.count))
		}
	}
	t.counts = spans(counts.solve())
	t.disk = l.diskTargets(t, w, o)
	t.in = l.inTargets()
	return t
}

// findPools makes every rack a pool of its own if each must hold a fixed
// count of copies of every partition, else the cluster one pool.
func (l *layout) findPools(t *targets, counts *filling) {
	fixed := true
	for k := range counts.rackLo {
		fixed = fixed && counts.rackLo[k] == counts.rackHi[k]
	}
	t.pools = 1
	if fixed {
		t.pools = l.racks
	}
	for b := range t.pool {
		switch {
		case l.leaves(int32(b)):
			t.pool[b] = -1
		case fixed:
			t.pool[b] = l.rackOf[b]
		}
	}
}

// diskTargets spreads the bytes by capacity. A broker that holds an item
// larger than its band gets that item and as many of the smallest partitions
// as its count asks for, and the others share the rest: a figure that does not
// depend on what else the broker holds now.
func (l *layout) diskTargets(t *targets, w []float64, o Options) []float64 {
	f := l.limits(w, func(p *Partition) float64 { return float64(p.Size) })
	largest := make([]int64, len(l.load))
	for r := range l.at {
		b := l.at[r]
		largest[b] = max(largest[b], l.size[r])
	}
	for b := range l.load {
		f.hi[b] = math.Min(f.hi[b], math.Min(t.limit[b], l.m.Brokers[b].dirRoom(o)))
		if l.state(int32(b)) == Cordoned {
			f.hi[b] = math.Min(f.hi[b], float64(l.load[b].bytes))
		}
	}
	small := l.smallest()
	for {
		shares, more := f.solve(), false
		for b := range shares {
			if t.pinned[b] || f.weight[b] == 0 || float64(largest[b]) <= (1+o.DiskBand)*shares[b] {
				continue
			}
			others := 0
			if o.Goals.Has(GoalReplicas) {
				others = max(0, min(int(t.counts[b].lo)-1, len(small)-1))
			}
			t.pinned[b], more = true, true
			f.lo[b] = math.Max(f.lo[b], float64(largest[b])+small[others])
		}
		if !more {
			return shares
		}
	}
}

// smallest returns the sums of the n smallest partitions, from n = 0.
func (l *layout) smallest() []float64 {
	if l.small == nil {
		l.small = make([]float64, len(l.m.Partitions)+1)
		for i, p := range l.bySize() {
			l.small[i+1] = l.small[i] + float64(l.m.Partitions[p].Size)
		}
	}
	return l.small
}

func (l *layout) inTargets() []float64 {
	w := l.weights(func(b *Broker) int64 { return b.NetIn })
	f := l.limits(w, func(p *Partition) float64 { return float64(p.In) })
	for b := range l.load {
		if l.state(int32(b)) == Cordoned {
			f.hi[b] = math.Min(f.hi[b], float64(l.load[b].in))
		}
	}
	return f.solve()
}

// levels are what a source falls to and a receiver rises to, by broker.
type levels struct{ hi, lo []float64 }

// levels finds, per pool, the levels of x with which as much leaves as
// arrives, at the least total: sources lose what is above hi, receivers gain
// what is missing to lo, and nothing travels twice. margin is the aimed part
// of the share, such as 0.0195.
func (t *targets) levels(x, share []float64, margin float64) levels {
	v := levels{make([]float64, len(x)), make([]float64, len(x))}
	for k := range t.pools {
		hi, lo := t.poolLevels(x, share, margin, int32(k))
		for b, pool := range t.pool {
			if pool == int32(k) {
				v.hi[b], v.lo[b] = hi*share[b], lo*share[b]
			}
		}
	}
	return v
}

func (t *targets) poolLevels(x, share []float64, margin float64, pool int32) (hi, lo float64) {
	arriving := 0.0 // from brokers that leave, and over rack borders
	for b, k := range t.pool {
		if k == pool {
			arriving += share[b] - x[b]
		}
	}
	over := func(u float64) float64 {
		s := math.Max(arriving, 0)
		for b, k := range t.pool {
			if k == pool {
				s += math.Max(0, x[b]-u*share[b])
			}
		}
		return s
	}
	under := func(d float64) float64 {
		s := math.Max(-arriving, 0)
		for b, k := range t.pool {
			if k == pool {
				s += math.Max(0, d*share[b]-x[b])
			}
		}
		return s
	}
	hi, lo = 1+margin, 1-margin
	switch o, u := over(hi), under(lo); {
	case o < u:
		hi = bisect(lo, hi, func(v float64) bool { return over(v) <= u })
	case o > u:
		lo = bisect(lo, hi, func(v float64) bool { return under(v) >= o })
	}
	return hi, lo
}

// bisect returns the smallest x in [a, b] for which yes holds, given that it
// holds from some x on; b if it holds nowhere.
func bisect(a, b float64, yes func(float64) bool) float64 {
	for range 60 {
		if mid := a + (b-a)/2; yes(mid) {
			b = mid
		} else {
			a = mid
		}
	}
	return b
}

// bySize returns the partitions, smallest first, equal ones in their order.
func (l *layout) bySize() []int32 {
	if l.order != nil {
		return l.order
	}
	type item struct {
		size int64
		p    int32
	}
	items := make([]item, len(l.m.Partitions))
	for i := range items {
		items[i] = item{l.m.Partitions[i].Size, int32(i)}
	}
	slices.SortFunc(items, func(a, b item) int {
		if c := cmp.Compare(a.size, b.size); c != 0 {
			return c
		}
		return cmp.Compare(a.p, b.p)
	})
	l.order = make([]int32, len(items))
	for i := range items {
		l.order[i] = items[i].p
	}
	return l.order
}
