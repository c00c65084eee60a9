package link

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/task"
)

// Config of a Runner.
type Config struct {
	Node       string        // this node's name, for events and claims
	Interval   time.Duration // between two looks at both Kafka clusters
	Timeout    time.Duration // of one round
	ClaimEvery time.Duration // how often the claims of others are looked for
}

// DefaultConfig returns a Config that finds new topics within 2.5 s.
func DefaultConfig() Config {
	return Config{Interval: 2 * time.Second, Timeout: 60 * time.Second, ClaimEvery: 30 * time.Second}
}

// Validate names everything that is wrong with the Config.
func (c Config) Validate() error {
	if c.Interval <= 0 || c.Timeout <= 0 || c.ClaimEvery <= 0 {
		return errors.New("link: interval, timeout and claim interval must be positive")
	}
	return nil
}

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
		cancel: cancel, done: make(chan struct{}), recorded: map[string]Refused{}, ledger: newLedger(),
	}
	l.measure.Store(&Measurement{State: fsm.CodeStarting})
	go l.run(ctx)
	return l
}

// Task is one link task under way. It implements task.Running.
type Task struct {
	cfg     Config
	catalog *catalog.Catalog
	ctl     task.Control
	log     *slog.Logger
	link    fsm.LinkID
	id      fsm.TaskID
	turn    uint64
	cancel  context.CancelFunc
	done    chan struct{}
	measure atomic.Pointer[Measurement]

	// Of the goroutine that runs it.
	recorded map[string]Refused // last refusal recorded of each topic, "": of the link
	ledger   *ledger
	basis    basis // of plan; zero: none
	plan     topicsPlan
	ledgerAt time.Time // when it was read, zero: not, or it must be again
}

// Drain implements task.Running. A round that is cut short is made again by
// the next owner.
func (t *Task) Drain() { t.cancel() }

// Done implements task.Running.
func (t *Task) Done() <-chan struct{} { return t.done }

// Status implements task.Running.
func (t *Task) Status() task.Status {
	m := t.Measure()
	return task.Status{State: m.State, Message: m.Message, Lag: task.Lag{Records: -1, Millis: -1}}
}

// Measurement is what a Task tells of itself, for status.
type Measurement struct {
	State   fsm.Code  // idle: in step; or why not
	Message string    // about a State that is not idle
	Topics  int       // that the selectors mean now
	Streams int       // partitions of these that are copied or about to be
	Refused []Refused // topics that cannot be copied, each with its reason
	At      int64     // unix ms of the last round that saw both Kafka clusters, 0: none yet
}

// Refused is a topic that cannot be copied as things stand.
type Refused struct {
	Topic   string
	Code    fsm.Code
	Message string
}

// Measure returns what the last round found.
func (t *Task) Measure() Measurement { return *t.measure.Load() }
