package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"sluice/fsm"
)

func sortItems(items []fsm.ProgressItem) {
	slices.SortFunc(items, func(a, b fsm.ProgressItem) int { return cmp.Compare(a.Task, b.Task) })
}

// Bounds of events that wait for a quorum.
const (
	eventBuffer = 1000
	eventBatch  = 100
	eventEvery  = 250 * time.Millisecond
)

// eventSink keeps events and proposes them. Without a quorum they wait; of
// more than eventBuffer the oldest are dropped.
type eventSink struct {
	n    *Node
	wake chan struct{}

	mu      sync.Mutex
	waiting []fsm.Event
	dropped uint64
}

// Record notes an event of this node; it returns at once. Node and the times
// are filled in where they are empty.
func (n *Node) Record(e fsm.Event) {
	if e.Node == "" {
		e.Node = n.cfg.Name
	}
	if e.First == 0 {
		e.First = n.nowMillis()
	}
	e.Last, e.Count = max(e.Last, e.First), max(e.Count, 1)
	s := n.events
	s.mu.Lock()
	s.waiting = append(s.waiting, e)
	if len(s.waiting) > eventBuffer {
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.dropped++
	}
	s.mu.Unlock()
	n.kick(s.wake)
}

func (s *eventSink) run(ctx context.Context) error {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
		for s.send(ctx) {
		}
	}
}

// send commits one batch; it reports whether there is more to do. A batch
// whose outcome is unknown is sent again: the FSM folds the repetition.
func (s *eventSink) send(ctx context.Context) bool {
	s.mu.Lock()
	batch := slices.Clone(s.waiting[:min(len(s.waiting), eventBatch)])
	before := s.dropped
	s.mu.Unlock()
	if len(batch) == 0 || ctx.Err() != nil {
		return false
	}
	_, err := s.n.Propose(ctx, &fsm.EventsAdd{Events: batch})
	if err != nil {
		select {
		case <-time.After(eventEvery):
		case <-ctx.Done():
		}
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := int(s.dropped - before) // of the batch, dropped meanwhile
	s.waiting = slices.Delete(s.waiting, 0, max(0, len(batch)-gone))
	return true
}

// flush waits until no event waits, or ctx ends.
func (s *eventSink) flush(ctx context.Context) {
	for waiting, _ := s.state(); waiting > 0; waiting, _ = s.state() {
		select {
		case <-time.After(eventEvery / 10):
		case <-ctx.Done():
			return
		}
	}
}

func (s *eventSink) state() (waiting int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), s.dropped
}
