package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"sluice/fsm"
)

// Bounds of events that wait for a quorum.
const (
	eventBuffer = 1000
	eventBatch  = 100
	eventEvery  = 250 * time.Millisecond
)

// eventSink keeps events and proposes them. Without a quorum they wait; of
// more than eventBuffer the oldest are dropped. Its loop is the only one that
// sends; flush waits for it.
type eventSink struct {
	*local
	propose func(context.Context, fsm.Command) (fsm.Result, error)
	wake    trigger

	mu      sync.Mutex
	waiting []fsm.Event
	dropped uint64
}

// record notes an event of this node; see Node.Record.
func (s *eventSink) record(e fsm.Event) {
	if e.Node == "" {
		e.Node = s.cfg.Name
	}
	if e.First == 0 {
		e.First = s.nowMillis()
	}
	e.Last, e.Count = max(e.Last, e.First), max(e.Count, 1)
	s.mu.Lock()
	s.waiting = append(s.waiting, e)
	if len(s.waiting) > eventBuffer {
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.dropped++
	}
	s.mu.Unlock()
	s.wake.fire()
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
	if _, err := s.propose(ctx, &fsm.EventsAdd{Events: batch}); err != nil {
		_ = sleep(ctx, eventEvery)
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
	for waiting, _ := s.state(); waiting > 0 && sleep(ctx, eventEvery/10) == nil; waiting, _ = s.state() {
	}
}

func (s *eventSink) state() (waiting int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), s.dropped
}
