package data

import "math"

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
		s.hard += float64(q.broken(int32(p)))
	}
	for b := range q.load {
		if t.pool[b] < 0 {
			continue
		}
		have := &q.load[b]
		x := float64(have.bytes)
		if x > t.limit[b] {
			s.hard += (x - t.limit[b]) / t.limit[b]
		}
		if q.o.Goals.Has(GoalReplicas) {
			want := t.counts[b]
			s.outside += float64(max(have.count-want.hi, want.lo-have.count, 0)) / math.Max(1, float64(want.lo))
		}
		if q.o.Goals.Has(GoalDisk) {
			s.outside += beyond(x, t.disk[b], q.o.DiskBand)
		}
		if q.o.Goals.Has(GoalBytesIn) {
			s.outside += beyond(float64(have.in), t.in[b], q.o.InBand)
		}
	}
	return s
}

// beyond returns how far x lies outside the band around share, in parts of
// the share.
func beyond(x, share, band float64) float64 {
	if share <= 0 {
		return 0
	}
	return math.Max(0, math.Max(x/share-1-band, 1-band-x/share))
}

// broken counts the replicas of p that break a hard rule and may be moved.
func (l *layout) broken(p int32) int {
	if l.m.Partitions[p].Hold != Free {
		return 0
	}
	return l.wrong(p)
}

// wrong counts the replicas of p that break a hard rule.
func (l *layout) wrong(p int32) int {
	n := 0
	lo, hi := l.first[p], l.first[p+1]
	for r := lo; r < hi; r++ {
		if l.leaves(l.at[r]) || l.overCap(r) {
			n++
		}
	}
	return n
}

// overCap reports whether r stands on a rack that holds as many copies of its
// partition as it may, on brokers that stay, without r and those after it.
func (l *layout) overCap(r int32) bool {
	p := l.part[r]
	copies := int32(0)
	for s := l.first[p]; s < r; s++ {
		if l.rackOf[l.at[s]] == l.rackOf[l.at[r]] && !l.leaves(l.at[s]) {
			copies++
		}
	}
	return copies >= l.caps[l.rf(p)]
}

// crowded reports whether r's rack holds more copies of its partition than it
// may, r being one of them.
func (l *layout) crowded(r int32) bool {
	p := l.part[r]
	return l.copiesIn(p, l.rackOf[l.at[r]]) > int(l.caps[l.rf(p)])
}

// improve is the part by which a pass must lessen what lies outside the
// bands, to be worth its bytes.
const improve = 0.05

// copiesIn counts the copies of p in a rack, on brokers that stay.
func (l *layout) copiesIn(p, rack int32) int {
	n := 0
	for r := l.first[p]; r < l.first[p+1]; r++ {
		if b := l.at[r]; l.rackOf[b] == rack && !l.leaves(b) {
			n++
		}
	}
	return n
}
