package data

import "math"

// pass is one way from the layout as it is to a better one: phases that each
// move replicas once at most.
type pass struct {
	*layout
	o         Options
	t         *targets
	leadAt    []span // by broker: leaders it should have
	v         levels
	budget    int64     // bytes that may still travel
	moved     []bool    // by replica: moved in this pass
	inPerByte float64   // bytes a second per byte stored, of the cluster
	pending   []pending // by broker
	lists     lists
}

// lists holds, per broker, the free replicas that it held when the pass
// began, smallest first.
type lists struct {
	from []int32 // by broker, one more than there are: start in item
	item []int32 // replicas
	prev []int32 // by place: nearest place at or below it that may still hold a replica; -1: none
}

// relist lets the next phases move any replica again, where it is now.
func (q *pass) relist() {
	clear(q.moved)
	q.lists = newLists(q.layout)
}

func newLists(l *layout) lists {
	v := lists{from: make([]int32, len(l.load)+1)}
	for r := range l.at {
		if l.free(int32(r)) {
			v.from[l.at[r]+1]++
		}
	}
	for b := range l.load {
		v.from[b+1] += v.from[b]
	}
	n := v.from[len(l.load)]
	v.item, v.prev = make([]int32, n), make([]int32, n)
	next := make([]int32, len(l.load))
	copy(next, v.from)
	for _, p := range l.bySize() {
		if l.m.Partitions[p].Hold != Free {
			continue
		}
		for r := l.first[p]; r < l.first[p+1]; r++ {
			b := l.at[r]
			v.item[next[b]] = r
			next[b]++
		}
	}
	for i := range v.prev {
		v.prev[i] = int32(i)
	}
	return v
}

// of returns broker b's list.
func (v *lists) of(b int32) []int32 { return v.item[v.from[b]:v.from[b+1]] }

// below returns the place of the largest unmoved replica of broker b with at
// most size bytes, -1 if there is none.
func (q *pass) below(b int32, size float64) int32 {
	lo, hi := q.lists.from[b], q.lists.from[b+1]
	for first := lo; lo < hi || first > lo; {
		mid := lo + (hi-lo)/2
		if mid == hi {
			break
		}
		if float64(q.size[q.lists.item[mid]]) <= size {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return q.unmoved(b, lo-1)
}

// unmoved returns the nearest place at or below i, in broker b's list, whose
// replica has not moved; -1 if there is none.
func (q *pass) unmoved(b, i int32) int32 {
	start := q.lists.from[b]
	prev := q.lists.prev
	j := i
	for j >= start && q.moved[q.lists.item[j]] {
		if prev[j] == j {
			prev[j] = j - 1
		}
		j = prev[j]
	}
	for k := i; k > j && k >= start; { // shorten the way for the next search
		k, prev[k] = prev[k], j
	}
	if j < start {
		return -1
	}
	return j
}

// put moves r to b and takes what that costs from the byte budget.
func (q *pass) put(r, b int32) {
	q.budget -= q.cost(r, b)
	q.claim(r, b)
	q.move(r, b)
	q.moved[r] = true
}

// cost is how many more bytes travel in all if r goes to b.
func (q *pass) cost(r, b int32) int64 {
	c := int64(0)
	if q.homeOf(r, b) < 0 {
		c += q.size[r]
	}
	if q.home[r] != q.at[r] {
		c -= q.size[r]
	}
	return c
}

// affords reports whether moving r to b keeps to the byte budget.
func (q *pass) affords(r, b int32) bool {
	return q.size[r] <= q.budget || q.cost(r, b) <= q.budget
}

// fits reports whether b stays within its disk limit when it takes r.
func (q *pass) fits(r, b int32) bool {
	return float64(q.load[b].bytes+q.size[r]) <= q.t.limit[b]
}

func (q *pass) surplus(b int32) float64 { return q.settled(b) - q.v.hi[b] }
func (q *pass) deficit(b int32) float64 { return q.v.lo[b] - q.settled(b) }

// settled is what b holds without what must still leave it.
func (q *pass) settled(b int32) float64 { return float64(q.load[b].bytes - q.pending[b].bytes) }

// diskLevels are the levels of bytes, within the disk limits.
func (q *pass) diskLevels(margin float64) levels {
	x := make([]float64, len(q.load))
	for b := range x {
		x[b] = q.settled(int32(b))
	}
	v := q.t.levels(x, q.t.disk, margin)
	for b := range x {
		v.hi[b] = math.Min(v.hi[b], q.t.limit[b])
	}
	return v
}

// sample moves each source's surplus of replicas as a fair sample of its
// sizes, as far as its surplus of bytes allows: new brokers then take small
// and large partitions alike and do not stay cold.
func (q *pass) sample() {
	if !q.o.Goals.Has(GoalReplicas | GoalDisk) {
		return
	}
	for s := range q.load {
		b := int32(s)
		if q.t.pool[b] < 0 {
			continue
		}
		k := int(q.load[b].count - q.t.counts[b].hi)
		for _, r := range q.pick(b, k) {
			if d := q.sampleReceiver(r); d >= 0 && q.affords(r, d) {
				q.put(r, d)
			}
		}
	}
}

// pick returns k replicas of broker b, evenly spaced over the longest
// size-ordered prefix with which they stay within b's surplus of bytes, the
// largest first.
func (q *pass) pick(b int32, k int) []int32 {
	var list []int32
	for _, r := range q.lists.of(b) {
		if !q.moved[r] {
			list = append(list, r)
		}
	}
	k = min(k, len(list))
	surplus := q.surplus(b)
	if k <= 0 || surplus <= 0 {
		return nil
	}
	place := func(i, m int) int { return (2*i + 1) * m / (2 * k) }
	bytes := func(m int) (t float64) {
		for i := range k {
			t += float64(q.size[list[place(i, m)]])
		}
		return t
	}
	lo, hi := k, len(list)
	for lo < hi {
		if mid := (lo + hi + 1) / 2; bytes(mid) <= surplus {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	out := make([]int32, 0, k)
	left := surplus
	excess := q.load[b].leaders - q.leadAt[b].hi
	for i := k - 1; i >= 0; i-- {
		at := place(i, lo)
		for j := at; j >= place(i-1, lo)+1 && j > at-choices && i > 0; j-- {
			if q.leads(list[j]) == (excess > 0) {
				at = j
				break
			}
		}
		r := list[at]
		if q.leads(r) {
			excess--
		}
		if s := float64(q.size[r]); s <= left {
			left -= s
			out = append(out, r)
		}
	}
	return out
}

// sampleReceiver returns the broker below its count's floor that lacks most
// bytes and can take r within its deficit; -1 if there is none.
func (q *pass) sampleReceiver(r int32) int32 {
	best, most := int32(-1), 0.0
	for b := range q.load {
		d := int32(b)
		if q.t.pool[d] < 0 || q.load[d].count >= q.t.counts[d].lo {
			continue
		}
		if lack := q.deficit(d); lack > most && lack >= float64(q.size[r]) && q.legal(r, d) {
			best, most = d, lack
		}
	}
	return best
}

// choices is how many replicas of nearly the wanted size are weighed against
// each other, and choicesIn how many if bytes-in is a goal.
const (
	choices = 12
)

// pending is what must still leave a broker.
type pending struct {
	bytes int64
	count int32
}

func (p *pending) add(size int64) { p.bytes, p.count = p.bytes+size, p.count+1 }

func (p *pending) sub(size int64) { p.bytes, p.count = p.bytes-size, p.count-1 }
