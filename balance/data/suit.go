package data

import "math"

// suits weighs what a move of r to d does besides what it is made for: leaders,
// bytes-in and the spread of the topic. It only decides between replicas that
// serve the move equally well.
func (q *pass) suits(r, d int32) float64 {
	s := q.at[r]
	return q.suitsLead(r, s, d) + q.suitsIn(r, s, d)
}

// suitsLead is good if a lead goes from a broker with too many to one with too
// few: one leader change then does the work of two half ones.
func (q *pass) suitsLead(r, s, d int32) float64 {
	if !q.o.Goals.Has(GoalLeaders) || !q.leads(r) {
		return 0
	}
	v := -1.0
	if q.load[s].leaders > q.leadAt[s].hi {
		v++
	}
	if q.load[d].leaders < q.leadAt[d].lo {
		v++
	}
	return v
}

// suitsIn is by how much bytes-in of the two brokers come closer to their
// shares, in parts of what a replica of that size takes on average.
func (q *pass) suitsIn(r, s, d int32) float64 {
	v := float64(q.m.Partitions[q.part[r]].In)
	usual := float64(q.size[r]) * q.inPerByte
	if usual <= 0 {
		return 0
	}
	gap := func(b int32, x float64) float64 { return math.Abs(float64(q.load[b].in) + x - q.t.in[b]) }
	gain := gap(s, 0) - gap(s, -v) + gap(d, 0) - gap(d, v)
	return math.Max(-1, math.Min(1, gain/(4*usual)))
}
