package data

import (
	"cmp"
	"math"
	"slices"
)

// boundOf returns what no plan from before to a layout as level as after can
// undercut.
//
// Per pool, what must leave the brokers that hold too much and what must come
// to those that hold too little are each a bound on the bytes that travel. A
// broker that ends at most at U times its share must lose what it holds above
// that; one that must lose k replicas loses at least its k smallest; one that
// must lose bytes-in loses at least the replicas with most bytes-in per byte
// (a fractional knapsack). Likewise for what a broker must gain, from any
// partition. Sources: for disk, shared/FORMAT of the reference clusters and
// the levels of this package; the others follow in the same way.
func boundOf(o Options, before, after *layout, bytes int64) Bound {
	t := after.targets(o)
	w := newBounder(o, before, after, t)
	var v Bound
	var all float64
	repair := w.repairs()
	for k := range t.pools {
		d, n, in, c := w.pool(int32(k))
		v.Disk += int64(d)
		v.Replicas += int64(n)
		v.In += int64(in)
		all += math.Max(c, repair[k])
		v.Repair += int64(repair[k])
	}
	v.Bytes = int64(all)
	v.Ratio = 1
	if v.Bytes > 0 {
		v.Ratio = float64(bytes) / float64(v.Bytes)
	} else if bytes > 0 {
		v.Ratio = 0 // nothing to compare with
	}
	return v
}

type bounder struct {
	o         Options
	before    *layout
	after     *layout
	t         *targets
	u, d      float64   // the highest and the lowest disk of a broker that is not pinned, in shares
	uIn, dIn  float64   // likewise bytes-in
	sizes     [][]int32 // by broker: replicas held before, smallest first
	dense     [][]int32 // by broker: replicas held before, most bytes-in per byte first
	smallest  []float64 // sums of the n smallest partitions
	denseAll  []int32   // partitions, most bytes-in per byte first
	countGoal bool
	inGoal    bool
}

func newBounder(o Options, before, after *layout, t *targets) *bounder {
	w := &bounder{o: o, before: before, after: after, t: t, dIn: math.Inf(1), d: math.Inf(1), smallest: after.smallest(),
		countGoal: o.Goals.Has(GoalReplicas), inGoal: o.Goals.Has(GoalBytesIn), sizes: make([][]int32, len(after.load))}
	for b := range after.load {
		if t.pool[b] < 0 {
			continue
		}
		if t.disk[b] > 0 && !t.pinned[b] && after.state(int32(b)).gains() {
			x := float64(after.load[b].bytes) / t.disk[b]
			w.u, w.d = math.Max(w.u, x), math.Min(w.d, x)
		}
		if t.in[b] > 0 && after.state(int32(b)).gains() {
			x := float64(after.load[b].in) / t.in[b]
			w.uIn, w.dIn = math.Max(w.uIn, x), math.Min(w.dIn, x)
		}
	}
	if math.IsInf(w.d, 1) { // no broker has a share
		w.d = 0
	}
	if math.IsInf(w.dIn, 1) {
		w.dIn = 0
	}
	for _, p := range before.bySize() {
		for r := before.first[p]; r < before.first[p+1]; r++ {
			b := before.at[r]
			w.sizes[b] = append(w.sizes[b], r)
		}
	}
	if w.inGoal {
		w.sortDense()
	}
	return w
}

func (w *bounder) density(p int32) float64 {
	part := &w.before.m.Partitions[p]
	return float64(part.In) / float64(part.Size+1)
}

func (w *bounder) sortDense() {
	w.denseAll = make([]int32, len(w.before.m.Partitions))
	for i := range w.denseAll {
		w.denseAll[i] = int32(i)
	}
	slices.SortStableFunc(w.denseAll, func(a, b int32) int { return cmp.Compare(w.density(b), w.density(a)) })
	w.dense = make([][]int32, len(w.after.load))
	for _, p := range w.denseAll {
		for r := w.before.first[p]; r < w.before.first[p+1]; r++ {
			b := w.before.at[r]
			w.dense[b] = append(w.dense[b], p)
		}
	}
}

