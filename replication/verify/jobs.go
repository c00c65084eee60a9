package verify

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"sluice/kafka/catalog"
)

// Config of Jobs.
type Config struct {
	Limits
	Keep int // how many ended jobs are kept
}

// DefaultConfig returns a Config that uses some 50 MB at most.
func DefaultConfig() Config {
	return Config{
		Limits: Limits{Parallel: 4, FetchBytes: 1 << 20, Budget: 64 << 20,
			Wait: 10 * time.Second, Retry: 10 * time.Second, Tries: 3, Pause: 3 * time.Second},
		Keep: 20,
	}
}

// Validate names everything that is wrong with the Config.
func (c Config) Validate() error {
	if c.Parallel < 1 || c.FetchBytes < 1<<10 || c.Budget < 1<<20 || c.Wait < 0 || c.Retry <= 0 || c.Tries < 1 || c.Keep < 1 {
		return errors.New("verify: limits must be positive, a fetch at least 1 KiB, the budget at least 1 MiB")
	}
	return nil
}

// ErrNoJob says that this node has no job of that id.
var ErrNoJob = errors.New("no such verify job")

// Jobs is the comparisons in this node's memory. They end with Close, not
// with the request that started them.
type Jobs struct {
	cfg     Config
	catalog *catalog.Catalog
	facts   Facts
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu    sync.Mutex
	count int
	list  []*Job // by age
}

// New makes an empty set of jobs. It starts nothing.
func New(cfg Config, kafka *catalog.Catalog, facts Facts) (*Jobs, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Jobs{cfg: cfg, catalog: kafka, facts: facts, ctx: ctx, stop: cancel}, nil
}

// Start starts a job and returns it. Errors: ErrNoLink, ErrNotSelected.
func (s *Jobs) Start(r Request) (*Job, error) {
	v := s.facts.View()
	link := v.LinkNamed(r.Link)
	if link == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoLink, r.Link)
	}
	in := selectionInput{spec: &link.Spec, streams: streamsOf(v, link)}
	for _, topic := range r.Topics {
		if ok, err := in.knows(topic); err != nil {
			return nil, err
		} else if !ok {
			return nil, fmt.Errorf("%w: link %s, topic %s", ErrNotSelected, r.Link, topic)
		}
	}
	if r.MaxFaults <= 0 {
		r.MaxFaults = 20
	}
	ctx, cancel := context.WithCancel(s.ctx)
	now := time.Now()
	j := &Job{
		request: r, facts: s.facts, limits: s.cfg.Limits, seed: maphash.MakeSeed(), started: now, deadline: now.Add(s.cfg.Wait),
		cancel: cancel, state: Running, ended: make(chan struct{}),
	}
	s.mu.Lock()
	s.count++
	j.id = fmt.Sprintf("v%d", s.count)
	s.list = append(s.list, j)
	s.forget()
	s.mu.Unlock()
	s.wg.Go(func() {
		defer cancel()
		j.run(ctx, s.catalog)
	})
	return j, nil
}

// forget drops the oldest ended jobs beyond Keep. Called with mu held.
func (s *Jobs) forget() {
	for extra := len(s.list) - s.cfg.Keep; extra > 0; extra-- {
		i := slices.IndexFunc(s.list, func(j *Job) bool { return j.Status().State != Running })
		if i < 0 {
			return
		}
		s.list = slices.Delete(s.list, i, i+1)
	}
}

// Get returns a job, ErrNoJob when there is none of that id.
func (s *Jobs) Get(id string) (*Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(j *Job) bool { return j.id == id })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoJob, id)
	}
	return s.list[i], nil
}

// List returns all jobs, the oldest first.
func (s *Jobs) List() []*Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// Cancel ends a job; it does not wait. ErrNoJob.
func (s *Jobs) Cancel(id string) error {
	j, err := s.Get(id)
	if err != nil {
		return err
	}
	j.cancel()
	return nil
}

// Close cancels all jobs and waits for them.
func (s *Jobs) Close() {
	s.stop()
	s.wg.Wait()
}
