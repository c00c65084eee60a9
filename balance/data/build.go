package data

import (
	"slices"
)

// propose writes down the way from the original layout to the present one.
func (q *planner) propose() *Proposal {
	q.final = slices.Clone(q.at)
	copy(q.home, q.orig)
	if q.dirs != nil {
		for r := range q.home {
			q.dirs.original(int32(r))
		}
	}
	for i := range q.m.Partitions {
		q.settle(int32(i))
	}
	stages, dirs := q.route()
	p := &Proposal{Changes: []Change{}, Stages: []Stage{}}
	q.cut(p, q.changes(p, stages, dirs), stages, dirs)
	after := q.layout
	if q.dirs != nil { // which dirs are full is told from where they ended
		after = newLayout(p.Apply(q.m))
	}
	p.describe(q.o, q.atHome(), after)
	return p
}

// route returns the stages and the log dirs at their end: straight from the
// original layout if that way can be gone whole, else pass by pass.
func (q *planner) route() ([][]hop, *dirLevel) {
	dirs := q.levelDirs(false)
	if len(q.taken) == 0 {
		return nil, dirs
	}
	end := q.save()
	q.dirs.adopt(dirs.from, dirs.to)
	stages := q.hops(q.orig, q.stages(q.orig, q.targets(q.o).limit))
	if slices.Equal(end.at, q.at) {
		return stages, dirs
	}
	q.restore(end)
	if q.dirs != nil {
		dirs = q.levelDirs(true)
	}
	return q.taken, dirs
}

// changes lists the partitions that a stage or a new list concerns; it returns
// each partition's place in that list, -1 for the others. A partition may come
// back to where it was, to make room for a while.
func (q *planner) changes(p *Proposal, stages [][]hop, dirs *dirLevel) []int32 {
	travels := make([]bool, len(q.m.Partitions))
	for _, stage := range stages {
		for _, h := range stage {
			travels[h.p] = true
		}
	}
	for _, stage := range dirs.move {
		for _, r := range stage {
			travels[q.part[r]] = true
		}
	}
	changeOf := make([]int32, len(q.m.Partitions))
	for i := range q.m.Partitions {
		changeOf[i] = -1
		part := &q.m.Partitions[i]
		from, to := part.Replicas, q.finalList(int32(i))
		if slices.Equal(from, to) && !travels[i] {
			continue
		}
		changeOf[i] = int32(len(p.Changes))
		p.Changes = append(p.Changes, Change{Partition: i, Topic: part.Topic, ID: part.ID, From: from, To: to,
			FromDirs: part.Dirs, ToDirs: dirs.list(int32(i), to)})
	}
	return changeOf
}
