package cluster

import (
	"context"

	"sluice/fsm"
)

// Runner runs the tasks of one kind. Its methods must not block.
type Runner interface {
	// Start begins a task that this node owns at task.Turn. When ctx ends the
	// task must stop at once: another node may own it.
	Start(ctx context.Context, task *fsm.Task) Running
}

// Running is a task under way.
type Running interface {
	// Update tells that the facts about the task, or its link, have changed;
	// owner and turn are the same.
	Update(task *fsm.Task)
	// Drain asks the task to stop in order: send nothing new, wait for what is
	// under way, hand in the last progress, then be Done. It may be called
	// often.
	Drain()
	// Done is closed when nothing of the task runs or is under way any more. A
	// task that ends by itself is started again after a second.
	Done() <-chan struct{}
	// Measure returns the task's state now. It is called every second.
	Measure() Measurement
}
