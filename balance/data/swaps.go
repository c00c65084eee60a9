package data

import (
	"cmp"
	"math"
	"slices"
)

// evenDisk brings disks that still lie outside their band into it, by moves
// that counts allow and by swaps, the fewest bytes for what is gained first.
func (q *pass) evenDisk() {
	if !q.o.Goals.Has(GoalDisk) {
		return
	}
	e := newSwapper(q)
	for k := range q.t.pools {
		e.pool(int32(k), e.wantedDisk, e.tradeDisk)
	}
}

// swapper swaps replicas between pairs of brokers.
type swapper struct {
	*pass
	sized [][]int32 // by broker: its free replicas, smallest first
	dense [][]int32 // by broker: likewise, the most bytes-in per byte that must travel first; for bytes-in only
}

func newSwapper(q *pass) *swapper {
	q.relist()
	e := &swapper{pass: q, sized: make([][]int32, len(q.load)), dense: make([][]int32, len(q.load))}
	for b := range q.load {
		e.sized[b] = slices.Clone(q.lists.of(int32(b)))
	}
	return e
}

// exchange sends r away, and second with it, and takes s in return; -1 is none.
type exchange struct {
	r, second, s int32
	price        float64
}

// noExchange is worse than any other.
func noExchange() exchange { return exchange{-1, -1, -1, math.Inf(1)} }

// pool makes exchanges between the brokers of a pool until nothing is wanted
// any more or no exchange helps. It gives up when it has made many more than
// a cluster that can be levelled needs.
func (e *swapper) pool(pool int32, wanted func(a, b int32) float64, find func(a, b int32) exchange) {
	var members []int32
	for b, k := range e.t.pool {
		if k == pool && e.state(int32(b)).gains() {
			members = append(members, int32(b))
		}
	}
	n := len(members)
	w := wishes{members: members, wanted: wanted, blocked: make([]bool, n*n), most: make([]wish, n)}
	for i := range members {
		w.weigh(i)
	}
	for range 16*n + 64 {
		i, j := w.largest()
		if i < 0 {
			return
		}
		if x := find(members[i], members[j]); x.r >= 0 {
			e.do(x, members[i], members[j])
			w.changed(i, j)
		} else {
			w.blocked[i*n+j] = true
			w.weigh(i)
		}
	}
}

// wishes keeps, for every broker of a pool, what it wants to exchange most and
// with whom: looking at all pairs again after each exchange takes too long in
// pools of a thousand brokers.
type wishes struct {
	members []int32
	wanted  func(a, b int32) float64
	blocked []bool // by pair: no exchange helps
	most    []wish // by member
}

// wish is how much, and the place of the partner; -1 for none.
type wish struct {
	v float64
	j int
}

// weigh looks for what member i wants most.
func (w *wishes) weigh(i int) {
	w.most[i] = wish{0, -1}
	for j := range w.members {
		w.compare(i, j)
	}
}

// compare takes note if i wants more from j than from others, or as much from
// one further on.
func (w *wishes) compare(i, j int) {
	if i == j || w.blocked[i*len(w.members)+j] {
		return
	}
	v, m := w.wanted(w.members[i], w.members[j]), &w.most[i]
	if v > m.v || v == m.v && j < m.j {
		*m = wish{v, j}
	}
}

// largest returns the pair with the largest wish, -1 if there is none.
func (w *wishes) largest() (i, j int) {
	best, top := -1, 0.0
	for i, m := range w.most {
		if m.v > top {
			best, top = i, m.v
		}
	}
	if best < 0 {
		return -1, -1
	}
	return best, w.most[best].j
}

// changed brings the wishes up to date when a and b carry something else.
func (w *wishes) changed(a, b int) {
	for i := range w.members {
		if j := w.most[i].j; i == a || i == b || j == a || j == b {
			w.weigh(i)
		} else {
			w.compare(i, a)
			w.compare(i, b)
		}
	}
}

// do makes an exchange between a and b.
func (e *swapper) do(x exchange, a, b int32) {
	for _, m := range [3]struct{ r, to int32 }{{x.r, b}, {x.second, b}, {x.s, a}} {
		if m.r >= 0 {
			e.put(m.r, m.to)
			e.refresh(m.to, m.r)
		}
	}
}

// refresh enters r, which has come to b, into b's lists.
func (e *swapper) refresh(b, r int32) {
	e.sized[b] = slices.Insert(e.sized[b], e.place(b, float64(e.size[r])), r)
	if e.dense[b] != nil {
		e.dense[b] = slices.Insert(e.dense[b], 0, r)
	}
}

// place is where a replica of that size would stand in b's list.
func (e *swapper) place(b int32, size float64) int { return e.placeIn(e.sized[b], size) }

func (e *swapper) placeIn(list []int32, size float64) int {
	i, _ := slices.BinarySearchFunc(list, size, func(s int32, size float64) int {
		return cmp.Compare(float64(e.size[s]), size)
	})
	return i
}

// diskRoom is how many bytes can go from a to b without taking either out of
// its band on the other side.
func (e *swapper) diskRoom(a, b int32) float64 {
	give := float64(e.load[a].bytes) - (1-e.o.DiskBand)*e.t.disk[a]
	take := math.Min((1+e.o.DiskBand)*e.t.disk[b], e.t.limit[b]) - float64(e.load[b].bytes)
	return math.Min(give, take)
}

