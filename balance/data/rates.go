package data

import (
	"cmp"
	"math"
	"slices"
)

// evenIn brings every broker's bytes-in into its band by swapping replicas
// between a broker that takes too much and one that takes too little. Swaps
// keep counts, and disks stay in their band. Cheapest are replicas that travel
// anyway and small ones of topics with short retention.
func (q *pass) evenIn(scale float64) {
	if !q.o.Goals.Has(GoalBytesIn) {
		return
	}
	e := newInEvener(q, scale)
	for k := range q.t.pools {
		e.pool(int32(k), e.wanted, e.trade)
	}
}

// How many replicas a swap is looked for with: ones that travel anyway, ones
// that do not, and partners for each.
const (
	triedTravelling = 100
	triedStaying    = 400
	partners        = 8
)

type inEvener struct {
	*swapper
	hi, lo []float64 // by broker: levels of bytes-in
}

func newInEvener(q *pass, scale float64) *inEvener {
	nb := len(q.load)
	e := &inEvener{swapper: newSwapper(q), hi: make([]float64, nb), lo: make([]float64, nb)}
	margin := q.o.InBand * scale
	for b := range nb {
		e.hi[b], e.lo[b] = (1+margin)*q.t.in[b], (1-margin)*q.t.in[b]
		e.dense[b] = slices.Clone(e.sized[b])
		slices.SortFunc(e.dense[b], func(x, y int32) int {
			if c := cmp.Compare(e.density(y), e.density(x)); c != 0 {
				return c
			}
			return cmp.Compare(x, y)
		})
	}
	return e
}

func (e *inEvener) inOf(r int32) float64 { return float64(e.m.Partitions[e.part[r]].In) }

// density is bytes-in per byte that moving r away costs.
func (e *inEvener) density(r int32) float64 {
	if e.at[r] != e.home[r] {
		return math.Inf(1)
	}
	return e.inOf(r) / float64(e.size[r]+1)
}

// room is how much bytes-in can go from a to b without taking either out of
// its band on the other side.
func (e *inEvener) room(a, b int32) float64 {
	return math.Min(float64(e.load[a].in)-e.lo[a], e.hi[b]-float64(e.load[b].in))
}

// wanted is how much bytes-in should go from a to b, because one of them lies
// outside its band.
func (e *inEvener) wanted(a, b int32) float64 {
	over, under := float64(e.load[a].in)-e.hi[a], e.lo[b]-float64(e.load[b].in)
	return math.Min(math.Max(over, under), e.room(a, b))
}

// trade finds the cheapest swap that brings a and b closer to their bands, by
// bytes that travel per bytes-in gained.
func (e *inEvener) trade(a, b int32) exchange {
	room, want := e.room(a, b), e.wanted(a, b)
	best := noExchange()
	travelling, staying := 0, 0
	for _, r := range e.dense[a] {
		if e.at[r] != a || !e.legal(r, b) {
			continue
		}
		if e.home[r] != a {
			if travelling++; travelling > triedTravelling {
				continue
			}
		} else if staying++; staying > triedStaying {
			break
		}
		e.partner(r, a, b, want, room, &best)
	}
	return best
}

// partner weighs swaps of r with replicas of b of about its size, and with
// b's smallest.
func (e *inEvener) partner(r, a, b int32, want, room float64, best *exchange) {
	list := e.sized[b]
	mid := e.place(b, float64(e.size[r]))
	for _, from := range [2]int{max(0, mid-partners), 0} {
		for i := from; i < min(len(list), from+2*partners); i++ {
			s := list[i]
			if e.at[s] != b || !e.legal(s, a) {
				continue
			}
			gain := e.inOf(r) - e.inOf(s)
			if gain <= 0 || gain > room || !e.diskAllows(r, s, a, b) {
				continue
			}
			cost := e.cost(r, b) + e.cost(s, a)
			price := (float64(cost) + 1e6) / math.Min(gain, want)
			if price < best.price && cost <= e.budget {
				*best = exchange{r, -1, s, price}
			}
		}
	}
}

// diskAllows reports whether both disks stay in their bands, or come closer,
// when r goes from a to b and s from b to a.
func (e *inEvener) diskAllows(r, s, a, b int32) bool {
	d := e.size[r] - e.size[s]
	return e.diskKeeps(a, -d) && e.diskKeeps(b, d)
}

func (e *inEvener) diskKeeps(b int32, d int64) bool {
	x, share := float64(e.load[b].bytes+d), e.t.disk[b]
	if d > 0 && x > e.t.limit[b] {
		return false
	}
	if !e.o.Goals.Has(GoalDisk) {
		return true
	}
	return beyond(x, share, e.o.DiskBand) <= beyond(float64(e.load[b].bytes), share, e.o.DiskBand)
}
