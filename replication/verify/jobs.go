package verify

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/replication/filter"
)

// Config of Jobs.
type Config struct {
	Limits
	Running   int           // how many jobs run at a time
	Keep      int           // how many ended jobs are kept
	Abandoned time.Duration // after which a job ends that nobody asked about

	// Filter compiles links' filters on this node.
	Filter func(*fsm.Filter) (*filter.Filter, error)
}

// DefaultConfig returns a Config that uses some 300 MB at most, and more only
// where single batches hold a hundred thousand records.
func DefaultConfig() Config {
	return Config{
		Limits: Limits{Parallel: 8, FetchBytes: 1 << 20, Budget: 64 << 20, Records: 250_000, Keys: 100_000,
			Wait: 10 * time.Second, Retry: 10 * time.Second, Tries: 3, Pause: 3 * time.Second},
		Running: 4, Keep: 20, Abandoned: time.Hour,
	}
}

// Validate names everything that is wrong with the Config.
func (c Config) Validate() error {
	if c.Parallel < 1 || c.FetchBytes < 1<<10 || c.Budget < 1<<20 || c.Records < 1 || c.Keys < 1 || c.Wait < 0 || c.Retry <= 0 || c.Tries < 1 ||
		c.Running < 1 || c.Keep < 1 || c.Abandoned <= 0 {
		return errors.New("verify: limits must be positive, a fetch at least 1 KiB, the budget at least 1 MiB")
	}
	return nil
}

var (
	// ErrNoJob says that this node has no job of that id.
	ErrNoJob = errors.New("no such verify job")
	// ErrBusy says that this node runs as many jobs as it may.
	ErrBusy = errors.New("this node compares as much as it may at a time")
)

// Jobs is the comparisons in this node's memory. They end with Close, not
// with the request that started them.
type Jobs struct {
	cfg     Config
	catalog *catalog.Catalog
	facts   Facts
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
	rooms   rooms

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
	return &Jobs{cfg: cfg, catalog: kafka, facts: facts, ctx: ctx, stop: cancel, rooms: newRooms(cfg.Parallel)}, nil
}

// Start starts a job and returns it. Errors: ErrNoLink, ErrNotSelected,
// ErrBusy.
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
	j, ctx := s.add(r)
	if j == nil {
		return nil, s.busy()
	}
	s.wg.Go(func() {
		defer j.cancel(nil)
		defer j.idle.Stop()
		j.run(ctx, s.catalog)
	})
	return j, nil
}

// add makes a job, nil: too many run.
func (s *Jobs) add(r Request) (*Job, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.running()) >= s.cfg.Running {
		return nil, nil
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	now := time.Now()
	s.count++
	j := &Job{
		id: fmt.Sprintf("v%d", s.count), request: r, facts: s.facts, limits: s.cfg.Limits, rooms: s.rooms, compile: s.cfg.Filter, seed: maphash.MakeSeed(),
		started: now, deadline: now.Add(s.cfg.Wait), cancel: cancel, state: Running, ended: make(chan struct{}),
	}
	j.idle = time.AfterFunc(s.cfg.Abandoned, func() {
		cancel(fmt.Errorf("%w for %v: start another", errAbandoned, s.cfg.Abandoned))
	})
	s.list = append(s.list, j)
	s.forget()
	return j, ctx
}

// running are the jobs under way. Called with mu held.
func (s *Jobs) running() []*Job {
	return slices.DeleteFunc(slices.Clone(s.list), func(j *Job) bool { return j.Status().State != Running })
}

// busy names the jobs under way.
func (s *Jobs) busy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, j := range s.running() {
		names = append(names, fmt.Sprintf("%s of link %s", j.id, j.request.Link))
	}
	return fmt.Errorf("%w (%d: %s)", ErrBusy, s.cfg.Running, strings.Join(names, ", "))
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

// Get returns a job, which goes on as long as it is asked for; ErrNoJob when
// there is none of that id.
func (s *Jobs) Get(id string) (*Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(j *Job) bool { return j.id == id })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoJob, id)
	}
	s.list[i].asked(s.cfg.Abandoned)
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
	j.cancel(nil)
	return nil
}

// Close cancels all jobs and waits for them.
func (s *Jobs) Close() {
	s.stop()
	s.wg.Wait()
}