// wantedDisk is how many bytes should go from a to b because one of the two
// lies outside its band.
func (e *swapper) wantedDisk(a, b int32) float64 {
	over := float64(e.load[a].bytes) - math.Min((1+e.o.DiskBand)*e.t.disk[a], e.t.limit[a])
	under := (1-e.o.DiskBand)*e.t.disk[b] - float64(e.load[b].bytes)
	return math.Min(math.Max(over, under), e.diskRoom(a, b))
}

// tradeDisk finds the cheapest exchange that moves bytes from a to b.
func (e *swapper) tradeDisk(a, b int32) exchange {
	want, room := e.wantedDisk(a, b), e.diskRoom(a, b)
	best := noExchange()
	weigh := func(r, s int32, gain float64, cost int64) {
		if gain <= 0 || gain > room || cost > e.budget {
			return
		}
		if price := (float64(cost) + 1e6) / math.Min(gain, want); price < best.price {
			best = exchange{r, -1, s, price}
		}
	}
	single := !e.o.Goals.Has(GoalReplicas) ||
		e.load[a].count > e.t.counts[a].lo && e.load[b].count < e.t.counts[b].hi
	for _, r := range e.sized[a] {
		if e.at[r] != a || !e.legal(r, b) {
			continue
		}
		size := float64(e.size[r])
		if single {
			weigh(r, -1, size, e.cost(r, b))
		}
		at := e.place(b, size-want) // partners that make up just what is wanted
		for i := max(0, at-4); i < min(len(e.sized[b]), at+4); i++ {
			if s := e.sized[b][i]; e.at[s] == b && e.legal(s, a) {
				weigh(r, s, size-float64(e.size[s]), e.cost(r, b)+e.cost(s, a))
			}
		}
	}
	return best
}

// polish takes back what is not needed: it swaps and moves replicas home again
// where every band allows it, until no single step of that kind lowers the
// bytes that travel. It reports whether it changed anything.
func (q *pass) polish() bool {
	for p := range q.m.Partitions {
		q.settle(int32(p))
	}
	e := newSwapper(q)
	changed := false
	for again := true; again; {
		again = false
		for i := len(q.at) - 1; i >= 0; i-- {
			if r := int32(i); q.at[r] != q.home[r] && q.free(r) && e.sendHome(r) {
				again, changed = true, true
			}
		}
	}
	return changed
}

// sendHome brings r to a home of its partition, alone or in exchange for a
// replica that costs less. It reports whether it did.
func (e *swapper) sendHome(r int32) bool {
	p := e.part[r]
	for s := e.first[p]; s < e.first[p+1]; s++ {
		if h := e.home[s]; !e.leaves(h) && e.at[r] != h && e.legal(r, h) && e.sendTo(r, h) {
			return true
		}
	}
	return false
}

func (e *swapper) sendTo(r, h int32) bool {
	b := e.at[r]
	if e.keepsCounts(b, h) && e.keeps(b, -1, r) && e.keeps(h, r, -1) {
		e.do(exchange{r, -1, -1, 0}, b, h)
		return true
	}
	for _, s := range e.sized[h] {
		if e.at[s] != h || e.cost(s, b)-e.size[r] >= 0 || !e.legal(s, b) {
			continue
		}
		if e.keeps(b, s, r) && e.keeps(h, r, s) {
			e.do(exchange{r, -1, s, 0}, b, h)
			return true
		}
	}
	return false
}

// keepsCounts reports whether a may give a replica to b.
func (e *swapper) keepsCounts(a, b int32) bool {
	return !e.o.Goals.Has(GoalReplicas) || e.t.counts[a].off(e.load[a].count-1) <= e.t.counts[a].off(e.load[a].count) &&
		e.t.counts[b].off(e.load[b].count+1) <= e.t.counts[b].off(e.load[b].count)
}

// keeps reports whether b stays as well in its bands as it is when it takes
// one replica and gives another; -1 is none.
func (e *swapper) keeps(b, take, give int32) bool {
	var bytes, in int64
	for i, r := range [2]int32{take, give} {
		if r >= 0 {
			sign := int64(1 - 2*i)
			bytes += sign * e.size[r]
			in += sign * e.m.Partitions[e.part[r]].In
		}
	}
	return e.bears(b, bytes, in)
}

// bears reports whether b stays as well in its bands as it is with so much
// more.
func (e *swapper) bears(b int32, bytes, in int64) bool {
	have := &e.load[b]
	if bytes > 0 && float64(have.bytes+bytes) > e.t.limit[b] {
		return false
	}
	if e.o.Goals.Has(GoalDisk) && beyond(float64(have.bytes+bytes), e.t.disk[b], e.o.DiskBand) > beyond(float64(have.bytes), e.t.disk[b], e.o.DiskBand) {
		return false
	}
	return !e.o.Goals.Has(GoalBytesIn) ||
		beyond(float64(have.in+in), e.t.in[b], e.o.InBand) <= beyond(float64(have.in), e.t.in[b], e.o.InBand)
}
