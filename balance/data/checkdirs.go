package data

import (
	"fmt"
	"slices"
)

// dirReplay walks through the stages of a proposal and keeps what every log
// dir holds, as far as it is known.
type dirReplay struct {
	m     *Model
	p     *Proposal
	ix    brokerIndex
	limit [][]float64 // by broker and dir; nil: none is known
	begun [][]int64   // by broker and dir: bytes in the model
	now   [][]int64   // by broker and dir: bytes with all that has begun to arrive
	lists [][]int32   // by change: its brokers so far
	dirs  [][]int16   // by change: their log dirs
	gone  []leaving   // what leaves at the end of the stage
}

// leaving is bytes that a log dir of a broker loses.
type leaving struct {
	b     int32
	dir   int16
	bytes int64
}

// replayDirs checks that no log dir ever exceeds its limit, unless it did so in
// the model and never holds more than there. A replica counts in both dirs
// until its stage ends.
func replayDirs(m *Model, o Options, p *Proposal) error {
	if !m.limitsDirs() {
		return nil
	}
	w := &dirReplay{m: m, p: p, ix: newBrokerIndex(m.Brokers), begun: dirLoads(m), now: dirLoads(m)}
	for b := range m.Brokers {
		w.limit = append(w.limit, m.Brokers[b].dirLimits(o))
	}
	for i := range p.Changes {
		w.lists, w.dirs = append(w.lists, p.Changes[i].From), append(w.dirs, p.Changes[i].FromDirs)
	}
	for n, stage := range p.Stages {
		w.gone = w.gone[:0]
		for _, step := range stage.Steps {
			if err := w.begin(step); err != nil {
				return fmt.Errorf("stage %d: %s: %w", n+1, m.Partitions[p.Changes[step.Change].Partition].Name(), err)
			}
		}
		if err := w.peak(); err != nil {
			return fmt.Errorf("stage %d: %w", n+1, err)
		}
		for _, g := range w.gone {
			w.now[g.b][g.dir] -= g.bytes
		}
	}
	return nil
}

// begin lets the replicas of a step arrive, and notes what leaves.
func (w *dirReplay) begin(step Step) error {
	part := &w.m.Partitions[w.p.Changes[step.Change].Partition]
	lists, dirs := w.lists[step.Change], w.dirs[step.Change]
	w.lists[step.Change], w.dirs[step.Change] = step.To, step.Dirs
	for k, id := range lists {
		at := slices.Index(step.To, id)
		if dirs != nil && dirs[k] >= 0 && (at < 0 || step.Dirs[at] != dirs[k]) {
			w.gone = append(w.gone, leaving{w.ix.of(id), dirs[k], part.Size})
		}
	}
	for k, id := range step.To {
		b, old := w.ix.of(id), slices.Index(lists, id)
		switch {
		case step.Dirs == nil:
			if old < 0 && w.limit[b] != nil && part.Size > 0 && float64(part.Size) > slices.Max(w.limit[b]) {
				return fmt.Errorf("is larger than any log dir of broker %d", id)
			}
		case old < 0 && step.Dirs[k] < 0 && w.limit[b] != nil && !slices.Contains(part.Replicas, id):
			return fmt.Errorf("no log dir is said for broker %d", id)
		case step.Dirs[k] >= 0 && (old < 0 || dirs[old] != step.Dirs[k]):
			w.now[b][step.Dirs[k]] += part.Size
		}
	}
	return nil
}

func (w *dirReplay) peak() error {
	for b := range w.limit {
		for k, most := range w.limit[b] {
			if x := w.now[b][k]; float64(x) > most && x > w.begun[b][k] {
				broker := &w.m.Brokers[b]
				return fmt.Errorf("log dir %s of broker %d: %d bytes, %.0f allowed", broker.Dirs[k].Path, broker.ID, x, most)
			}
		}
	}
	return nil
}
