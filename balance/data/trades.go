package data

// evenCounts brings counts that single replicas could not bring into their
// spans there by trades: two replicas for one whose size is about theirs
// together, so that disks stay in their bands. Where partitions are few and
// large there is no other way.
func (q *pass) evenCounts() {
	if !q.o.Goals.Has(GoalReplicas) {
		return
	}
	e := newSwapper(q)
	for k := range q.t.pools {
		e.pool(int32(k), e.wantedCount, e.tradeCount)
	}
}

// traded is how many replicas of each broker are tried in trades, the smallest
// ones, and tradedNear how many of about the size that would make up for them.
const (
	traded     = 48
	tradedNear = 4
)

// wantedCount is how many replicas should go from a to b because one of the
// two holds too many or too few.
func (e *swapper) wantedCount(a, b int32) float64 {
	n, m := e.load[a].count, e.load[b].count
	if n <= e.t.counts[a].lo || m >= e.t.counts[b].hi {
		return 0
	}
	return float64(max(n-e.t.counts[a].hi, e.t.counts[b].lo-m))
}

// tradeCount finds the cheapest trade by which a has one replica less and b
// one more.
func (e *swapper) tradeCount(a, b int32) exchange {
	best := noExchange()
	give, take := e.goers(a, b), e.goers(b, a)
	aim := (e.diskRoom(a, b) - e.diskRoom(b, a)) / 2 // bytes that may go along
	for _, r := range give[:min(traded, len(give))] {
		e.weighTrade(exchange{r, -1, -1, 0}, a, b, &best)
		for _, s := range take[:min(traded, len(take))] {
			at := e.placeIn(give, float64(e.size[s]-e.size[r])+aim)
			for _, second := range give[max(0, at-tradedNear):min(len(give), at+tradedNear)] {
				if second != r {
					e.weighTrade(exchange{r, second, s, 0}, a, b, &best)
				}
			}
		}
	}
	return best
}

// goers lists the replicas of a that may go to b, smallest first.
func (e *swapper) goers(a, b int32) []int32 {
	var list []int32
	for _, r := range e.sized[a] {
		if e.at[r] == a && e.legal(r, b) {
			list = append(list, r)
		}
	}
	return list
}

// weighTrade keeps the trade if it is allowed and cheaper than the best.
func (e *swapper) weighTrade(x exchange, a, b int32, best *exchange) {
	var bytes, in, cost int64
	for i, r := range [3]int32{x.r, x.second, x.s} {
		if r < 0 {
			continue
		}
		to, sign := b, int64(1)
		if i == 2 {
			to, sign = a, -1
		}
		bytes += sign * e.size[r]
		in += sign * e.m.Partitions[e.part[r]].In
		cost += e.cost(r, to)
	}
	if x.price = float64(cost); x.price < best.price && cost <= e.budget && e.bears(a, -bytes, -in) && e.bears(b, bytes, in) &&
		(x.second < 0 || e.dirs.takesBoth(x.r, x.second, b)) {
		*best = x
	}
}
