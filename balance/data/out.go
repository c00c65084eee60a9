package data

import (
	"slices"
)

// outShares returns the bytes a second that each broker should give.
func (l *layout) outShares() []float64 {
	return l.spreadLeads(func(p *Partition) float64 { return float64(p.Out) }, false)
}

// evenOut brings bytes-out into its band by trading leads between two
// brokers: one that gives much against one that gives little, so that counts
// of leaders stay.
func (f *flow) evenOut() {
	e := &outEvener{flow: f, share: f.outShares(), stuck: make([]bool, len(f.load))}
	for {
		b := e.worst()
		if b < 0 {
			return
		}
		if t := e.best(b); t.gain > 1e-9 {
			e.do(t)
			clear(e.stuck)
		} else {
			e.stuck[b] = true
		}
	}
}

type outEvener struct {
	*flow
	share []float64
	stuck []bool // by broker: no trade makes it better
}

// trade hands r's lead to r's broker, and s's lead to s's broker in return;
// s is -1 if nothing is given in return.
type trade struct {
	r, s int32
	gain float64
}

// worst returns the broker farthest outside its band, -1 if none is.
func (e *outEvener) worst() int32 {
	best, most := int32(-1), 0.0
	for b := range e.load {
		if v := beyond(float64(e.load[b].out), e.share[b], e.o.OutBand*aim); v > most && !e.stuck[b] {
			best, most = int32(b), v
		}
	}
	return best
}

// off is the squared distance of x from b's share.
func (e *outEvener) off(b int32, x float64) float64 {
	if e.share[b] <= 0 {
		return 0
	}
	d := x/e.share[b] - 1
	return d * d
}

// best returns the trade of b with any other broker that brings the two
// nearest to their shares.
func (e *outEvener) best(b int32) trade {
	t := trade{-1, -1, 0}
	hot := float64(e.load[b].out) > e.share[b]
	for c := range e.load {
		d := int32(c)
		if d == b {
			continue
		}
		if hot {
			e.between(b, d, &t)
		} else {
			e.between(d, b, &t)
		}
	}
	return t
}

// between weighs the trades in which a gives more than it gets from b.
func (e *outEvener) between(a, b int32, t *trade) {
	xa, xb := float64(e.load[a].out), float64(e.load[b].out)
	now := e.off(a, xa) + e.off(b, xb)
	weigh := func(r, s int32, d float64) {
		if d <= 0 {
			return
		}
		// What is less than the rounding of these squares is no gain: taken for
		// one, the same trades would go round for ever.
		if g := now - e.off(a, xa-d) - e.off(b, xb+d); g > t.gain && g > now*1e-12 {
			*t = trade{r, s, g}
		}
	}
	back := e.live(b, a)
	for _, r := range e.live(a, b) {
		out := float64(e.m.Partitions[e.part[r]].Out)
		if !e.o.Goals.Has(GoalLeaders) {
			weigh(r, -1, out)
		}
		for _, s := range back {
			weigh(r, s, out-float64(e.m.Partitions[e.part[s]].Out))
		}
	}
}

// live returns the replicas on c that could take a lead from b, at most 64.
func (e *outEvener) live(b, c int32) []int32 {
	i := int(b)*len(e.load) + int(c)
	e.bucket[i] = slices.DeleteFunc(e.bucket[i], func(r int32) bool { return e.at[e.lead[e.part[r]]] != b || e.at[r] != c })
	if len(e.bucket[i]) > 64 {
		slices.Sort(e.bucket[i]) // which ones are weighed must not depend on the past
	}
	return e.bucket[i][:min(len(e.bucket[i]), 64)]
}

func (e *outEvener) do(t trade) {
	for _, r := range [2]int32{t.r, t.s} {
		if r >= 0 {
			e.setLeader(r)
			e.eachOf(e.part[r], func(i int, q int32) { e.bucket[i] = append(e.bucket[i], q) })
		}
	}
}
