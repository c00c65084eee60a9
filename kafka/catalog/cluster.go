package catalog

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/kafka"
)

// Cluster is one Kafka cluster.
type Cluster struct {
	catalog *Catalog
	name    string
	topics  *topics
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

func newCluster(c *Catalog, name string) *Cluster {
	k := &Cluster{catalog: c, name: name, brokers: map[int32]*broker{}, expiry: expiry{busy: make(chan struct{}, 1)}}
	k.topics = newTopics(k)
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

// Client returns the pool's client for what the facts say of the cluster now.
func (k *Cluster) Client(ctx context.Context) (*kafka.Client, error) {
	spec := k.catalog.view().KafkaCluster(k.name)
	if spec == nil {
		return nil, fmt.Errorf("no Kafka cluster %s", k.name)
	}
	return k.catalog.pool.Client(ctx, *spec)
}

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

// expiry is how long brokers remember an idle producer.
type expiry struct {
	busy chan struct{} // full while it is read: all others wait for the answer
	ms   int64         // 0: never read
	read time.Time
	bad  time.Time // when reading it failed last
}

const (
	expiryHolds   = 5 * time.Minute
	expiryAgain   = 30 * time.Second
	expiryTimeout = 2 * time.Second

	// defaultExpiry is Kafka's producer.id.expiration.ms.
	defaultExpiry = 24 * 3600_000
)

// ProducerExpiry returns after how many ms of silence the brokers forget a
// producer id, as read within the last minutes or, while a broker does not
// answer, before; 0 when it was never read.
func (k *Cluster) ProducerExpiry(ctx context.Context, id int32) int64 {
	e := &k.expiry
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return 0
	}
	if time.Since(e.read) < expiryHolds || time.Since(e.bad) < expiryAgain {
		return e.ms
	}
	ms, err := k.readExpiry(ctx, id)
	if err != nil {
		e.bad = time.Now()
		k.catalog.log.Warn("reading broker configuration", "kafka", k.name, "err", err, "expirationMs", e.ms)
		return e.ms
	}
	e.ms, e.read = ms, time.Now()
	return ms
}

// readExpiry asks a broker. Brokers before 3.5 know only the expiry of
// transactional ids.
func (k *Cluster) readExpiry(ctx context.Context, id int32) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, expiryTimeout)
	defer cancel()
	c, err := k.Client(ctx)
	if err != nil {
		return 0, err
	}
	entries, err := c.BrokerConfigs(ctx, id)
	if err != nil {
		return 0, err
	}
	found := int64(defaultExpiry)
	for _, name := range []string{"transactional.id.expiration.ms", "producer.id.expiration.ms"} {
		for _, e := range entries {
			if v, err := strconv.ParseInt(e.Value, 10, 64); e.Name == name && err == nil {
				found = v
			}
		}
	}
	return found, nil
}
