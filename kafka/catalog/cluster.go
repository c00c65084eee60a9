package catalog

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/kafka"
)

// Cluster is one Kafka cluster.
type Cluster struct {
	catalog *Catalog
	ctx     context.Context // of its lookups
	name    string
	client  func(context.Context) (*kafka.Client, error)
	topics  *topics
	whole   whole
	expiry  expiry

	mu      sync.Mutex
	brokers map[int32]*broker
}

// broker bounds what is under way to one broker, so that one which hangs holds
// up no other.
type broker struct {
	calls *semaphore.Weighted
	dials *semaphore.Weighted

	// Of the last dials in a row that failed; under Cluster.mu.
	failures int
	failedAt time.Time
	err      error
}

func newCluster(ctx context.Context, c *Catalog, name string, client func(context.Context) (*kafka.Client, error)) *Cluster {
	k := &Cluster{catalog: c, ctx: ctx, name: name, client: client, brokers: map[int32]*broker{}}
	k.topics, k.whole, k.expiry = newTopics(k), newWhole(), newExpiry()
	return k
}

func (k *Cluster) broker(id int32) *broker {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.brokers[id]
	if b == nil {
		b = &broker{calls: semaphore.NewWeighted(k.catalog.cfg.Calls), dials: semaphore.NewWeighted(k.catalog.cfg.Dials)}
		k.brokers[id] = b
	}
	return b
}

// Name is the Kafka cluster's name.
func (k *Cluster) Name() string { return k.name }

// Client returns the pool's client for what is said of the cluster now.
func (k *Cluster) Client(ctx context.Context) (*kafka.Client, error) { return k.client(ctx) }

// callTimeout bounds a one-shot call.
const callTimeout = 10 * time.Second

// Call runs one-shot calls to a broker on the shared connections.
func (k *Cluster) Call(ctx context.Context, id int32, f func(context.Context, kafka.Broker) error) error {
	calls := k.broker(id).calls
	if err := calls.Acquire(ctx, 1); err != nil {
		return err
	}
	defer calls.Release(1)
	c, err := k.Client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx, c.Broker(id))
}

// Dial opens a connection of the caller's own to a broker. One that could not
// be reached a moment ago is not dialled by everybody who asks.
func (k *Cluster) Dial(ctx context.Context, id int32) (*kafka.Conn, error) {
	b := k.broker(id)
	if err := b.dials.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer b.dials.Release(1)
	if err := k.unreachable(b); err != nil {
		return nil, err
	}
	c, err := k.Client(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.Dial(ctx, id)
	if err == nil || ctx.Err() == nil {
		k.dialled(b, err)
	}
	return conn, err
}

// A failed dial speaks for those that follow it within firstPause; that doubles
// with each failure up to lastPause.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// unreachable is the error of the last dial while that still counts.
func (k *Cluster) unreachable(b *broker) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b.failures > 0 && time.Since(b.failedAt) < min(firstPause<<min(b.failures-1, 6), lastPause) {
		return b.err
	}
	return nil
}

func (k *Cluster) dialled(b *broker, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b.err = err
	if err == nil {
		b.failures = 0
		return
	}
	b.failures, b.failedAt = b.failures+1, time.Now()
}
