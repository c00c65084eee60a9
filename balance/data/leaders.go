package data

import "math"

// flow evens out leaders. Leadership can go from b to c over a partition that
// b leads and c holds; a chain of such steps takes it from a broker with too
// many to one with too few, and only the ends change their counts.
type flow struct {
	*layout
	o      Options
	want   []span
	bucket [][]int32 // by b*brokers+c: replicas on c whose partition b may lead; stale entries are dropped when met
}

// leaderShares returns how many partitions each broker should lead.
func (l *layout) leaderShares() []span {
	return spans(l.spreadLeads(func(*Partition) float64 { return 1 }, false))
}

// fairLeads is leaderShares as if partitions with one copy could still go to
// any broker that takes replicas: what the goal asks for, wherever these lie.
func (l *layout) fairLeads() []span {
	return spans(l.spreadLeads(func(*Partition) float64 { return 1 }, true))
}

// spreadLeads spreads a quantity of which the leader of p carries item(p) by
// capacity of network-out. A broker carries at least what no other may lead
// and at most what it holds; with loose, a single copy that may move binds
// no broker.
func (l *layout) spreadLeads(item func(p *Partition) float64, loose bool) []float64 {
	nb := len(l.load)
	f := &filling{weight: l.weights(func(b *Broker) int64 { return b.NetOut }), rackOf: make([]int32, nb),
		lo: make([]float64, nb), hi: make([]float64, nb), rackLo: make([]float64, 1), rackHi: []float64{math.Inf(1)}}
	anywhere := 0.0
	for i := range l.m.Partitions {
		p := &l.m.Partitions[i]
		v := item(p)
		living, only := int32(0), int32(0)
		for r := l.first[i]; r < l.first[i+1]; r++ {
			if b := l.at[r]; !l.leaves(b) {
				living, only = living+1, b
			}
		}
		switch lead := l.at[l.lead[i]]; {
		case p.Hold == Excluded:
			f.fix(lead, v)
		case loose && l.rf(int32(i)) == 1 && p.Hold == Free && l.state(lead).gains():
			anywhere += v
		case living == 1:
			f.fix(only, v)
		case living > 1:
			f.total += v
			for r := l.first[i]; r < l.first[i+1]; r++ {
				f.hi[l.at[r]] += v
			}
		}
	}
	f.total += anywhere
	for b := range f.hi {
		if l.state(int32(b)).gains() {
			f.hi[b] += anywhere
		}
	}
	return f.solve()
}

func newFlow(l *layout, o Options) *flow {
	f := &flow{layout: l, o: o, want: l.leaderShares(), bucket: make([][]int32, len(l.load)*len(l.load))}
	n := make([]int32, len(f.bucket))
	f.each(func(i int, r int32) { n[i]++ })
	all := make([]int32, len(l.at))
	for i := range f.bucket {
		f.bucket[i], all = all[:0:n[i]], all[n[i]:]
	}
	for cost := 1; cost >= -1; cost-- { // the cheap ones last: they are taken first
		f.each(func(i int, r int32) {
			if f.cost(r) == cost {
				f.bucket[i] = append(f.bucket[i], r)
			}
		})
	}
	return f
}

// cost is how many more partitions end under another leader than they began
// with if r takes the lead: -1, 0 or 1.
func (f *flow) cost(r int32) int {
	p := f.part[r]
	c := 0
	if f.at[r] != f.lead0[p] {
		c++
	}
	if f.at[f.lead[p]] != f.lead0[p] {
		c--
	}
	return c
}

// each calls fn for every replica that could take the lead of its partition.
func (f *flow) each(fn func(i int, r int32)) {
	for p := range f.m.Partitions {
		if f.m.Partitions[p].Hold == Excluded {
			continue
		}
		f.eachOf(int32(p), fn)
	}
}

func (f *flow) eachOf(p int32, fn func(i int, r int32)) {
	b := f.at[f.lead[p]]
	for r := f.first[p]; r < f.first[p+1]; r++ {
		if c := f.at[r]; r != f.lead[p] && !f.leaves(c) {
			fn(int(b)*len(f.load)+int(c), r)
		}
	}
}

