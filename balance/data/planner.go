package data

import (
	"math"
	"slices"
)

// planner makes a proposal from passes over one layout.
type planner struct {
	*layout
	o      Options
	orig   []int32 // by replica: where it is in the model
	taken  [][]hop // the stages of all passes so far
	final  []int32 // by replica, leaders first: where the last round left it
	rounds int
}

// saved is a layout that can be returned to.
type saved struct {
	at, home, lead []int32
	load           []load
	spread         []int32
	dirs           dirsSaved
}

func (q *planner) save() saved {
	return saved{slices.Clone(q.at), slices.Clone(q.home), slices.Clone(q.lead), slices.Clone(q.load), slices.Clone(q.spread), q.dirs.save()}
}

func (q *planner) restore(s saved) {
	copy(q.at, s.at)
	copy(q.home, s.home)
	copy(q.lead, s.lead)
	copy(q.load, s.load)
	copy(q.spread, s.spread)
	q.dirs.restore(s.dirs)
}

// goHome makes the places that were saved the homes.
func (q *planner) goHome(s saved) {
	copy(q.home, s.at)
	if q.dirs != nil {
		copy(q.dirs.homeDir, s.dirs.dir)
	}
}

// budget returns the bytes that may still travel.
func (q *planner) budget() int64 {
	if q.o.MaxBytes == 0 {
		return math.MaxInt64
	}
	return q.o.MaxBytes - carried(q.m, q.taken)
}

// finalList returns the partition's brokers by id as the last round left them:
// the leader first, the rest in the order they had.
func (q *planner) finalList(p int32) []int32 {
	list := make([]int32, 0, q.rf(p))
	for _, b := range q.final[q.first[p]:q.first[p+1]] {
		list = append(list, q.m.Brokers[b].ID)
	}
	return list
}
