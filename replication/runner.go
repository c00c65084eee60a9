package replication

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/task"
)

// Config of a Runner.
type Config struct {
	Node        string           // this node's ServerID
	Name        string           // and its name, for events
	Lease       time.Duration    // T: an unguarded write needs a confirmation no older; default 3 s
	Lifetime    time.Duration    // broker-side timeout of an unguarded request, and so its lifetime; default 5 s
	Timeout     time.Duration    // of a guarded one; a broker may hold five of them, one after another; default 10 s
	MaxRequest  int              // bytes of one produce request; default 512 KiB
	MaxFetch    int              // bytes of one fetch answer; default 4 MiB, at most an eighth of Memory
	MaxWait     time.Duration    // long poll of an idle fetch; default 250 ms
	Memory      int64            // bytes of batches held; default 256 MiB
	LookupEvery time.Duration    // how often leaders of idle streams are looked up; default 5 s
	StandStill  time.Duration    // how long a target must stand still before an owner that lost a race and can ask nobody goes on; default 30 s
	Now         func() time.Time // the wall clock
}

// DefaultConfig returns the defaults of profile lan.
func DefaultConfig() Config {
	return Config{
		Lease: 3 * time.Second, Lifetime: 5 * time.Second, Timeout: 10 * time.Second,
		MaxRequest: 512 << 10, MaxFetch: 4 << 20, MaxWait: 250 * time.Millisecond,
		Memory: 256 << 20, LookupEvery: 5 * time.Second, StandStill: 30 * time.Second, Now: time.Now,
	}
}

// Validate checks and completes the configuration.
func (c *Config) Validate() error {
	if c.Memory < 16<<20 {
		return fmt.Errorf("memory: %d bytes; at least 16 MiB are needed", c.Memory)
	}
	c.MaxFetch = min(c.MaxFetch, int(c.Memory/8))
	return nil
}

// Runner owns the streams of this node and what they share. It implements
// task.Runner.
type Runner struct {
	cfg    Config
	pool   *kafka.Pool
	ctl    task.Control
	log    *slog.Logger
	budget *Budget
	stats  stats

	mu      sync.Mutex
	sites   map[string]*site
	streams map[fsm.TaskID]*Stream
	limits  map[fsm.LinkID]*limiter
	ctx     context.Context // of all streams, ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// NewRunner makes a Runner; it starts nothing.
func NewRunner(cfg Config, pool *kafka.Pool, budget *Budget, ctl task.Control, log *slog.Logger) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring replication: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{
		cfg: cfg, pool: pool, ctl: ctl, log: log, budget: budget,
		sites: map[string]*site{}, streams: map[fsm.TaskID]*Stream{}, limits: map[fsm.LinkID]*limiter{},
		ctx: ctx, cancel: cancel,
	}, nil
}

// Start implements task.Runner for copy tasks.
func (r *Runner) Start(ctx context.Context, t *fsm.Task) task.Running { return r.StartStream(ctx, t) }

// StartStream runs the stream of a copy task that this node owns, until ctx
// ends (it then stops at once, and the next owner derives what was written) or
// it is drained.
func (r *Runner) StartStream(ctx context.Context, t *fsm.Task) *Stream {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.ctx, cancel)
	s := newStream(ctx, r, t)
	r.mu.Lock()
	r.streams[t.ID] = s
	r.mu.Unlock()
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		defer stop()
		defer cancel()
		s.run()
		r.mu.Lock()
		if r.streams[t.ID] == s {
			delete(r.streams, t.ID)
		}
		r.mu.Unlock()
	}()
	return s
}

// Run hands in the progress of all streams every second until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Report()
		case <-ctx.Done():
			return nil
		}
	}
}

// Report hands in the progress of all streams now.
func (r *Runner) Report() {
	for _, s := range r.running() {
		s.report()
	}
}

func (r *Runner) running() []*Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	streams := make([]*Stream, 0, len(r.streams))
	for _, s := range r.streams {
		streams = append(streams, s)
	}
	return streams
}

// Close stops all streams at once and waits for them.
func (r *Runner) Close() {
	r.cancel()
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sites {
		s.close()
	}
}

// site returns the shared state of a Kafka cluster.
func (r *Runner) site(name string) *site {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sites[name]
	if s == nil {
		s = newSite(r, name)
		r.sites[name] = s
	}
	return s
}

// now is for spans of time, which must not depend on the wall clock; nowMs is
// the wall clock.
func (r *Runner) now() time.Time { return time.Now() }
func (r *Runner) nowMs() int64   { return r.cfg.Now().UnixMilli() }
