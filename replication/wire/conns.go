package wire

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/pipe"
)

// Lease is how long ago a leader last confirmed that this node owns the task
// at the turn; false: none has, or it does not.
type Lease func(id fsm.TaskID, turn uint64) (age time.Duration, ok bool)

// Conns are the fetchers and senders of a node. They are made when they are
// first needed and live until Close.
type Conns struct {
	cfg     Config
	budget  *Budget
	lease   Lease
	openers *openers
	heads   *rate.Limiter // of offsets that are taken by empty records

	records, bytes, batches atomic.Int64 // acknowledged

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	fetchers map[fetcherKey]*Fetcher
	senders  map[senderKey]*Sender
}

// fetcherKey: two links may read the same partition, which a fetch session
// holds only once, so each has fetchers of its own.
type fetcherKey struct {
	cluster string
	broker  int32
	link    fsm.LinkID
}

// senderKey: guarded partitions of a broker share one sender, unguarded ones
// are spread over a few of their own.
type senderKey struct {
	cluster string
	broker  int32
	route   pipe.Route
	number  int
}

// unguardedSenders per broker: each has one request outstanding, so they bound
// the speed of a backfill of old records.
const unguardedSenders = 4

// headBatch is how many records fill a head in one batch, of about 40 KB: a broker
// holds an object for each while it checks them.
const headBatch = 50_000

// New returns no connection yet.
func New(cfg Config, budget *Budget, lease Lease) *Conns {
	ctx, cancel := context.WithCancel(context.Background())
	return &Conns{
		cfg: cfg, budget: budget, lease: lease, openers: &openers{share: budget.Share("(opening)")}, ctx: ctx, cancel: cancel,
		fetchers: map[fetcherKey]*Fetcher{}, senders: map[senderKey]*Sender{}, heads: rate.NewLimiter(offsets.FilledPerSecond, headBatch),
	}
}

// leaseHolds fails when no leader has confirmed lately that this node owns the
// task at this turn.
func (c *Conns) leaseHolds(id fsm.TaskID, turn uint64) error {
	age, ok := c.lease(id, turn)
	switch {
	case !ok:
		return fmt.Errorf("%w: task %d is not ours", errNoLease, id)
	case age > c.cfg.Lease:
		return fmt.Errorf("%w: for %v", errNoLease, age.Round(time.Millisecond))
	}
	return nil
}

// Share is the share of the memory of a Kafka cluster that is written to.
func (c *Conns) Share(cluster string) *Share { return c.budget.Share(cluster) }

// Open opens a batch for reading, in the node's memory, and hands its records
// to f, which must not wait. One that decompresses to more than most bytes is
// record.ErrOverBudget.
func (c *Conns) Open(ctx context.Context, b record.Batch, most int, f func(record.Records) error) error {
	return c.openers.open(ctx, b, most, f)
}

func (c *Conns) fetcher(cluster Cluster, broker int32, link fsm.LinkID, m Meter) *Fetcher {
	k := fetcherKey{cluster.Name(), broker, link}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fetchers[k]
	if f == nil {
		f = newFetcher(&c.cfg, cluster, broker, m)
		c.fetchers[k] = f
		c.wg.Go(func() { f.run(c.ctx) })
	}
	return f
}

func (c *Conns) sender(cluster Cluster, broker int32, route pipe.Route, task fsm.TaskID) *Sender {
	k := senderKey{cluster: cluster.Name(), broker: broker, route: route}
	if route == pipe.Unguarded {
		k.number = int(task % unguardedSenders)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.senders[k]
	if s == nil {
		s = newSender(&c.cfg, cluster, broker, route)
		c.senders[k] = s
		c.wg.Go(func() { s.run(c.ctx) })
	}
	return s
}

// acknowledged counts a batch that stands where it should.
func (c *Conns) acknowledged(records, bytes int) {
	if records == 0 {
		return
	}
	c.records.Add(int64(records))
	c.bytes.Add(int64(bytes))
	c.batches.Add(1)
}

// Stats are counts over all partitions since the node started.
type Stats struct {
	Records, Bytes, Batches int64 // acknowledged
}

// Stats returns the counts.
func (c *Conns) Stats() Stats {
	return Stats{Records: c.records.Load(), Bytes: c.bytes.Load(), Batches: c.batches.Load()}
}

// Close ends all connections and waits for the goroutines.
func (c *Conns) Close() {
	c.cancel()
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.fetchers {
		f.close()
	}
	for _, s := range c.senders {
		s.hangUp()
	}
}
