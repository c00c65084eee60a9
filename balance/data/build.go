package data

import (
	"slices"
)

// propose writes down the way from the original layout to the present one.
func (q *planner) propose() *Proposal {
	q.final = slices.Clone(q.at)
	copy(q.home, q.orig)
	for i := range q.m.Partitions {
		q.settle(int32(i))
	}
	stages := q.route()
	p := &Proposal{Changes: []Change{}, Stages: []Stage{}, Unmet: []Unmet{}, Findings: findingsOf(q.m)}
	dirs := q.levelDirs()
	changeOf := q.changes(p, stages, dirs)
	q.cut(p, changeOf, stages, dirs)
	loads := dirLoads(p.Apply(q.m))
	q.figures(p, loads)
	p.Bound = boundOf(q.o, q.atHome(), q.layout, p.Bytes)
	p.Seconds = q.seconds(p)
	p.Unmet = append(p.Unmet, slices.Concat(q.unmet(), dirsUnmet(q.m, q.o, loads, q.load))...)
	return p
}

// route returns the stages: straight from the original layout if that way can
// be gone whole, else pass by pass.
func (q *planner) route() [][]hop {
	if len(q.taken) == 0 {
		return nil
	}
	end := slices.Clone(q.at)
	stages := q.hops(q.orig, q.stages(q.orig, q.targets(q.o).limit))
	if slices.Equal(end, q.at) {
		return stages
	}
	for r, b := range end {
		if q.at[r] != b {
			q.move(int32(r), b)
		}
	}
	return q.taken
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
			p.DirMoves++
			p.DirBytes += q.size[r]
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
			FromDirs: part.Dirs, ToDirs: dirs.list(int32(i), to, true)})
		if from[0] != to[0] {
			p.LeaderChanges++
		}
	}
	for r, b := range q.orig {
		if q.at[r] != b {
			p.Moves++
		}
	}
	return changeOf
}

// cut turns stages of hops into steps. A partition gets its final order, and
// so its leader, with its last step.
func (q *planner) cut(p *Proposal, changeOf []int32, stages [][]hop, dirs *dirLevel) {
	left := make(map[int32]int)      // by partition: hops to come
	lists := make(map[int32][]int32) // by partition: its list so far
	for _, stage := range stages {
		for _, h := range stage {
			left[h.p]++
		}
	}
	for _, stage := range stages {
		var s Stage
		var parts []int32
		for _, h := range stage {
			if lists[h.p] == nil {
				lists[h.p] = slices.Clone(q.m.Partitions[h.p].Replicas)
			}
			list := lists[h.p]
			list[slices.Index(list, q.m.Brokers[h.from].ID)] = -q.m.Brokers[h.to].ID - 1 // not yet: it may still be a source
			s.Bytes += q.m.Partitions[h.p].Size
			left[h.p]--
			parts = append(parts, h.p)
		}
		p.Bytes += s.Bytes
		slices.Sort(parts)
		for _, part := range slices.Compact(parts) {
			list := lists[part]
			for i, id := range list {
				if id < 0 {
					list[i] = -id - 1
				}
			}
			step := Step{Change: int(changeOf[part]), To: slices.Clone(list)}
			if left[part] == 0 {
				step.To = q.finalList(part)
			}
			step.Dirs = dirs.list(part, step.To, false)
			s.Steps = append(s.Steps, step)
		}
		p.Stages = append(p.Stages, s)
	}
	q.cutLeaders(p, left, dirs)
	q.cutDirs(p, changeOf, dirs)
}

// cutDirs adds the moves between log dirs as stages of their own, after all
// others.
func (q *planner) cutDirs(p *Proposal, changeOf []int32, dirs *dirLevel) {
	now := make(map[int32][]int16) // by partition: its dirs so far
	for _, stage := range dirs.move {
		var s Stage
		slices.Sort(stage)
		for _, r := range stage {
			part := q.part[r]
			to := p.Changes[changeOf[part]].To
			if now[part] == nil {
				now[part] = dirs.list(part, to, false)
			}
			now[part][slices.Index(to, q.m.Brokers[q.at[r]].ID)] = dirs.to[r]
			step := Step{Change: int(changeOf[part]), To: to, Dirs: slices.Clone(now[part])}
			if n := len(s.Steps); n > 0 && s.Steps[n-1].Change == step.Change {
				s.Steps[n-1] = step
			} else {
				s.Steps = append(s.Steps, step)
			}
		}
		p.Stages = append(p.Stages, s)
	}
}

