package data

import "slices"

// describe fills in what follows from the changes and stages of p, which lead
// from before, the model's layout, to after.
func (p *Proposal) describe(o Options, before, after *layout) {
	m := before.m
	p.count(m)
	dirs, t := dirLoads(p.Apply(m)), after.targets(o)
	for b, peak := range replayPeaks(m, before.ix, p) {
		p.Brokers = append(p.Brokers, m.Brokers[b].figures(int64(t.disk[b]), before.load[b], after.load[b], peak, dirs[b]))
	}
	p.Bound = boundOf(o, before, after, p.Bytes)
	if o.Throttle > 0 {
		p.Seconds = estimate(m, before.ix, p, o.Throttle)
	}
	p.Unmet = append([]Unmet{}, unmetOf(o, after, dirs)...)
	p.Findings = findingsOf(m)
}

// unmetOf lists what a layout lacks, given the bytes in its log dirs.
func unmetOf(o Options, l *layout, dirs [][]int64) []Unmet {
	return append((&planner{layout: l, o: o}).unmet(), dirsUnmet(l.m, o, dirs, l.load)...)
}

// count counts what p moves.
func (p *Proposal) count(m *Model) {
	p.Bytes = 0
	for i := range p.Stages {
		p.Bytes += p.Stages[i].Bytes
	}
	p.Moves, p.LeaderChanges, p.DirMoves, p.DirBytes = 0, 0, 0, 0
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.From[0] != c.To[0] {
			p.LeaderChanges++
		}
		for k, id := range c.To {
			switch old := slices.Index(c.From, id); {
			case old < 0:
				p.Moves++
			case c.ToDirs != nil && c.FromDirs[old] != c.ToDirs[k]:
				p.DirMoves++
				p.DirBytes += m.Partitions[c.Partition].Size
			}
		}
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
