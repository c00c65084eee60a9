package data

import "slices"

// Change is what a proposal makes of one partition.
type Change struct {
	Partition int // place in the model
	From, To  []int32
}

// Proposal is what should change, and what that costs.
type Proposal struct {
	Changes       []Change
	Moves         int
	LeaderChanges int
	Bytes         int64
}

func (q *planner) propose() *Proposal {
	p := &Proposal{}
	for i := range q.m.Partitions {
		from, to := q.m.Partitions[i].Replicas, q.replicaList(int32(i))
		if !slices.Equal(from, to) {
			p.Changes = append(p.Changes, Change{Partition: i, From: from, To: to})
		}
		if from[0] != to[0] {
			p.LeaderChanges++
		}
	}
	for r := range q.at {
		if q.at[r] != q.home[r] {
			p.Moves++
			p.Bytes += q.size[r]
		}
	}
	return p
}
