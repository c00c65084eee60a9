package data

import "math"

// large is the part of a broker's share from which a replica counts as large:
// several of them may not fit into one broker's band together.
const large = 0.15

// spreadLarge moves large replicas off brokers whose large ones alone exceed
// the band, each to the broker with the least of them. What that displaces
// there is levelled afterwards.
func (q *pass) spreadLarge() {
	if !q.o.Goals.Has(GoalDisk) {
		return
	}
	sum := make([]float64, len(q.load))
	for r, b := range q.at {
		if q.isLarge(int32(r), b) {
			sum[b] += float64(q.size[r])
		}
	}
	for b := range q.load {
		for sum[b] > (1+q.o.DiskBand)*q.t.disk[b] && q.t.pool[b] >= 0 {
			r, d := q.largeMove(int32(b), sum)
			if r < 0 {
				break
			}
			sum[b] -= float64(q.size[r])
			sum[d] += float64(q.size[r])
			q.put(r, d)
		}
	}
}

func (q *pass) isLarge(r, b int32) bool {
	return q.t.disk[b] > 0 && float64(q.size[r]) > large*q.t.disk[b]
}

// largeMove returns the smallest large replica of b that another broker can
// take within its band, and that broker; -1 if there is none.
func (q *pass) largeMove(b int32, sum []float64) (replica, to int32) {
	for _, r := range q.lists.of(b) {
		if q.moved[r] || !q.isLarge(r, b) {
			continue
		}
		best, least := int32(-1), math.Inf(1)
		for c, pool := range q.t.pool {
			d := int32(c)
			if pool != q.t.pool[b] || q.t.disk[c] == 0 || q.t.pinned[c] || !q.legal(r, d) || !q.affords(r, d) {
				continue
			}
			after := (sum[c] + float64(q.size[r])) / q.t.disk[c]
			if after < least && after <= 1 && q.fits(r, d) {
				best, least = d, after
			}
		}
		if best >= 0 {
			return r, best
		}
	}
	return -1, -1
}
