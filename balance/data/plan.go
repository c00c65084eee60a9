package data

import "math"

// margins are the parts of the band's margin that a plan tries in turn when a
// wider one ends outside the band.
var margins = [...]float64{1, 0.95, 0.9, 0.75, 0.5, 0.25}

// improve is the part by which a plan that misses a band must still lessen
// what lies outside, to be worth its bytes.
const improve = 0.02

// planner makes a proposal from passes over one layout.
type planner struct {
	*layout
	o      Options
	budget int64
	order  []int32 // partitions by size
}

// Plan returns what should change in m. The model must be valid and sorted.
// Errors are about the input only; demands that cannot be met stand in the
// proposal.
func Plan(m *Model, o Options) (*Proposal, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	q := &planner{layout: newLayout(m), o: o, budget: math.MaxInt64}
	if o.MaxBytes > 0 {
		q.budget = o.MaxBytes
	}
	q.order = q.bySize()
	q.replicas()
	newFlow(q.layout, o).run()
	return q.propose(), nil
}

// replicas moves replicas until a further pass would change nothing: the
// result of a plan is left alone by the next one.
func (q *planner) replicas() {
	for range 8 {
		before := q.score()
		if before == (score{}) {
			return
		}
		start := q.save()
		best, kept := before, start
		for _, margin := range margins {
			q.restore(start)
			q.pass(margin * aim)
			if s := q.score(); s.less(best) {
				best, kept = s, q.save()
			}
			if best.hard == 0 && best.outside == 0 {
				break
			}
		}
		if !best.worth(before) {
			q.restore(start)
			return
		}
		q.restore(kept)
		q.budget = kept.budget
	}
}

// pass runs all phases with the bands' margins scaled.
func (q *planner) pass(scale float64) {
	p := &pass{layout: q.layout, o: q.o, t: q.targets(q.o), budget: q.budget,
		moved: make([]bool, len(q.at)), order: q.order}
	p.leadAt = q.leaderShares()
	p.inPerByte = q.inPerByte()
	p.relist()
	margin := scale * q.o.DiskBand
	p.v = p.diskLevels(margin)
	p.drain()
	p.t = q.targets(q.o)
	p.v = p.diskLevels(margin)
	p.sample()
	p.counts(false)
	p.v = p.diskLevels(margin)
	p.disk()
	p.relist()
	p.counts(true)
	p.relist()
	p.evenIn(scale)
	q.budget = p.budget
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

// score is how far a layout is from what is demanded.
type score struct {
	hard    float64 // replicas and bytes that break a hard rule
	outside float64 // what lies outside the bands, in parts of a broker's share
}

func (s score) less(t score) bool {
	if s.hard != t.hard {
		return s.hard < t.hard
	}
	return s.outside < t.outside
}

// worth reports whether s is enough better than t to move replicas for.
func (s score) worth(t score) bool {
	return s.hard < t.hard || (s.hard == t.hard && s.outside < t.outside*(1-improve))
}

// score measures everything that moves of replicas can mend.
func (q *planner) score() score {
	t := q.targets(q.o)
	var s score
	for p := range q.m.Partitions {
		s.hard += q.broken(int32(p))
	}
	disk := 0.0
	for b := range q.load {
		if q.t0(t, b) {
			continue
		}
		x := float64(q.load[b].bytes)
		if x > t.limit[b] {
			s.hard += (x - t.limit[b]) / t.limit[b]
		}
		disk += t.disk[b]
		if q.o.Goals.Has(GoalReplicas) {
			n, want := q.load[b].count, t.counts[b]
			s.outside += float64(max(n-want.hi, want.lo-n, 0)) / math.Max(1, float64(want.lo))
		}
		if q.o.Goals.Has(GoalDisk) {
			s.outside += beyond(x, t.disk[b], q.o.DiskBand)
		}
		if q.o.Goals.Has(GoalBytesIn) {
			s.outside += beyond(float64(q.load[b].in), t.in[b], q.o.InBand)
		}
	}
	return s
}

func (q *planner) t0(t *targets, b int) bool { return t.pool[b] < 0 }

// beyond returns how far x lies outside the band around share, in parts of
// the share.
func beyond(x, share, band float64) float64 {
	if share <= 0 {
		return 0
	}
	return math.Max(0, math.Max(x/share-1-band, 1-band-x/share))
}

// broken counts the replicas of p that break a hard rule and may be moved.
func (l *layout) broken(p int32) float64 {
	if l.m.Partitions[p].Hold != Free {
		return 0
	}
	n := 0.0
	lo, hi := l.first[p], l.first[p+1]
	for r := lo; r < hi; r++ {
		if l.leaves(l.at[r]) {
			n++
			continue
		}
		copies := int32(0)
		for s := lo; s < r; s++ {
			if l.rackOf[l.at[s]] == l.rackOf[l.at[r]] && !l.leaves(l.at[s]) {
				copies++
			}
		}
		if copies >= l.caps[hi-lo] {
			n++
		}
	}
	return n
}

// saved is a layout that can be returned to.
type saved struct {
	at, lead []int32
	load     []load
	budget   int64
}

func (q *planner) save() saved {
	return saved{append([]int32(nil), q.at...), append([]int32(nil), q.lead...), append([]load(nil), q.load...), q.budget}
}

func (q *planner) restore(s saved) {
	copy(q.at, s.at)
	copy(q.lead, s.lead)
	copy(q.load, s.load)
	q.budget = s.budget
}
