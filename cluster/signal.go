package cluster

import (
	"context"
	"sync"
	"time"
)

// signal wakes all who wait for something to happen next. The zero value is
// ready.
type signal struct {
	mu   sync.Mutex
	next chan struct{} // nil when nobody watches
}

// watch returns a channel that is closed by the next fire.
func (s *signal) watch() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}

// trigger wakes one loop. It has room for one: what comes while the loop is
// busy makes it go round once more.
type trigger chan struct{}

func newTrigger() trigger { return make(trigger, 1) }

func (t trigger) fire() {
	select {
	case t <- struct{}{}:
	default:
	}
}

// sleep waits for d, or fails with the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
