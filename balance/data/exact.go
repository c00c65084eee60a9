package data

import (
	"encoding/binary"
	"math"
	"slices"
)

// How many placements of all replicas, and how many with their leaders, are few
// enough to look at each of them: five partitions on four brokers.
const (
	exactStates = 8000
	exactLeads  = 250_000
)

// exact finds the best layout of a tiny cluster by looking at every one:
// fewest broken rules, then fewest brokers outside a band, then least outside,
// then fewest bytes, then fewest changed leaders.
type exact struct {
	*planner
	sets   [][][]int32 // by partition: the broker sets that it may have, the present one first
	want   []span      // of leaders, for the present sets
	out    []float64   // of bytes-out, likewise
	start  saved
	best   exactScore
	found  saved
	shares map[string]*targets // by each broker's largest partition; nil: shares depend on more
	begun  [][]int64           // by broker and log dir: bytes at the start
	budget int64
}

type exactScore struct {
	hard    float64
	missed  int
	outside float64
	bytes   int64
	leads   int
}

func (s exactScore) less(t exactScore) bool {
	switch {
	case s.hard != t.hard:
		return s.hard < t.hard
	case s.missed != t.missed:
		return s.missed < t.missed
	case math.Abs(s.outside-t.outside) > 1e-9:
		return s.outside < t.outside
	case s.bytes != t.bytes:
		return s.bytes < t.bytes
	}
	return s.leads < t.leads
}

// newExact returns nil if the cluster is not tiny.
func (q *planner) newExact() *exact {
	if len(q.m.Partitions) > 32 || len(q.load) > 32 {
		return nil
	}
	e := &exact{planner: q, shares: make(map[string]*targets), budget: q.budget()}
	states, leads := 1, 1
	for p := range q.m.Partitions {
		sets := e.setsOf(int32(p))
		states *= len(sets)
		leads *= len(sets) * int(q.rf(int32(p)))
		if states > exactStates || leads > exactLeads {
			return nil
		}
		e.sets = append(e.sets, sets)
	}
	for b := range q.load {
		if q.state(int32(b)) == Cordoned {
			e.shares = nil
		}
	}
	return e
}

// setsOf lists the broker sets that p may have: the present one first, then
// those that break no rule.
func (e *exact) setsOf(p int32) [][]int32 {
	now := slices.Clone(e.at[e.first[p]:e.first[p+1]])
	sets := [][]int32{now}
	if e.m.Partitions[p].Hold != Free {
		return sets
	}
	rf := len(now)
	var grow func(set []int32, from int32)
	grow = func(set []int32, from int32) {
		if len(set) == rf || len(sets) > exactStates {
			if !sameSet(set, now) {
				sets = append(sets, slices.Clone(set))
			}
			return
		}
		for b := from; int(b) < len(e.load); b++ {
			if e.state(b).gains() || (!e.leaves(b) && slices.Contains(now, b)) {
				if e.inRack(set, b) < int(e.caps[rf]) {
					grow(append(set, b), b+1)
				}
			}
		}
	}
	grow(nil, 0)
	return sets
}

func (e *exact) inRack(set []int32, b int32) int {
	n := 0
	for _, c := range set {
		if e.rackOf[c] == e.rackOf[b] {
			n++
		}
	}
	return n
}

// run looks at every layout, leaves the best one in place that can be reached
// in stages, and returns these; false if that is the present one.
func (e *exact) run() ([][]hop, bool) {
	e.start = e.save()
	e.begun = e.start.dirs.bytes
	begin := e.whole()
	e.best, e.found = begin, e.start
	e.places(0)
	e.restore(e.found)
	stages := e.hops(e.home, e.stages(e.home, e.targets(e.o).limit))
	if !e.whole().less(begin) { // what could not be staged was undone
		e.restore(e.start)
		return nil, false
	}
	return stages, true
}

// whole scores the present layout, whatever the best one is.
func (e *exact) whole() exactScore {
	e.best.hard = math.Inf(1)
	e.aimLeads()
	return e.judge(e.score1())
}

// aimLeads fixes what each broker should lead for the present sets.
func (e *exact) aimLeads() {
	if e.o.Goals.Has(GoalLeaders) {
		e.want = e.fairLeads()
	}
	if e.o.Goals.Has(GoalBytesOut) {
		e.out = e.outShares()
	}
}

