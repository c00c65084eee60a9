package data

import "slices"

// layout is who holds what while a plan is made: the model as flat arrays and
// the sums per broker.
type layout struct {
	positions
	lead  []int32 // by partition: the replica that leads it
	lead0 []int32 // by partition: the broker that led it at the start of the plan

	load []load   // by broker
	dirs *dirBook // what log dirs hold; nil: no limit of any is known

	rackOf []int32 // by broker
	racks  int     // count of racks
	caps   []int32 // by replication factor: copies that one rack may hold

	topic  []int32 // by partition: number of its topic
	spread []int32 // by topic*brokers+broker: replicas of the topic there; nil if that were too much

	order []int32   // partitions by size, once asked for
	small []float64 // sums of the smallest partitions, once asked for
}

// load is what a broker carries.
type load struct {
	bytes, in, out  int64
	count, leaders  int32
	held, heldLeads int32 // replicas and leaders that no plan may take away
}

func newLayout(m *Model) *layout {
	m = holdLost(m)
	l := &layout{positions: positions{m: m, ix: newBrokerIndex(m.Brokers)}, load: make([]load, len(m.Brokers))}
	n := 0
	for i := range m.Partitions {
		n += len(m.Partitions[i].Replicas)
	}
	np := len(m.Partitions)
	l.first = make([]int32, np+1)
	l.size = make([]int64, n)
	l.part, l.at, l.home = make([]int32, n), make([]int32, n), make([]int32, n)
	l.lead, l.lead0 = make([]int32, np), make([]int32, np)
	r := int32(0)
	for i := range m.Partitions {
		p := &m.Partitions[i]
		l.first[i], l.lead[i] = r, r
		for _, id := range p.Replicas {
			l.part[r], l.at[r], l.size[r] = int32(i), l.ix.of(id), p.Size
			r++
		}
		l.lead0[i] = l.at[l.first[i]]
	}
	l.first[np] = r
	copy(l.home, l.at)
	l.numberTopics()
	l.sum()
	l.findRacks()
	return l
}

// mostSpread is how many counts per topic and broker are kept at most.
const mostSpread = 32 << 20

// numberTopics numbers the topics in their order.
func (l *layout) numberTopics() {
	l.topic = make([]int32, len(l.m.Partitions))
	n := int32(0)
	for i := range l.topic {
		if i > 0 && l.m.Partitions[i].Topic != l.m.Partitions[i-1].Topic {
			n++
		}
		l.topic[i] = n
	}
	if cells := int(n+1) * len(l.load); cells <= mostSpread {
		l.spread = make([]int32, cells)
	}
}

// ofTopic points to the count of replicas of p's topic on broker b.
func (l *layout) ofTopic(p, b int32) *int32 {
	return &l.spread[int(l.topic[p])*len(l.load)+int(b)]
}

func (l *layout) sum() {
	for i := range l.m.Partitions {
		p := &l.m.Partitions[i]
		for r := l.first[i]; r < l.first[i+1]; r++ {
			b := &l.load[l.at[r]]
			b.bytes += p.Size
			b.in += p.In
			b.count++
			if l.spread != nil {
				*l.ofTopic(int32(i), l.at[r])++
			}
			if p.Hold != Free {
				b.held++
			}
		}
		b := &l.load[l.at[l.lead[i]]]
		b.leaders++
		b.out += p.Out
		if p.Hold == Excluded {
			b.heldLeads++
		}
	}
}

