package data

import (
	"cmp"
	"slices"
)

// join returns the proposal for m that leads where first and then next do.
func join(m *Model, o Options, first, next *Proposal) *Proposal {
	p := &Proposal{Changes: slices.Clone(first.Changes), Stages: slices.Clone(first.Stages)}
	for _, c := range next.Changes {
		at, both := slices.BinarySearchFunc(first.Changes, c.Partition, func(c Change, p int) int { return cmp.Compare(c.Partition, p) })
		if both {
			p.Changes[at].To, p.Changes[at].ToDirs = c.To, c.ToDirs
		} else {
			p.Changes = append(p.Changes, c)
		}
	}
	slices.SortFunc(p.Changes, func(a, b Change) int { return cmp.Compare(a.Partition, b.Partition) })
	place := make(map[int]int, len(p.Changes)) // by partition
	for i := range p.Changes {
		place[p.Changes[i].Partition] = i
	}
	for i := range p.Stages {
		p.Stages[i].Steps = renumber(first, p.Stages[i].Steps, place)
	}
	for _, s := range next.Stages {
		p.Stages = append(p.Stages, Stage{renumber(next, s.Steps, place), s.Bytes})
	}
	p.describe(o, newLayout(m), newLayout(p.Apply(m)))
	return p
}

// renumber returns steps with the places that their changes have now.
func renumber(of *Proposal, steps []Step, place map[int]int) []Step {
	steps = slices.Clone(steps)
	for i := range steps {
		steps[i].Change = place[of.Changes[steps[i].Change].Partition]
	}
	return steps
}