// places tries every broker set of the partitions from p on.
func (e *exact) places(p int) {
	if p == len(e.sets) {
		if s := e.score1(); !e.best.less(s) && s.bytes <= e.budget {
			e.aimLeads()
			e.leaderships(0, s)
		}
		return
	}
	lo, hi := e.first[p], e.first[p+1]
	lead := e.lead[p]
	for _, set := range e.sets[p] {
		e.assign(lo, hi, set)
		e.places(p + 1)
		e.lead[p] = lead
	}
	e.assign(lo, hi, e.sets[p][0])
	e.lead[p] = lead
}

// assign puts the replicas lo to hi on the brokers of set, each on its own if
// that is among them.
func (e *exact) assign(lo, hi int32, set []int32) {
	var free []int32
	for _, b := range set {
		if !slices.Contains(e.start.at[lo:hi], b) {
			free = append(free, b)
		}
	}
	for r := lo; r < hi; r++ {
		b := e.start.at[r]
		if !slices.Contains(set, b) {
			b, free = free[0], free[1:]
		}
		if e.at[r] != b {
			e.move(r, b)
		}
	}
}

// score1 scores everything but leaders.
func (e *exact) score1() exactScore {
	s := exactScore{}
	for p := range e.m.Partitions {
		s.hard += float64(e.broken(int32(p)))
	}
	if e.best.less(s) && s.hard > e.best.hard {
		return s // the rest cannot make up for it
	}
	if !e.dirs.keeps(e.begun) {
		s.hard = math.Inf(1)
		return s
	}
	t := e.sharesNow()
	for r := range e.at {
		if e.at[r] != e.home[r] {
			s.bytes += e.size[r]
		}
	}
	for b := range e.load {
		if t.pool[b] < 0 {
			continue
		}
		have := &e.load[b]
		s.hard += math.Max(0, float64(have.bytes)/t.limit[b]-1)
		if e.o.Goals.Has(GoalDisk) {
			s.miss(beyond(float64(have.bytes), t.disk[b], e.o.DiskBand))
		}
		if e.o.Goals.Has(GoalReplicas) {
			s.miss(t.counts[b].off(have.count))
		}
		if e.o.Goals.Has(GoalBytesIn) {
			s.miss(beyond(float64(have.in), t.in[b], e.o.InBand))
		}
	}
	return s
}

func (s *exactScore) miss(v float64) {
	if v > 0 {
		s.missed++
		s.outside += v
	}
}

// sharesNow returns the targets of the present layout. They depend on which
// broker holds which giant only, unless a broker is cordoned.
func (e *exact) sharesNow() *targets {
	if e.shares == nil {
		return e.targets(e.o)
	}
	key := make([]byte, 0, 64)
	for b := range e.load {
		most := int64(0)
		for r := range e.at {
			if e.at[r] == int32(b) {
				most = max(most, e.size[r])
			}
		}
		key = binary.LittleEndian.AppendUint64(key, uint64(most))
	}
	t := e.shares[string(key)]
	if t == nil {
		t = e.targets(e.o)
		e.shares[string(key)] = t
	}
	return t
}

// leaderships tries every leader of the partitions from p on.
func (e *exact) leaderships(p int, s exactScore) {
	if !e.o.Goals.Has(GoalLeaders) && !e.o.Goals.Has(GoalBytesOut) || p == len(e.sets) {
		if v := e.judge(s); v.less(e.best) {
			e.best, e.found = v, e.save()
		}
		return
	}
	before := e.lead[p]
	e.leaderships(p+1, s)
	if e.m.Partitions[p].Hold == Excluded {
		return
	}
	for r := e.first[p]; r < e.first[p+1]; r++ {
		if r != before && !e.leaves(e.at[r]) {
			e.setLeader(r)
			e.leaderships(p+1, s)
		}
	}
	e.setLeader(before)
}

// judge adds the leaders to a score of the rest.
func (e *exact) judge(s exactScore) exactScore {
	for p, r := range e.lead {
		if e.at[r] != e.lead0[p] {
			s.leads++
		}
	}
	if e.o.Goals.Has(GoalLeaders) {
		for b := range e.load {
			s.miss(e.want[b].off(e.load[b].leaders))
		}
	}
	if e.o.Goals.Has(GoalBytesOut) {
		for b := range e.load {
			s.miss(beyond(float64(e.load[b].out), e.out[b], e.o.OutBand))
		}
	}
	return s
}
