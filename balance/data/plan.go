package data

import (
	"slices"
)

// margins are the parts of the band's margin that a plan tries in turn when a
// wider one ends outside the band.
var margins = [...]float64{1, 0.9, 0.7, 0.4}

// Plan returns what should change in m. The model must be valid and sorted.
// Errors are about the input only; demands that cannot be met stand in the
// proposal. The plan for the result of a plan is empty, unless a byte limit
// cut the first one short.
func Plan(m *Model, o Options) (*Proposal, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	p := plan(m, o)
	for n := 1; n < mostPlans && !p.Empty() && o.MaxBytes == 0 && m.limitsDirs(); n++ {
		next := plan(p.Apply(m), o)
		if next.Empty() {
			break
		}
		p = join(m, o, p, next)
	}
	return p, nil
}

// mostPlans is how many plans are joined to one at most. A plan levels log dirs
// when it has chosen the brokers, so that there may be room for more then.
const mostPlans = 8

// plan makes one plan.
func plan(m *Model, o Options) *Proposal {
	q := &planner{layout: newLayout(m), o: o}
	q.dirs, q.orig = newDirBook(&q.positions, o), slices.Clone(q.at)
	q.run()
	return q.propose()
}

// run improves the layout until neither moves nor leaders change any more.
// Every round starts as a plan of its own would, so that the next plan finds
// nothing to do.
func (q *planner) run() {
	for again := true; again; again = q.close() {
		for q.round() {
			q.rounds++
			for p := range q.m.Partitions {
				q.rebase(int32(p))
			}
		}
	}
}

// close takes back, after several rounds, what is not needed to get from the
// model to where they ended. It reports whether that changed anything.
func (q *planner) close() bool {
	if q.rounds < 2 || len(q.taken) == 0 || q.newExact() != nil {
		return false
	}
	start, before := q.save(), q.score()
	q.origins()
	bytes := q.travels()
	c := q.newPass()
	if bytes <= polishAbove*float64(boundOf(q.o, newLayout(q.m), q.layout, 0).Bytes) || !c.polish() {
		q.restore(start)
		return false
	}
	taken := q.closing(start, c.t.limit)
	if before.less(q.score()) || q.travels() >= bytes { // what could not be staged was undone
		q.restore(start)
		return false
	}
	q.taken = taken
	for p := range q.m.Partitions {
		q.rebase(int32(p))
	}
	return true
}

// closing returns the stages from the model to the present layout, and leaves
// the model's brokers as homes: the stages taken to where the rounds ended,
// and on from there; straight ones where that would carry more bytes than may
// travel. The moves that fit nowhere are undone.
func (q *planner) closing(ended saved, limit []float64) [][]hop {
	q.goHome(ended) // the slots that the stages know
	for p := range q.m.Partitions {
		q.settle(int32(p))
	}
	q.dirs.stay()
	way := slices.Concat(q.taken, q.hops(q.home, q.stages(q.home, limit)))
	q.origins()
	if q.o.MaxBytes > 0 && carried(q.m, way) > q.o.MaxBytes {
		return q.hops(q.home, q.stages(q.home, limit))
	}
	return way
}

// origins makes the brokers that each partition had in the model the homes of
// its replicas, its own for each that is on one of them.
func (q *planner) origins() {
	for p := range q.m.Partitions {
		lo, hi := q.first[p], q.first[p+1]
		at, old := q.at[lo:hi], q.orig[lo:hi]
		var free []int32
		for _, b := range old {
			if !slices.Contains(at, b) {
				free = append(free, b)
			}
		}
		for i, b := range at {
			if !slices.Contains(old, b) {
				b, free = free[0], free[1:]
			}
			q.home[lo+int32(i)] = b
			q.dirs.original(lo + int32(i))
		}
	}
}

// rebase makes the present place of p its home, and its leader the first of
// its replicas.
func (l *layout) rebase(p int32) {
	first, lead := l.first[p], l.lead[p]
	leader := l.at[lead]
	copy(l.at[first+1:lead+1], l.at[first:lead])
	l.at[first], l.lead[p], l.lead0[p] = leader, first, leader
	copy(l.home[first:l.first[p+1]], l.at[first:l.first[p+1]])
	l.dirs.rebase(first, lead, l.first[p+1])
}

// round makes one plan and reports whether anything changed.
func (q *planner) round() bool {
	if e := q.newExact(); e != nil {
		stages, changed := e.run()
		q.taken = append(q.taken, stages...)
		return changed
	}
	moved := q.replicas()
	led := q.leaders()
	return moved || led
}

// leaders evens out leaders and reports whether any changed.
func (q *planner) leaders() bool {
	before := slices.Clone(q.lead)
	newFlow(q.layout, q.o).run()
	return !slices.Equal(before, q.lead)
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

// replicas makes the best pass, if one is worth it, and reports whether.
func (q *planner) replicas() bool {
	before := q.score()
	if before == (score{}) {
		return false
	}
	limit := q.targets(q.o).limit
	start := q.save()
	best, kept := before, start
	var taken [][]hop
	worse := 0 // margins in a row that brought nothing
	for _, margin := range margins {
		q.restore(start)
		q.pass(margin * aim)
		stages := q.hops(q.home, q.stages(q.home, limit))
		if s := q.score(); s.worth(best) {
			best, kept, taken, worse = s, q.save(), stages, 0
		} else {
			worse++
		}
		if best.hard == 0 && best.outside == 0 || worse == 2 {
			break
		}
	}
	if !best.worth(before) {
		q.restore(start)
		return false
	}
	q.restore(kept)
	q.taken = append(q.taken, taken...)
	return true
}

// pass runs all phases with the bands' margins scaled.
func (q *planner) pass(scale float64) {
	p := q.newPass()
	p.relist()
	margin := scale * q.o.DiskBand
	if p.drain(margin) {
		p.t = q.targets(q.o) // an item larger than a broker may lie elsewhere now
	}
	p.spreadLarge()
	p.v = p.diskLevels(margin)
	p.sample()
	p.counts(false)
	p.v = p.diskLevels(margin)
	p.disk()
	p.relist()
	p.counts(true)
	p.evenDisk()
	p.evenCounts()
	p.evenIn(scale)
	if q.travels() > polishAbove*float64(boundOf(q.o, q.atHome(), q.layout, 0).Bytes) {
		p.polish()
	}
	for i := range q.m.Partitions {
		q.settle(int32(i))
	}
}

func (q *planner) newPass() *pass {
	return &pass{layout: q.layout, o: q.o, t: q.targets(q.o), budget: q.budget(), leadAt: q.leaderShares(),
		inPerByte: q.inPerByte(), moved: make([]bool, len(q.at)), pending: make([]pending, len(q.load))}
}

// polishAbove is how far above the bound a pass may end before it looks at
// every step that could lower its bytes. Below, the bands' slack is worth more.
const polishAbove = 1.025

// travels returns the bytes that are not at home.
func (l *layout) travels() float64 {
	bytes := int64(0)
	for r, b := range l.at {
		if b != l.home[r] {
			bytes += l.size[r]
		}
	}
	return float64(bytes)
}

// inPerByte returns the bytes a second that a stored byte takes on average.
func (l *layout) inPerByte() float64 {
	in, bytes := 0.0, 0.0
	for b := range l.load {
		in += float64(l.load[b].in)
		bytes += float64(l.load[b].bytes)
	}
	if bytes == 0 {
		return 0
	}
	return in / bytes
}