// next returns a replica on c with which c could take a lead from b, -1 if
// there is none.
func (f *flow) next(b, c int32) int32 {
	i := int(b)*len(f.load) + int(c)
	for n := len(f.bucket[i]); n > 0; n = len(f.bucket[i]) {
		r := f.bucket[i][n-1]
		if f.at[f.lead[f.part[r]]] == b && f.at[r] == c {
			return r
		}
		f.bucket[i] = f.bucket[i][:n-1]
	}
	return -1
}

// shift hands one lead from b to c.
func (f *flow) shift(b, c int32) {
	r := f.next(b, c)
	i := int(b)*len(f.load) + int(c)
	f.bucket[i] = f.bucket[i][:len(f.bucket[i])-1]
	f.setLeader(r)
	f.eachOf(f.part[r], func(i int, r int32) { f.bucket[i] = append(f.bucket[i], r) })
}

// evenLeaders takes leaders from brokers above their ceiling, then gives to
// those below their floor, over the shortest chains.
func (f *flow) evenLeaders() {
	f.drive(
		func(b int32) bool { return f.load[b].leaders > f.want[b].hi },
		func(b int32) bool { return f.load[b].leaders < f.want[b].lo })
	f.drive(
		func(b int32) bool { return f.load[b].leaders > f.want[b].hi },
		func(b int32) bool { return f.load[b].leaders < f.want[b].hi })
	f.drive(
		func(b int32) bool { return f.load[b].leaders > f.want[b].lo },
		func(b int32) bool { return f.load[b].leaders < f.want[b].lo })
}

// drive shifts leads over the shortest chains from the brokers that have to
// those that need, until no chain is left: in rounds, each of which measures
// every broker's distance and then uses up the chains of these lengths.
func (f *flow) drive(has, needs func(b int32) bool) {
	for {
		dist := f.distances(needs)
		walked := false
		for b := range f.load {
			for has(int32(b)) && f.walk(int32(b), dist, needs) {
				walked = true
			}
		}
		if !walked {
			return
		}
	}
}

// far is the distance of a broker from which no chain leads to one in need.
const far = math.MaxInt32

// distances returns the length of every broker's shortest chain to one that
// needs leads.
func (f *flow) distances(needs func(b int32) bool) []int32 {
	dist := make([]int32, len(f.load))
	var front []int32
	for b := range dist {
		dist[b] = far
		if needs(int32(b)) {
			dist[b] = 0
			front = append(front, int32(b))
		}
	}
	for len(front) > 0 {
		var next []int32
		for _, c := range front {
			for b := range dist {
				if dist[b] == far && f.next(int32(b), c) >= 0 {
					dist[b] = dist[c] + 1
					next = append(next, int32(b))
				}
			}
		}
		front = next
	}
	return dist
}

// walk finds one chain from b down the distances and shifts a lead along it.
// Brokers that prove to be dead ends are marked far.
func (f *flow) walk(b int32, dist []int32, needs func(b int32) bool) bool {
	chain := []int32{b}
	for {
		x := chain[len(chain)-1]
		if dist[x] == 0 && len(chain) > 1 {
			if needs(x) {
				break
			}
			dist[x] = far
		}
		if c := f.nearer(x, dist); c >= 0 {
			chain = append(chain, c)
			continue
		}
		dist[x] = far
		if chain = chain[:len(chain)-1]; len(chain) == 0 {
			return false
		}
	}
	for i := 1; i < len(chain); i++ {
		f.shift(chain[i-1], chain[i])
	}
	return true
}

// nearer returns the broker one step nearer to need to which x can hand a
// lead at the least cost, -1 if there is none.
func (f *flow) nearer(x int32, dist []int32) int32 {
	best, least := int32(-1), 2
	if dist[x] == far {
		return -1
	}
	for c := range dist {
		if dist[c] != dist[x]-1 {
			continue
		}
		if r := f.next(x, int32(c)); r >= 0 && f.cost(r) < least {
			best, least = int32(c), f.cost(r)
		}
	}
	return best
}
