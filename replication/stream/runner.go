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

// Runner owns the streams of this node.
type Runner struct {
	shared
	budget *wire.Budget

	mu      sync.Mutex
	streams map[fsm.TaskID]*Stream
	ctx     context.Context // of all streams, ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

var _ task.Runner = (*Runner)(nil)

// NewRunner makes a Runner; it starts nothing.
func NewRunner(cfg Config, clusters *catalog.Catalog, budget *wire.Budget, ctl task.Control, draws Draws, log *slog.Logger) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring replication: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{
		shared: shared{
			cfg: cfg, catalog: clusters, ctl: ctl, draws: draws, log: log, conns: wire.New(cfg.Config, budget, ctl.Lease), counts: newCounts(), fresh: newFreshConns(), fillers: newFillers(), filters: newFilters(cfg.Filter), limits: map[fsm.LinkID]*wire.Limiter{},
		},
		budget: budget, streams: map[fsm.TaskID]*Stream{}, ctx: ctx, cancel: cancel,
	}, nil
}

// Start implements task.Runner.
func (r *Runner) Start(ctx context.Context, t *fsm.Task) task.Running { return r.StartStream(ctx, t) }

// StartStream runs the stream of a copy task that this node owns, until ctx
// ends (it then stops at once, and the next owner derives what was written) or
// it is drained.
func (r *Runner) StartStream(ctx context.Context, t *fsm.Task) *Stream {
	s := newStream(ctx, &r.shared, t)
	stop := context.AfterFunc(r.ctx, s.cancel)
	r.mu.Lock()
	r.streams[t.ID] = s
	r.mu.Unlock()
	r.wg.Go(func() {
		defer stop()
		s.run()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.streams[t.ID] == s {
			delete(r.streams, t.ID)
		}
	})
	return s
}

// Run hands in every second, until ctx ends, the progress of all streams and
// what they draw.
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

// Report hands in the progress of all streams now, and what they draw.
func (r *Runner) Report() {
	r.tellDraws(time.Now())
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
	r.fillers.close()
	r.conns.Close()
}
