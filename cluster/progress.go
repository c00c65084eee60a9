package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"sluice/fsm"
)

// Pace of progress. A stream that moves fast is checkpointed every second, one
// that goes along steadily every five: what is copied after a checkpoint is
// read again from the target's log by a new owner.
const (
	progressEvery  = time.Second
	progressSteady = 5 * time.Second
	fastRecords    = 10_000 // in a second
)

// progressSink collects progress and proposes it in batches, from its loop and
// once more at the node's end. While nothing can be proposed it holds the last
// position of each task and fsm.MaxSegments segments of it at most, thinned out
// as in the facts, and as much again of the batch that is under way.
type progressSink struct {
	*local
	facts   *hub
	propose func(context.Context, fsm.Command) (fsm.Result, error)
	wake    trigger // a release is waiting

	mu      sync.Mutex
	pending map[fsm.TaskID]*pendingProgress
}

// pendingProgress is what is known of one task and not yet committed.
type pendingProgress struct {
	item      fsm.ProgressItem
	dirty     bool
	committed time.Time // when progress was last committed
	records   int64     // Records then
	released  time.Time // when a release was last asked for
}

func newProgressSink(l *local, facts *hub, propose func(context.Context, fsm.Command) (fsm.Result, error)) *progressSink {
	return &progressSink{local: l, facts: facts, propose: propose, wake: newTrigger(), pending: map[fsm.TaskID]*pendingProgress{}}
}

// put keeps how far a task's owner got; see Node.Progress.
func (p *progressSink) put(item fsm.ProgressItem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.pending[item.Task]
	if have == nil || have.item.Turn != item.Turn {
		have = &pendingProgress{records: item.Progress.Records, committed: time.Now().Add(progressEvery - progressSteady)}
		p.pending[item.Task] = have
	} else if have.dirty && have.item.Version == item.Version {
		item.Segments = joined(have.item.Segments, item.Segments)
		item.Release = item.Release || have.item.Release
	}
	if cap(item.Segments) > fsm.MaxSegments {
		item.Segments = fsm.JoinSegments(nil, item.Segments)
	}
	have.item, have.dirty = item, true
}

// joined are the segments of two reports of one stream.
func joined(have, more []fsm.Segment) []fsm.Segment {
	switch {
	case len(more) == 0:
		return have
	case len(have) == 0:
		return more
	}
	return fsm.JoinSegments(have, more)
}

// release gives a drained task to its next owner, with its last progress.
func (p *progressSink) release(t *fsm.Task) {
	p.mu.Lock()
	have := p.pending[t.ID]
	if have == nil || have.item.Turn != t.Turn {
		have = &pendingProgress{item: fsm.ProgressItem{Task: t.ID, Turn: t.Turn, Version: mappingVersion(t)}}
		if t.Copy != nil {
			have.item.Progress = t.Copy.Progress
		}
		p.pending[t.ID] = have
	}
	again := time.Since(have.released) < progressEvery // it is under way
	if !again {
		have.item.Release, have.dirty, have.released = true, true, time.Now()
	}
	p.mu.Unlock()
	if !again {
		p.wake.fire()
	}
}

func mappingVersion(t *fsm.Task) uint32 {
	if t.Copy == nil || t.Copy.Mapping == nil {
		return 0
	}
	return t.Copy.Mapping.Version
}

// ended makes the last progress of a task that stopped here due at once: who
// runs it next must find it.
func (p *progressSink) ended(id fsm.TaskID) {
	p.mu.Lock()
	have := p.pending[id]
	if have != nil {
		have.committed = time.Time{}
	}
	p.mu.Unlock()
	if have != nil {
		p.wake.fire()
	}
}

// unsaved reports whether a task's progress at this turn is not committed yet.
func (p *progressSink) unsaved(t *fsm.Task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.pending[t.ID]
	return have != nil && have.dirty && have.item.Turn == t.Turn
}

// run commits what is due until ctx ends.
func (p *progressSink) run(ctx context.Context) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
		p.flush(ctx, false)
	}
}

// flush commits what is due, or all; releases are always due.
func (p *progressSink) flush(ctx context.Context, all bool) {
	batch := &fsm.ProgressBatch{Node: p.self.ServerID, At: p.nowMillis(), Items: p.take(time.Now(), all)}
	for _, b := range batch.Split() {
		result, err := p.propose(ctx, b)
		if err != nil {
			p.log.Debug("committing progress", "tasks", len(b.Items), "error", err)
			p.restore(b.Items)
			continue
		}
		p.log.Debug("committed progress", "tasks", len(b.Items), "index", result.Index)
	}
}

// take removes what is due, in the order of task ids, and forgets tasks that
// are no longer this node's.
func (p *progressSink) take(now time.Time, all bool) []fsm.ProgressItem {
	v := p.facts.View()
	p.mu.Lock()
	defer p.mu.Unlock()
	var items []fsm.ProgressItem
	for id, have := range p.pending {
		t := v.Task(id)
		if t == nil || t.Turn > have.item.Turn {
			delete(p.pending, id)
			continue
		}
		if !have.dirty || !(all || have.item.Release || have.isDue(now)) {
			continue
		}
		items = append(items, have.item)
		have.dirty, have.committed, have.records = false, now, have.item.Progress.Records
		have.item.Segments, have.item.Release = nil, false
	}
	slices.SortFunc(items, func(a, b fsm.ProgressItem) int { return cmp.Compare(a.Task, b.Task) })
	return items
}

func (h *pendingProgress) isDue(now time.Time) bool {
	since := now.Sub(h.committed)
	fast := float64(h.item.Progress.Records-h.records) >= fastRecords*since.Seconds()
	return since >= progressSteady || (fast && since >= progressEvery)
}

// restore puts back what could not be committed, under what came since. The
// FSM ignores segments that it has already.
func (p *progressSink) restore(items []fsm.ProgressItem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, it := range items {
		have := p.pending[it.Task]
		switch {
		case have == nil || have.item.Turn != it.Turn:
			continue
		case !have.dirty:
			have.item = it
		case have.item.Version == it.Version:
			have.item.Segments = joined(it.Segments, have.item.Segments)
		}
		have.item.Release = have.item.Release || it.Release
		have.dirty = true
	}
}