// list returns the log dirs that go with a list of brokers of partition p: the
// final ones, or those before the moves between dirs. A replica that is on its
// way out keeps its dir.
func (d *dirLevel) list(p int32, ids []int32, final bool) []int16 {
	if d.m.Partitions[p].Dirs == nil {
		return nil
	}
	dirs := make([]int16, len(ids))
	for k, id := range ids {
		dirs[k] = d.m.dirOf(p, id)
		for r := d.first[p]; r < d.first[p+1]; r++ {
			if d.m.Brokers[d.at[r]].ID == id && (final || dirs[k] < 0) {
				dirs[k] = d.to[r]
			}
		}
	}
	return dirs
}

// cutLeaders adds the partitions that change only their order to the last
// stage.
func (q *planner) cutLeaders(p *Proposal, moved map[int32]int, dirs *dirLevel) {
	var steps []Step
	for i := range p.Changes {
		c := &p.Changes[i]
		if _, ok := moved[int32(c.Partition)]; !ok && !slices.Equal(c.From, c.To) {
			steps = append(steps, Step{Change: i, To: c.To, Dirs: dirs.list(int32(c.Partition), c.To, false)})
		}
	}
	if steps == nil {
		return
	}
	if len(p.Stages) == 0 {
		p.Stages = append(p.Stages, Stage{})
	}
	last := &p.Stages[len(p.Stages)-1]
	last.Steps = append(last.Steps, steps...)
}

// figures fills in every broker before, after and at its peak, given the bytes
// in its log dirs.
func (q *planner) figures(p *Proposal, dirs [][]int64) {
	t := q.targets(q.o)
	for b, peak := range replayPeaks(q.m, q.ix, p) {
		p.Brokers = append(p.Brokers, q.m.Brokers[b].figures(int64(t.disk[b]), q.begin[b], q.load[b], peak, dirs[b]))
	}
}

func (b *Broker) figures(share int64, before, after load, peak int64, dirs []int64) BrokerFigures {
	most, least := b.dirSpan(dirs, after.bytes)
	return BrokerFigures{ID: b.ID, Rack: b.Rack, State: b.State.String(), Disk: b.Disk, Share: share,
		Before: before.public(), After: after.public(), Peak: peak, DirsMax: most, DirsMin: least}
}

func (l *load) public() Load {
	return Load{Bytes: l.bytes, Replicas: l.count, Leaders: l.leaders, In: l.in, Out: l.out}
}

// replayPeaks walks through the stages of p and returns the most bytes that
// each broker holds on the way.
func replayPeaks(m *Model, ix brokerIndex, p *Proposal) []int64 {
	now := make([]int64, len(m.Brokers))
	for i := range m.Partitions {
		for _, id := range m.Partitions[i].Replicas {
			now[ix.of(id)] += m.Partitions[i].Size
		}
	}
	peak := slices.Clone(now)
	lists, dirs := make([][]int32, len(p.Changes)), make([][]int16, len(p.Changes))
	for i := range lists {
		lists[i], dirs[i] = p.Changes[i].From, p.Changes[i].FromDirs
	}
	for _, stage := range p.Stages {
		var gone []struct{ change, b int32 }
		for _, step := range stage.Steps {
			size := m.Partitions[p.Changes[step.Change].Partition].Size
			for _, id := range step.To {
				if !slices.Contains(lists[step.Change], id) {
					now[ix.of(id)] += size
				}
			}
			for _, id := range lists[step.Change] {
				if !slices.Contains(step.To, id) {
					gone = append(gone, struct{ change, b int32 }{int32(step.Change), ix.of(id)})
				}
			}
			for k, id := range step.To {
				old := slices.Index(lists[step.Change], id)
				if old >= 0 && step.Dirs != nil && step.Dirs[k] != dirs[step.Change][old] {
					now[ix.of(id)] += size
					gone = append(gone, struct{ change, b int32 }{int32(step.Change), ix.of(id)})
				}
			}
			lists[step.Change], dirs[step.Change] = step.To, step.Dirs
		}
		for b := range now {
			peak[b] = max(peak[b], now[b])
		}
		for _, g := range gone {
			now[g.b] -= m.Partitions[p.Changes[g.change].Partition].Size
		}
	}
	return peak
}