// findRacks numbers the racks by name and fixes how many copies of a
// partition one rack may hold: as few as the living brokers allow, which is
// ceil(RF / racks) where no rack is smaller than that.
func (l *layout) findRacks() {
	var names []string
	for i := range l.m.Brokers {
		names = append(names, l.m.Brokers[i].Rack)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	l.racks = len(names)
	l.rackOf = make([]int32, len(l.m.Brokers))
	for i := range l.m.Brokers {
		k, _ := slices.BinarySearch(names, l.m.Brokers[i].Rack)
		l.rackOf[i] = int32(k)
	}
	stay := l.staying()
	maxRF := 0
	for i := range l.m.Partitions {
		maxRF = max(maxRF, len(l.m.Partitions[i].Replicas))
	}
	l.caps = make([]int32, maxRF+1)
	for rf := 1; rf <= maxRF; rf++ {
		l.caps[rf] = rackCap(int32(rf), stay)
	}
}

// rackCap returns the smallest count of copies per rack with which rf copies
// fit into racks of so many brokers; rf if they do not fit at all.
func rackCap(rf int32, stay []int32) int32 {
	for c := int32(1); c < rf; c++ {
		room := int32(0)
		for _, n := range stay {
			room += min(n, c)
		}
		if room >= rf {
			return c
		}
	}
	return rf
}

func (l *layout) free(r int32) bool         { return l.m.Partitions[l.part[r]].Hold == Free }
func (l *layout) leads(r int32) bool        { return l.lead[l.part[r]] == r }
func (l *layout) rf(p int32) int32          { return l.first[p+1] - l.first[p] }
func (l *layout) state(b int32) State       { return l.m.Brokers[b].State }
func (l *layout) leaves(b int32) bool       { return l.m.Brokers[b].State.leaves() }
func (l *layout) mayTake(r, b int32) bool   { return l.m.Brokers[b].State.gains() || l.mayReturn(r, b) }
func (l *layout) mayReturn(r, b int32) bool { return l.homeOf(r, b) >= 0 && !l.leaves(b) }

// atHome returns the layout with which the round began.
func (l *layout) atHome() *layout {
	c := *l
	c.at, c.lead, c.load, c.spread, c.dirs = l.home, l.first[:len(l.lead)], make([]load, len(l.load)), nil, nil
	c.sum()
	return &c
}

// settle renames the replicas of partition p among each other so that as few
// as possible change brokers: a replica on the broker that another one came
// from takes that one's place.
func (l *layout) settle(p int32) {
	lo, hi := l.first[p], l.first[p+1]
	leader := l.at[l.lead[p]]
	for r := lo; r < hi; r++ {
		for s := lo; s < hi && l.at[r] != l.home[r]; s++ {
			if s != r && l.home[s] == l.at[r] {
				l.at[r], l.at[s] = l.at[s], l.at[r]
				l.dirs.swap(r, s)
				s = lo - 1
			}
		}
	}
	for r := lo; r < hi; r++ {
		if l.at[r] == leader {
			l.lead[p] = r
		}
	}
}

// legal reports whether replica r may move to broker b: b takes replicas, does
// not hold the partition, has room in a log dir, and its rack stays within the
// cap. A replica that came from a cordoned broker may go back to it.
func (l *layout) legal(r, b int32) bool {
	p := l.part[r]
	if !l.mayTake(r, b) {
		return false
	}
	rack, copies := l.rackOf[b], int32(0)
	lo, hi := l.first[p], l.first[p+1]
	for q := lo; q < hi; q++ {
		c := l.at[q]
		if c == b {
			return false
		}
		if q != r && l.rackOf[c] == rack {
			copies++
		}
	}
	return (copies < l.caps[hi-lo] || l.rackOf[l.at[r]] == rack) && (l.dirs == nil || l.dirs.takes(r, b))
}

// move puts replica r on broker b; a leader takes its leadership along.
func (l *layout) move(r, b int32) {
	p := &l.m.Partitions[l.part[r]]
	from, to := &l.load[l.at[r]], &l.load[b]
	from.bytes -= p.Size
	from.in -= p.In
	from.count--
	to.bytes += p.Size
	to.in += p.In
	to.count++
	if l.leads(r) {
		from.leaders--
		from.out -= p.Out
		to.leaders++
		to.out += p.Out
	}
	if l.spread != nil {
		*l.ofTopic(l.part[r], l.at[r])--
		*l.ofTopic(l.part[r], b)++
	}
	if l.dirs != nil {
		l.dirs.move(r, b)
	}
	l.at[r] = b
}

// setLeader makes replica r the leader of its partition.
func (l *layout) setLeader(r int32) {
	pi := l.part[r]
	p := &l.m.Partitions[pi]
	from, to := &l.load[l.at[l.lead[pi]]], &l.load[l.at[r]]
	from.leaders--
	from.out -= p.Out
	to.leaders++
	to.out += p.Out
	l.lead[pi] = r
}

// staying counts the brokers of each rack that do not leave.
func (l *layout) staying() []int32 {
	stay := make([]int32, l.racks)
	for b := range l.load {
		if !l.leaves(int32(b)) {
			stay[l.rackOf[b]]++
		}
	}
	return stay
}

// claim makes b the home of r if it is that of another replica of the same
// partition: these are alike, and the other one gets r's home.
func (l *layout) claim(r, b int32) {
	if s := l.homeOf(r, b); s >= 0 {
		l.home[r], l.home[s] = l.home[s], l.home[r]
		l.dirs.swapHomes(r, s)
	}
}

// sameSet reports whether two lists without repetition hold the same.
func sameSet(a, b []int32) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return len(a) == len(b)
}
