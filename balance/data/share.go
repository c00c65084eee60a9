package data

import (
	"math"
	"slices"
)

// This file says what each broker should carry: its share, which is the total
// by capacity, bent only where no legal placement could reach that.

// filling spreads a total over brokers by weight, within limits per broker and
// per rack. The solution has the form clamp(level * weight).
type filling struct {
	total          float64
	weight         []float64 // by broker; 0: no share
	lo, hi         []float64 // by broker
	rackOf         []int32   // by broker
	rackLo, rackHi []float64 // by rack
}

// level bisects for the level at which sum(level) reaches total; sum must not
// fall. It starts from the even level and widens until total is bracketed.
func level(total, start float64, sum func(float64) float64) float64 {
	lo, hi := 0.0, math.Max(start, 1e-12)
	for i := 0; i < 200 && sum(hi) < total; i++ {
		lo, hi = hi, hi*2
	}
	for i := 0; i < 100 && hi-lo > 1e-15*hi; i++ {
		mid := lo + (hi-lo)/2
		if sum(mid) < total {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

func (f *filling) at(b int, level float64) float64 {
	if f.weight[b] == 0 {
		return 0
	}
	return math.Max(math.Min(level*f.weight[b], f.hi[b]), f.lo[b])
}

// solve returns every broker's share. The shares sum up to the total unless
// the limits forbid it.
func (f *filling) solve() []float64 {
	even := 0.0
	for _, w := range f.weight {
		even += w
	}
	shares := make([]float64, len(f.weight))
	if even == 0 || f.total <= 0 {
		return shares
	}
	even = f.total / even
	byRack := make([]float64, len(f.rackLo))
	racks := func(level float64) []float64 {
		clear(byRack)
		for b := range f.weight {
			byRack[f.rackOf[b]] += f.at(b, level)
		}
		for k := range byRack {
			byRack[k] = math.Max(math.Min(byRack[k], f.rackHi[k]), f.rackLo[k])
		}
		return byRack
	}
	whole := level(f.total, even, func(v float64) float64 { return sum(racks(v)) })
	rackTotal := slices.Clone(racks(whole))
	for k := range rackTotal {
		own := level(rackTotal[k], even, func(v float64) float64 {
			t := 0.0
			for b := range f.weight {
				if f.rackOf[b] == int32(k) {
					t += f.at(b, v)
				}
			}
			return t
		})
		for b := range f.weight {
			if f.rackOf[b] == int32(k) {
				shares[b] = f.at(b, own)
			}
		}
	}
	return shares
}

func sum(v []float64) float64 {
	t := 0.0
	for _, x := range v {
		t += x
	}
	return t
}

// limits returns a filling for a quantity of which partition p's replicas
// weigh item(p) each. Held partitions count where they are, the others may
// lie wherever the rack rule allows.
func (l *layout) limits(weight []float64, item func(p *Partition) float64) *filling {
	nb := len(l.load)
	f := &filling{weight: weight, rackOf: l.rackOf, lo: make([]float64, nb), hi: make([]float64, nb),
		rackLo: make([]float64, l.racks), rackHi: make([]float64, l.racks)}
	stay := l.staying()
	amount := make([]float64, len(l.caps))
	once := 0.0
	for i := range l.m.Partitions {
		p := &l.m.Partitions[i]
		v := item(p)
		if p.Hold == Free {
			amount[len(p.Replicas)] += v
			once += v
			continue
		}
		for r := l.first[i]; r < l.first[i+1]; r++ {
			f.fix(l.at[r], v)
		}
	}
	for b := range f.hi {
		f.hi[b] += once
	}
	for rf := 1; rf < len(l.caps); rf++ {
		f.addClass(int32(rf), l.caps[rf], amount[rf], stay)
	}
	return f
}

// fix adds an amount that stays on broker b.
func (f *filling) fix(b int32, v float64) {
	if f.weight[b] == 0 {
		return
	}
	f.total += v
	f.lo[b] += v
	f.hi[b] += v
	f.rackLo[f.rackOf[b]] += v
	f.rackHi[f.rackOf[b]] += v
}

// addClass adds the free partitions of one replication factor, each counted
// once in amount.
func (f *filling) addClass(rf, limit int32, amount float64, stay []int32) {
	if amount == 0 {
		return
	}
	room := int32(0)
	for _, n := range stay {
		room += min(n, limit)
	}
	rf = min(rf, room) // the rest has no place
	f.total += amount * float64(rf)
	for k, n := range stay {
		most := min(n, limit)
		f.rackHi[k] += amount * float64(min(most, rf))
		f.rackLo[k] += amount * float64(max(0, rf-(room-most)))
	}
	for b := range f.lo {
		k := f.rackOf[b]
		without := room - min(stay[k], limit) + min(stay[k]-1, limit)
		if f.weight[b] > 0 && rf > without {
			f.lo[b] += amount
		}
	}
}

// weights returns each staying broker's capacity, or 1 for all of them if the
// capacity of one is unknown.
func (l *layout) weights(capacity func(b *Broker) int64) []float64 {
	w := make([]float64, len(l.load))
	known := true
	for b := range w {
		if !l.leaves(int32(b)) {
			w[b] = float64(capacity(&l.m.Brokers[b]))
			known = known && w[b] > 0
		}
	}
	for b := range w {
		if !known && !l.leaves(int32(b)) {
			w[b] = 1
		}
	}
	return w
}

// span is the whole numbers that a broker's count may have.
type span struct{ lo, hi int32 }

// spans turns shares into their floors and ceilings.
func spans(shares []float64) []span {
	s := make([]span, len(shares))
	for b, v := range shares {
		if r := math.Round(v); math.Abs(v-r) < 1e-6 {
			v = r
		}
		s[b] = span{int32(math.Floor(v)), int32(math.Ceil(v))}
	}
	return s
}

// off is how far n lies outside the span, in parts of it.
func (s span) off(n int32) float64 {
	return float64(max(n-s.hi, s.lo-n, 0)) / math.Max(1, float64(s.lo))
}
