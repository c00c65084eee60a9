package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/words"
)

// Bounds of events that wait for a quorum.
const (
	eventBuffer = 1000 // of those that last, and of the others
	eventBatch  = 100
	eventEvery  = 250 * time.Millisecond
)

// eventSink keeps events and proposes them in their order. Without a quorum
// they wait: those that last (fsm.Lasts) are not pushed out by others. Its loop
// is the only one that sends; flush waits for it.
type eventSink struct {
	*local
	propose func(context.Context, fsm.Command) (fsm.Result, error)
	wake    trigger

	mu             sync.Mutex
	next           uint64 // number of the next event
	lasting, brief eventQueue
	told           uint64 // how many dropped ones an event has told of
	since          int64  // unix ms when the first one was dropped that none has told of
}

// waitingEvent is an event with its number.
type waitingEvent struct {
	number uint64
	event  fsm.Event
}

// eventQueue holds the newest eventBuffer events of a kind.
type eventQueue struct {
	waiting []waitingEvent
	dropped uint64
}

// push drops the oldest one when there are too many.
func (q *eventQueue) push(e waitingEvent) (dropped bool) {
	q.waiting = append(q.waiting, e)
	if len(q.waiting) <= eventBuffer {
		return false
	}
	q.waiting = slices.Delete(q.waiting, 0, 1)
	q.dropped++
	return true
}

// sent removes what was committed, up to a number.
func (q *eventQueue) sent(upTo uint64) {
	i := slices.IndexFunc(q.waiting, func(e waitingEvent) bool { return e.number > upTo })
	if i < 0 {
		i = len(q.waiting)
	}
	q.waiting = slices.Delete(q.waiting, 0, i)
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
	s.next++
	queue := &s.brief
	if fsm.Lasts(e.Code) {
		queue = &s.lasting
	}
	if queue.push(waitingEvent{s.next, e}) {
		s.since = cmp.Or(s.since, s.nowMillis())
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
	batch, upTo, dropped := s.batch()
	if len(batch) == 0 || ctx.Err() != nil {
		return false
	}
	if _, err := s.propose(ctx, &fsm.EventsAdd{Events: batch}); err != nil {
		_ = sleep(ctx, eventEvery)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasting.sent(upTo)
	s.brief.sent(upTo)
	if dropped > s.told {
		s.told, s.since = dropped, 0
	}
	return true
}

// batch gives the next events, the number of the last one, and how many were
// dropped that they tell of: when no other waits, one event tells of them.
func (s *eventSink) batch() (events []fsm.Event, upTo, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lasting, brief := s.lasting.waiting, s.brief.waiting
	for len(events) < eventBatch && len(lasting)+len(brief) > 0 {
		from := &brief
		if len(brief) == 0 || len(lasting) > 0 && lasting[0].number < brief[0].number {
			from = &lasting
		}
		upTo = (*from)[0].number
		events = append(events, (*from)[0].event)
		*from = (*from)[1:]
	}
	if dropped = s.lasting.dropped + s.brief.dropped; len(events) > 0 || dropped == s.told {
		return events, upTo, s.told
	}
	return []fsm.Event{{
		Code: fsm.CodeEventsDropped, Node: s.cfg.Name, Part: -1, From: -1, To: -1, Count: 1, First: s.since, Last: s.nowMillis(),
		Message: fmt.Sprintf("%s dropped %s about losses, stops and the like and %s, since it started: too many waited for a quorum",
			s.cfg.Name, words.Count(s.lasting.dropped, "event"), words.Count(s.brief.dropped, "other")),
	}}, upTo, dropped
}

// flush waits until no event waits, or ctx ends.
func (s *eventSink) flush(ctx context.Context) {
	for s.busy() && sleep(ctx, eventEvery/10) == nil {
	}
}

// busy reports whether there is anything to send.
func (s *eventSink) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lasting.waiting)+len(s.brief.waiting) > 0 || s.lasting.dropped+s.brief.dropped > s.told
}

func (s *eventSink) state() (waiting int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lasting.waiting) + len(s.brief.waiting), s.lasting.dropped + s.brief.dropped
}
