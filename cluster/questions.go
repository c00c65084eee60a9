package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Errors of asking Raft and of proposing.
var (
	// ErrNoLeader: nothing was changed, and nothing can be now.
	ErrNoLeader = errors.New("no leader")
	// ErrAmbiguous: the change may have been made or may yet be made; read
	// again, then decide again.
	ErrAmbiguous = errors.New("outcome unknown")
)

// questions counts what Raft has been asked and has not answered. Raft forgets
// what waits in its queues when it shuts down (commands that its FSM has not
// applied, questions whether it leads, transfers of leadership): their futures
// are never answered. So the asking ends first.
type questions struct {
	mu    sync.Mutex
	ended bool
	open  sync.WaitGroup
}

// ask puts one question to Raft; issue may wait for room in a queue of Raft.
// Once the asking has ended the answer is ErrNoLeader.
func (q *questions) ask(issue func() raft.Future) question {
	answer := make(chan error, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		answer <- fmt.Errorf("%w: this node ends", ErrNoLeader)
		return answer
	}
	q.open.Go(func() {
		answer <- issue().Error()
	})
	return answer
}

// end lets nobody ask any more and waits for the answers that are due, no
// longer than limit: a leader whose disk hangs gives none.
func (q *questions) end(limit time.Duration) {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		q.open.Wait()
		close(answered)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
	}
}

// question is one that was put to Raft; the answer comes once.
type question <-chan error

// wait waits for the answer no longer than ctx.
func (q question) wait(ctx context.Context) error {
	select {
	case err := <-q:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
