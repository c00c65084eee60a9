package catalog

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/kafka"
)

// Cluster is one Kafka cluster.
type Cluster struct {
	access access
	topics *topics
	whole  *whole
	expiry *expiry

	mu      sync.Mutex
	brokers map[int32]*broker
}

// broker bounds what is under way to one broker, so that one which hangs holds
// up no other.
type broker struct {
	calls  *semaphore.Weighted
	dials  *semaphore.Weighted
	failed failures // dials; under Cluster.mu
}

func newCluster(a access) *Cluster {
	t := newTopics(a)
	return &Cluster{access: a, topics: t, whole: newWhole(a, t), expiry: newExpiry(a), brokers: map[int32]*broker{}}
}

func (k *Cluster) broker(id int32) *broker {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.brokers[id]
	if b == nil {
		b = &broker{calls: semaphore.NewWeighted(k.access.cfg.Calls), dials: semaphore.NewWeighted(k.access.cfg.Dials)}
		k.brokers[id] = b
	}
	return b
}

// Name is the Kafka cluster's name.
func (k *Cluster) Name() string { return k.access.name }

// Client returns the pool's client for what is said of the cluster now.
func (k *Cluster) Client(ctx context.Context) (*kafka.Client, error) { return k.access.reach(ctx) }

// Find returns where a partition is; with fresh, as a request sent after the
// call says, else as was known within the last lookups. A topic is in use, and
// kept current, while somebody asks for it every few lookups. Errors wrap
// kerr's: UnknownTopicOrPartition when the topic or the partition is not there.
func (k *Cluster) Find(ctx context.Context, topic string, partition int32, fresh bool) (Place, error) {
	meta, err := k.Topic(ctx, topic, fresh)
	if err != nil {
		return Place{}, err
	}
	return placeIn(&meta, partition)
}

// Topic is Find of a whole topic, which nobody may change.
func (k *Cluster) Topic(ctx context.Context, topic string, fresh bool) (kafka.TopicMetadata, error) {
	if !fresh {
		if meta, ok := k.topics.current(topic); ok {
			return meta, nil
		}
	}
	if err := k.topics.have(ctx, []string{topic}, fresh); err != nil {
		return kafka.TopicMetadata{}, err
	}
	return k.topics.told(topic)
}

// Changes returns a channel that is closed when a topic in use is found
// changed: its id, its partitions, their leaders, or whether it is there.
func (k *Cluster) Changes() <-chan struct{} {
	k.topics.mu.Lock()
	defer k.topics.mu.Unlock()
	return k.topics.changed
}

// All returns all topics that can be seen, as a request told that was sent at
// most maxAge before the call (0: after it). There is one request under way at
// a time, whose answer everybody shares: nobody may change it. While nothing
// changes it is the same one, in the same place, and costs next to nothing.
// What it tells Find knows too.
func (k *Cluster) All(ctx context.Context, maxAge time.Duration) (kafka.Metadata, error) {
	return k.whole.get(ctx, maxAge)
}

// ProducerExpiry returns after how many ms of silence the brokers forget a
// producer id, as read within the last minutes or, while a broker does not
// answer, before; 0 when it was never read.
func (k *Cluster) ProducerExpiry(ctx context.Context, id int32) int64 { return k.expiry.get(ctx, id) }

// callTimeout bounds a one-shot call.
const callTimeout = 10 * time.Second

// Call runs one-shot calls to a broker on the shared connections. Like Dial, it
// leaves one alone that could not be reached a moment ago.
func (k *Cluster) Call(ctx context.Context, id int32, f func(context.Context, kafka.Broker) error) error {
	b := k.broker(id)
	if err := b.calls.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.calls.Release(1)
	if err := k.unreachable(b); err != nil {
		return err
	}
	c, err := k.Client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = f(ctx, c.Broker(id))
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		k.dialled(b, err)
	}
	return err
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
	if err == nil || !over(ctx) {
		k.dialled(b, err)
	}
	return conn, err
}

// over reports whether the time of ctx is up; a connection may find that out
// before ctx says so.
func over(ctx context.Context) bool {
	at, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(at)
}

// unreachable is the error of the last dial while that still counts.
func (k *Cluster) unreachable(b *broker) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return b.failed.recently()
}

func (k *Cluster) dialled(b *broker, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b.failed.note(err)
}
