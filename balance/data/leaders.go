package data

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
	w := l.weights(func(b *Broker) int64 { return b.NetOut })
	f := l.limits(w, func(*Partition) float64 { return 1 })
	f.total = float64(len(l.m.Partitions))
	for k := range f.rackLo {
		f.rackLo[k], f.rackHi[k] = 0, f.total
	}
	for b := range l.load {
		f.lo[b], f.hi[b] = float64(l.load[b].fixedLd), float64(l.load[b].count)
	}
	for p := range l.m.Partitions {
		if l.rf(int32(p)) == 1 && l.m.Partitions[p].Hold != Excluded {
			f.lo[l.at[l.first[p]]]++
		}
	}
	return spans(f.solve())
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

// run evens out what the goals ask for.
func (f *flow) run() {
	if f.o.Goals.Has(GoalLeaders) {
		f.evenLeaders()
	}
	if f.o.Goals.Has(GoalBytesOut) {
		f.evenOut()
	}
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
// those that need, until no chain is left.
func (f *flow) drive(has, needs func(b int32) bool) {
	for depth := 1; depth < len(f.load); {
		if !f.driveAt(depth, has, needs) {
			depth++
		} else if depth > 1 {
			depth = 1 // a chain may have opened shorter ones
		}
	}
}

// driveAt uses up the chains of at most depth steps and reports whether there
// were any.
func (f *flow) driveAt(depth int, has, needs func(b int32) bool) bool {
	any := false
	for b := range f.load {
		for has(int32(b)) {
			chain := f.chain(int32(b), depth, needs)
			if chain == nil {
				break
			}
			for i := 1; i < len(chain); i++ {
				f.shift(chain[i-1], chain[i])
			}
			any = true
		}
	}
	return any
}

// chain finds the shortest chain from b to a broker that needs leads.
func (f *flow) chain(b int32, depth int, needs func(b int32) bool) []int32 {
	from := make([]int32, len(f.load))
	for i := range from {
		from[i] = -1
	}
	from[b] = b
	front := []int32{b}
	for range depth {
		var next []int32
		for _, x := range front {
			for c := range f.load {
				if from[c] >= 0 || f.next(x, int32(c)) < 0 {
					continue
				}
				from[c] = x
				if needs(int32(c)) {
					return f.trace(from, b, int32(c))
				}
				next = append(next, int32(c))
			}
		}
		front = next
	}
	return nil
}

func (f *flow) trace(from []int32, b, c int32) []int32 {
	chain := []int32{c}
	for c != b {
		c = from[c]
		chain = append([]int32{c}, chain...)
	}
	return chain
}
