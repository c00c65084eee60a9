package data

import (
	"cmp"
	"math"
	"slices"
)

// drain places the replicas that must move: those on brokers that leave and
// those that break the rack rule, the largest first. It reports whether there
// were any.
func (q *pass) drain(margin float64) bool {
	q.pending = make([]pending, len(q.load))
	must := q.mustMove(margin)
	if must == nil {
		return false
	}
	q.v = q.diskLevels(margin)
	for again := true; again; { // one placement may make room for another
		again = false
		for _, r := range must {
			if q.moved[r] {
				continue
			}
			if d := q.drainReceiver(r); d >= 0 {
				q.pending[q.at[r]].sub(q.size[r])
				q.put(r, d)
				again = true
			}
		}
	}
	clear(q.pending)
	return true
}

// mustMove lists the free replicas that hold a hard rule broken, the largest
// first, and enters them as pending.
func (q *pass) mustMove(margin float64) []int32 {
	var must, tight []int32
	for p := range q.m.Partitions {
		if q.m.Partitions[p].Hold != Free {
			continue
		}
		over := false
		for r := q.first[p]; r < q.first[p+1]; r++ {
			if q.leaves(q.at[r]) {
				must = append(must, r)
				q.pending[q.at[r]].add(q.size[r])
			} else if q.overCap(r) {
				over = true
			}
		}
		if over {
			tight = append(tight, int32(p))
		}
	}
	q.v = q.diskLevels(margin)
	slices.SortFunc(tight, func(a, b int32) int {
		if c := cmp.Compare(q.m.Partitions[b].Size, q.m.Partitions[a].Size); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	for _, p := range tight {
		must = append(must, q.overRack(p)...)
	}
	slices.SortFunc(must, func(a, b int32) int {
		if c := cmp.Compare(q.size[b], q.size[a]); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	return must
}

// overRack lists the replicas of p, on brokers that stay, beyond what their
// rack may hold: those on the fullest brokers. It enters them as pending.
func (q *pass) overRack(p int32) []int32 {
	lo, hi := q.first[p], q.first[p+1]
	var over []int32
	for r := lo; r < hi; r++ {
		copies := int32(0)
		for s := lo; s < hi; s++ {
			if s == r || q.rackOf[q.at[s]] != q.rackOf[q.at[r]] || q.leaves(q.at[s]) {
				continue
			}
			x, y := q.surplus(q.at[s]), q.surplus(q.at[r])
			if x < y || (x == y && s < r) {
				copies++
			}
		}
		if copies >= q.caps[hi-lo] && !q.leaves(q.at[r]) {
			over = append(over, r)
		}
	}
	for _, r := range over {
		q.pending[q.at[r]].add(q.size[r])
	}
	return over
}

// drainReceiver returns the broker to take r: among those with a free slot the
// one that lacks most bytes if that is half of r or more, else the one with
// most slots; without a slot anywhere, the one with most room.
func (q *pass) drainReceiver(r int32) int32 {
	type choice struct {
		b int32
		v float64
	}
	none := choice{-1, math.Inf(-1)}
	lack, slots, room := none, none, none
	better := func(c *choice, b int32, v float64) {
		if v > c.v {
			*c = choice{b, v}
		}
	}
	for b := range q.load {
		d := int32(b)
		if q.t.pool[d] < 0 || !q.fits(r, d) || !q.affords(r, d) || !q.legalRepair(r, d) {
			continue
		}
		deficit := q.deficit(d)
		free := float64(q.t.counts[d].hi - q.load[d].count + q.pending[d].count)
		if !q.o.Goals.Has(GoalReplicas) {
			free = 1
		}
		better(&room, d, deficit)
		if free > 0 {
			better(&slots, d, free)
			better(&lack, d, deficit)
		}
	}
	switch {
	case lack.b >= 0 && (lack.v >= float64(q.size[r])/2 || !q.o.Goals.Has(GoalReplicas)):
		return lack.b
	case slots.b >= 0:
		return slots.b
	}
	return room.b
}

// legalRepair is legal, for a replica that must move: the move must not leave
// its own rack above the cap.
func (q *pass) legalRepair(r, b int32) bool {
	if !q.legal(r, b) {
		return false
	}
	p := q.part[r]
	copies := int32(0)
	for s := q.first[p]; s < q.first[p+1]; s++ {
		if s != r && q.rackOf[q.at[s]] == q.rackOf[b] {
			copies++
		}
	}
	return copies < q.caps[q.rf(p)] || q.leaves(q.at[r])
}
