package sync

import (
	"context"
	"log/slog"

	"sluice/fsm"
	"sluice/task"
)

// Tasks runs the sync tasks of a node, each with a Runner. It implements
// task.Runner.
type Tasks struct {
	cfg     Config
	clients Clients
	ctl     task.Control
	log     *slog.Logger
}

// NewTasks checks the Config; it starts nothing.
func NewTasks(cfg Config, clients Clients, ctl task.Control, log *slog.Logger) (*Tasks, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Tasks{cfg: cfg, clients: clients, ctl: ctl, log: log}, nil
}

// Start implements task.Runner.
func (s *Tasks) Start(ctx context.Context, t *fsm.Task) task.Running {
	ctx, cancel := context.WithCancel(ctx)
	run := &running{runner: newRunner(s.cfg, s.clients, s.ctl, t, s.log), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(run.done)
		_ = run.runner.Run(ctx)
	}()
	return run
}

// running is one sync task under way.
type running struct {
	runner *Runner
	cancel context.CancelFunc
	done   chan struct{}
}

// Drain implements task.Running. A round that is cut short is made again by
// the next owner.
func (r *running) Drain() { r.cancel() }

// Done implements task.Running.
func (r *running) Done() <-chan struct{} { return r.done }

// Status implements task.Running.
func (r *running) Status() task.Status {
	m := r.runner.Measure()
	return task.Status{State: m.State, Message: m.Message, Lag: task.Lag{Records: -1, Millis: -1}}
}
