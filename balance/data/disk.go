package data

import "math"

// disk moves bytes from sources to receivers, the largest fitting replica
// between the pair that can exchange most, so that nothing travels in vain.
func (q *pass) disk() {
	if !q.o.Goals.Has(GoalDisk) {
		return
	}
	for k := range q.t.pools {
		q.diskPool(int32(k))
	}
}

func (q *pass) diskPool(pool int32) {
	var sources, receivers []int32
	for b, k := range q.t.pool {
		switch {
		case k != pool:
		case q.surplus(int32(b)) > 0:
			sources = append(sources, int32(b))
		case q.deficit(int32(b)) > 0 && q.state(int32(b)).gains():
			receivers = append(receivers, int32(b))
		}
	}
	x := &exchangePairs{pass: q, sources: sources, receivers: receivers,
		over: make([]float64, len(sources)), under: make([]float64, len(receivers)),
		blocked: make([]bool, len(sources)*len(receivers))}
	for i, s := range sources {
		x.over[i] = q.surplus(s)
	}
	for j, d := range receivers {
		x.under[j] = q.deficit(d)
	}
	for i, j := x.best(); i >= 0; i, j = x.best() {
		s, d := sources[i], receivers[j]
		if r := q.largest(s, d, math.Min(x.over[i], x.under[j])); r >= 0 {
			q.put(r, d)
			x.over[i], x.under[j] = q.surplus(s), q.deficit(d)
		} else {
			x.blocked[i*len(receivers)+j] = true
		}
	}
}

// exchangePairs is the pairs of brokers that bytes may flow between.
type exchangePairs struct {
	*pass
	sources, receivers []int32
	over, under        []float64 // bytes that each source should lose, and receiver gain
	blocked            []bool    // by pair: nothing fits
}

// best returns the places of the source and the receiver that can exchange
// most, -1 if none can.
func (x *exchangePairs) best() (source, receiver int) {
	n, inGoal := len(x.receivers), x.o.Goals.Has(GoalBytesIn)
	bi, bj, top := -1, -1, 0.0
	for i, over := range x.over {
		if over <= 0 || over <= top && !inGoal {
			continue
		}
		blocked := x.blocked[i*n : (i+1)*n]
		for j, under := range x.under {
			v := min(over, under)
			if v <= 0 || v <= top && !inGoal || blocked[j] {
				continue
			}
			if inGoal {
				v *= x.contrast(x.sources[i], x.receivers[j])
			}
			if v > top {
				bi, bj, top = i, j, v
			}
		}
	}
	return bi, bj
}

const choicesIn = 200

// largest returns, of the replicas of s that d may take and that have at most
// t bytes, the largest or a somewhat smaller one that suits better otherwise;
// -1 if there is none.
func (q *pass) largest(s, d int32, t float64) int32 {
	most, part, weigh := choices, 0.75, q.suits
	if q.o.Goals.Has(GoalBytesIn) {
		most, part, weigh = choicesIn, 0.2, q.suitsRates
	}
	best, top, least, seen := int32(-1), 0.0, int64(1), 0
	for i := q.below(s, t); i >= 0 && seen < most; i = q.unmoved(s, i-1) {
		r := q.lists.item[i]
		if q.size[r] < least {
			break
		}
		if !q.legal(r, d) || !q.affords(r, d) {
			continue
		}
		if seen++; seen == 1 {
			least = max(1, int64(part*float64(q.size[r])))
		}
		if v := weigh(r, d); best < 0 || v > top {
			best, top = r, v
		}
	}
	return best
}
