package link

import (
	"context"
	"log/slog"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/task"
)

// Runner runs the link tasks of a node. It implements task.Runner.
type Runner struct {
	cfg     Config
	catalog *catalog.Catalog
	ctl     task.Control
	log     *slog.Logger
}

// New checks the Config; it starts nothing.
func New(cfg Config, kafka *catalog.Catalog, ctl task.Control, log *slog.Logger) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Runner{cfg: cfg, catalog: kafka, ctl: ctl, log: log}, nil
}

// Start implements task.Runner.
func (r *Runner) Start(ctx context.Context, t *fsm.Task) task.Running { return r.StartTask(ctx, t) }

// StartTask runs a link task that this node owns at the task's turn until ctx
// ends or it is drained.
func (r *Runner) StartTask(ctx context.Context, t *fsm.Task) *Task {
	ctx, cancel := context.WithCancel(ctx)
	l := &Task{
		cfg: r.cfg, catalog: r.catalog, ctl: r.ctl, log: r.log, link: t.Link, id: t.ID, turn: t.Turn,
		cancel: cancel, done: make(chan struct{}), ledger: newLedger(), pace: pace{size: firstTopics},
	}
	l.measure.Store(&Measurement{State: fsm.CodeStarting})
	go l.run(ctx)
	return l
}