// pool returns the bounds of one pool: disk, replicas, bytes-in, together.
//
// Of the bytes that travel to brokers of the pool, those that leave one of its
// brokers and stay in the pool, plus those that come from outside, are at
// least what its brokers lose plus what the pool gains in all.
func (w *bounder) pool(k int32) (disk, count, in, all float64) {
	var lose, gain [4]float64
	net := 0.0
	for b, pool := range w.t.pool {
		if pool < 0 && w.t.pools > 1 {
			pool = w.after.rackOf[b]
		}
		if pool == k || w.t.pools == 1 {
			net += float64(w.after.load[b].bytes - w.before.load[b].bytes)
			add(&lose, w.loses(b))
			add(&gain, w.gains(b))
		}
	}
	m := func(i int) float64 { return math.Max(lose[i]+net, gain[i]) }
	return m(0), m(1), m(2), m(3)
}

// repairs returns, by pool, the bytes of the copies that must come to it
// because brokers leave or racks hold too many.
func (w *bounder) repairs() []float64 {
	bytes := make([]float64, w.t.pools)
	for i := range w.before.m.Partitions {
		p, size := int32(i), float64(w.before.m.Partitions[i].Size)
		n := w.before.wrong(p) - w.after.wrong(p)
		if n <= 0 {
			continue
		}
		if w.t.pools == 1 {
			bytes[0] += float64(n) * size
			continue
		}
		for k := range bytes {
			had, has := w.before.copiesIn(p, int32(k)), w.after.copiesIn(p, int32(k))
			bytes[k] += size * float64(max(0, has-had))
		}
	}
	return bytes
}

func add(sum *[4]float64, v [4]float64) {
	for i := range v {
		sum[i] += v[i]
	}
}

// loses returns what must leave broker b: for disk, counts, bytes-in, and the
// largest of them. A broker that no common level holds for (it is pinned, or
// may gain nothing) has its own end as its level.
func (w *bounder) loses(b int) (v [4]float64) {
	have, end := &w.before.load[b], &w.after.load[b]
	if w.after.leaves(int32(b)) {
		x := float64(have.bytes - end.bytes)
		return [4]float64{x, x, x, x}
	}
	if w.o.Goals.Has(GoalDisk) {
		v[0] = math.Max(0, float64(have.bytes)-math.Max(w.u*w.t.disk[b], float64(end.bytes)))
	}
	if w.countGoal {
		for i := range max(0, have.count-max(w.t.counts[b].hi, end.count)) {
			v[1] += float64(w.before.size[w.sizes[b][i]])
		}
	}
	if w.inGoal {
		v[2] = w.knapsack(w.dense[b], float64(have.in)-math.Max(w.uIn*w.t.in[b], float64(end.in)))
	}
	v[3] = max(v[0], v[1], v[2])
	return v
}

// gains returns what must come to broker b.
func (w *bounder) gains(b int) (v [4]float64) {
	have, end := &w.before.load[b], &w.after.load[b]
	if w.after.leaves(int32(b)) {
		return v
	}
	if w.o.Goals.Has(GoalDisk) {
		v[0] = math.Max(0, math.Min(w.d*w.t.disk[b], float64(end.bytes))-float64(have.bytes))
	}
	if w.countGoal {
		v[1] = w.smallest[max(0, min(w.t.counts[b].lo, end.count)-have.count)]
	}
	if w.inGoal {
		v[2] = w.knapsack(w.denseAll, math.Min(w.dIn*w.t.in[b], float64(end.in))-float64(have.in))
	}
	v[3] = max(v[0], v[1], v[2])
	return v
}

// knapsack returns the fewest bytes that carry so much bytes-in, if
// partitions could be split.
func (w *bounder) knapsack(dense []int32, in float64) float64 {
	bytes := 0.0
	for _, p := range dense {
		if in <= 0 {
			break
		}
		part := &w.before.m.Partitions[p]
		if f := in / float64(part.In+1); f < 1 {
			return bytes + f*float64(part.Size)
		}
		bytes += float64(part.Size)
		in -= float64(part.In)
	}
	return bytes
}
