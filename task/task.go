// Package task is the contract between the cluster and its work, declared
// once: who runs a task, what a running task can be asked for, what it may ask
// of the control plane, and what it tells of itself.
//
// It owns the form in which the states of tasks travel between nodes. It must
// not know what a task does, nor how facts are agreed upon.
package task

import (
	"context"
	"errors"
	"time"

	"sluice/fsm"
)

// Errors of Facts.ConfirmOwner.
var (
	// ErrNotOwner: a leader says that the task is not this node's at this turn.
	ErrNotOwner = errors.New("not the owner of the task at this turn")
	// ErrUnknown: no leader could be asked.
	ErrUnknown = errors.New("ownership could not be confirmed")
)

// Runner runs the tasks of one kind. Its methods must not block.
type Runner interface {
	// Start begins a task that this node owns at t.Turn. When ctx ends the task
	// must stop at once: another node may own it. What changes in the facts
	// about the task or its link, the task reads from the View when it acts.
	Start(ctx context.Context, t *fsm.Task) Running
}

// Running is a task under way.
type Running interface {
	// Drain asks the task to stop in order: send nothing new, wait for what is
	// under way, hand in the last progress, then be Done. It may be called
	// often.
	Drain()
	// Done is closed when nothing of the task runs or is under way any more. A
	// task that ends by itself is started again after a second.
	Done() <-chan struct{}
	// Status returns the task's state now. It is called every second.
	Status() Status
}

// Control is what tasks need of the control plane.
type Control interface {
	Facts
	Reports
}

// Facts is how tasks read and change the replicated facts.
type Facts interface {
	// View is this node's copy of the facts; it may be behind.
	View() *fsm.View
	// Propose commits a command and returns its result once this node has
	// applied it. An error means that the outcome is unknown.
	Propose(ctx context.Context, c fsm.Command) (fsm.Result, error)
	// ConfirmOwner asks a leader: nil, this node still owns the task at this
	// turn; ErrNotOwner, it does not; any other error, nobody could be asked.
	ConfirmOwner(ctx context.Context, id fsm.TaskID, turn uint64) error
	// Lease is how long ago a leader last confirmed that this node owns the
	// task at this turn (the worse of wall and monotonic clock); false: none
	// has, or it does not.
	Lease(id fsm.TaskID, turn uint64) (age time.Duration, ok bool)
}

// Reports is where tasks leave what is committed when it can be.
type Reports interface {
	// Record keeps an event.
	Record(e fsm.Event)
	// Progress keeps a stream's latest checkpoint, with the segments of all
	// that came before.
	Progress(item fsm.ProgressItem)
}
