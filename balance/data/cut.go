package data

import "slices"

// cut turns stages of hops into steps. A partition gets its final order, and
// so its leader, with its last step.
func (q *planner) cut(p *Proposal, changeOf []int32, stages [][]hop, dirs *dirLevel) {
	left := make(map[int32]int)      // by partition: hops to come
	lists := make(map[int32][]int32) // by partition: its list so far
	way := &dirWay{dirLevel: dirs, came: make(map[[2]int32]int16)}
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
			way.goes(h)
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
			step.Dirs = way.list(part, step.To)
			s.Steps = append(s.Steps, step)
		}
		p.Stages = append(p.Stages, s)
	}
	q.cutLeaders(p, left, way)
	q.cutDirs(p, changeOf, way)
}

// cutDirs adds the moves between log dirs as stages of their own, after all
// others.
func (q *planner) cutDirs(p *Proposal, changeOf []int32, way *dirWay) {
	now := make(map[int32][]int16) // by partition: its dirs so far
	for _, stage := range way.move {
		var s Stage
		slices.Sort(stage)
		for _, r := range stage {
			part := q.part[r]
			to := p.Changes[changeOf[part]].To
			if now[part] == nil {
				now[part] = way.list(part, to)
			}
			now[part][slices.Index(to, q.m.Brokers[q.at[r]].ID)] = way.to[r]
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

// cutLeaders adds the partitions that change only their order to the last
// stage.
func (q *planner) cutLeaders(p *Proposal, moved map[int32]int, way *dirWay) {
	var steps []Step
	for i := range p.Changes {
		c := &p.Changes[i]
		if _, ok := moved[int32(c.Partition)]; !ok && !slices.Equal(c.From, c.To) {
			steps = append(steps, Step{Change: i, To: c.To, Dirs: way.list(int32(c.Partition), c.To)})
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

// list returns the log dirs that go with the final brokers of partition p.
func (d *dirLevel) list(p int32, ids []int32) []int16 {
	if d.m.Partitions[p].Dirs == nil {
		return nil
	}
	dirs := make([]int16, len(ids))
	for k, id := range ids {
		dirs[k] = d.dirAt(p, id, d.m.dirOf(p, id))
	}
	return dirs
}

// dirAt returns the final log dir of p on a broker, or another one where it
// does not end there.
func (d *dirLevel) dirAt(p, id int32, or int16) int16 {
	for r := d.first[p]; r < d.first[p+1]; r++ {
		if d.m.Brokers[d.at[r]].ID == id {
			return d.to[r]
		}
	}
	return or
}

// dirWay is the log dirs on the way to the final ones, before any moves
// between those of one broker.
type dirWay struct {
	*dirLevel
	came map[[2]int32]int16 // by partition and broker id: the dir that it came into last, if that is chosen
}

// goes takes note of where a hop ends.
func (w *dirWay) goes(h hop) {
	if h.dir >= 0 {
		w.came[[2]int32{h.p, w.m.Brokers[h.to].ID}] = h.dir
	}
}

// list returns the log dirs that go with a list of brokers of partition p. A
// replica that is on its way out keeps its dir.
func (w *dirWay) list(p int32, ids []int32) []int16 {
	if w.m.Partitions[p].Dirs == nil {
		return nil
	}
	dirs := make([]int16, len(ids))
	for k, id := range ids {
		dirs[k] = w.m.dirOf(p, id)
		if dirs[k] >= 0 {
			continue
		}
		if came, ok := w.came[[2]int32{p, id}]; ok {
			dirs[k] = came
		} else {
			dirs[k] = w.dirAt(p, id, -1)
		}
	}
	return dirs
}
