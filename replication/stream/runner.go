package stream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/replication/wire"
	"sluice/task"
)

// Config of a Runner.
type Config struct {
	wire.Config
	Node        string        // this node's ServerID
	Name        string        // and its name, for events
	Memory      int64         // bytes of batches held
	LookupEvery time.Duration // how often an idle stream looks around
	StandStill  time.Duration // how long a target must stand still before an owner that lost a race and can ask nobody goes on
}

// DefaultConfig returns the defaults of profile lan.
func DefaultConfig() Config {
	return Config{Config: wire.DefaultConfig(), Memory: 256 << 20, LookupEvery: 5 * time.Second, StandStill: 30 * time.Second}
}

// Validate checks and completes the configuration.
func (c *Config) Validate() error {
	if c.Memory < 16<<20 {
		return fmt.Errorf("memory: %d bytes; at least 16 MiB are needed", c.Memory)
	}
	c.MaxFetch = min(c.MaxFetch, int(c.Memory/8))
	return nil
}

// Runner owns the streams of this node and what they share.
type Runner struct {
	cfg     Config
	catalog *catalog.Catalog
	ctl     task.Control
	log     *slog.Logger
	budget  *wire.Budget
	conns   *wire.Conns

	mu      sync.Mutex
	streams map[fsm.TaskID]*Stream
	limits  map[fsm.LinkID]*wire.Limiter
	ctx     context.Context // of all streams, ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

var _ task.Runner = (*Runner)(nil)

// NewRunner makes a Runner; it starts nothing.
func NewRunner(cfg Config, clusters *catalog.Catalog, budget *wire.Budget, ctl task.Control, log *slog.Logger) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring replication: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{
		cfg: cfg, catalog: clusters, ctl: ctl, log: log, budget: budget, conns: wire.New(cfg.Config, budget, ctl.Lease),
		streams: map[fsm.TaskID]*Stream{}, limits: map[fsm.LinkID]*wire.Limiter{}, ctx: ctx, cancel: cancel,
	}, nil
}

// Start implements task.Runner.
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
	r.wg.Go(func() {
		defer stop()
		defer cancel()
		s.run()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.streams[t.ID] == s {
			delete(r.streams, t.ID)
		}
	})
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

// Stats counts over all streams of this node since it started.
func (r *Runner) Stats() wire.Stats { return r.conns.Stats() }

// Close stops all streams at once and waits for them.
func (r *Runner) Close() {
	r.cancel()
	r.wg.Wait()
	r.conns.Close()
}

// limiter returns the limiter of a link.
func (r *Runner) limiter(id fsm.LinkID) *wire.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.limits[id]
	if l == nil {
		l = wire.NewLimiter(func() float64 { return share(r.ctl.View(), id, r.cfg.Node) })
		r.limits[id] = l
	}
	return l
}

// share is the node's part of a link's limit in bytes/s, by the streams that
// it owns of all the link's; 0: no limit.
func share(v *fsm.View, id fsm.LinkID, node string) float64 {
	link := v.Link(id)
	if link == nil || link.Spec.Limit <= 0 {
		return 0
	}
	ours, all := 0, 0
	for t := range v.Tasks {
		if t.Link != id || t.Kind != fsm.KindCopy {
			continue
		}
		all++
		if t.Owner == node {
			ours++
		}
	}
	return float64(link.Spec.Limit) * float64(ours) / float64(max(all, 1))
}

// nowMs is the wall clock; spans of time are measured by time.Now.
func (r *Runner) nowMs() int64 { return r.cfg.Now().UnixMilli() }
