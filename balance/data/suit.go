package data

import "math"

// suits weighs what a move of r to d does besides what it is made for: leaders,
// bytes-in and the spread of the topic. It only decides between replicas that
// serve the move equally well.
func (q *pass) suits(r, d int32) float64 {
	s := q.at[r]
	return q.suitsLead(r, s, d) + q.suitsIn(r, s, d) + 0.5*q.suitsTopic(r, s, d)
}

// suitsTopic is 1 if the topic is spread more evenly by the move, -1 if less.
func (q *pass) suitsTopic(r, s, d int32) float64 {
	if q.spread == nil {
		return 0
	}
	p := q.part[r]
	switch more := *q.ofTopic(p, s) - *q.ofTopic(p, d) - 1; {
	case more > 0:
		return 1
	case more < 0:
		return -1
	}
	return 0
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

// contrast says how well s and d complement each other: if one will end with
// too much bytes-in and the other with too little, there is a choice of
// replicas that mends both.
func (q *pass) contrast(s, d int32) float64 {
	if !q.o.Goals.Has(GoalBytesIn) || q.t.in[s] == 0 || q.t.in[d] == 0 {
		return 1
	}
	return 1 + contrastWeight*math.Abs(q.inGap(s)/q.t.in[s]-q.inGap(d)/q.t.in[d])
}

// inGap is how far bytes-in of b will be above its share once its surplus or
// deficit of bytes is settled at the usual rate.
func (q *pass) inGap(b int32) float64 {
	bytes := math.Max(0, q.deficit(b)) - math.Max(0, q.surplus(b))
	return float64(q.load[b].in) + q.inPerByte*bytes - q.t.in[b]
}

// suitsRates weighs a move of r to d when bytes-in is a goal: how much of what
// the two can exchange it settles, and how much nearer their bytes-in will be
// to their shares at the end.
func (q *pass) suitsRates(r, d int32) float64 {
	s := q.at[r]
	size := float64(q.size[r])
	x := float64(q.m.Partitions[q.part[r]].In) - q.inPerByte*size
	es, ed := q.inGap(s), q.inGap(d)
	gain := math.Abs(es) - math.Abs(es-x) + math.Abs(ed) - math.Abs(ed+x)
	settled := size / math.Max(1, math.Min(q.surplus(s), q.deficit(d)))
	return settled + inWeight*gain/(q.t.in[s]+q.t.in[d]+1) + 0.05*(q.suitsLead(r, s, d)+q.suitsTopic(r, s, d))
}

// Tried on the reference clusters; neighbouring values do about as well.
const (
	inWeight       = 100 // what nearing bytes-in by a whole share is worth, in transfers
	contrastWeight = 10
)
