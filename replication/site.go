package replication

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka"
)

// site is one Kafka cluster as the streams of this node share it: where its
// partitions are, and the lanes and outlets to its brokers.
type site struct {
	r    *Runner
	name string
	topo *topology

	slots chan struct{} // bounds one-shot calls under way

	mu      sync.Mutex
	lanes   map[laneKey]*lane
	outlets map[outletKey]*outlet

	expiry     chan struct{} // full while it is read: all others wait for the answer
	expiration int64         // ms, of idle producer ids at the brokers; 0: never read
	expiryRead time.Time
	expiryBad  time.Time // when reading it failed last
}

// laneKey: two links may read the same partition, which a fetch session holds
// only once, so each has lanes of its own.
type laneKey struct {
	broker int32
	link   fsm.LinkID
}

// outletKey: guarded streams of a broker share one outlet, unguarded ones are
// spread over a few of their own.
type outletKey struct {
	broker    int32
	unguarded int // 0: guarded
}

// unguardedOutlets per broker: each has one request outstanding, so they
// bound the speed of a backfill of old records.
const unguardedOutlets = 4

func newSite(r *Runner, name string) *site {
	s := &site{
		r: r, name: name, lanes: map[laneKey]*lane{}, outlets: map[outletKey]*outlet{},
		slots: make(chan struct{}, 32), expiry: make(chan struct{}, 1),
	}
	s.topo = newTopology(s)
	return s
}

// client returns the pool's client for what the View says of the cluster now.
func (s *site) client(ctx context.Context) (*kafka.Client, error) {
	k := s.r.ctl.View().KafkaCluster(s.name)
	if k == nil {
		return nil, fmt.Errorf("no Kafka cluster %s", s.name)
	}
	return s.r.pool.Client(ctx, *k)
}

// call runs a one-shot call to a broker on the shared connections.
func (s *site) call(ctx context.Context, broker int32, f func(context.Context, kafka.Broker) error) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return f(ctx, c.Broker(broker))
}

// dial opens a connection of its own to a broker.
func (s *site) dial(ctx context.Context, broker int32) (*kafka.Conn, error) {
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	return c.Dial(ctx, broker)
}

// lane returns the lane from a source broker for a link.
func (s *site) lane(broker int32, link fsm.LinkID) *lane {
	k := laneKey{broker, link}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[k]
	if l == nil {
		l = newLane(s, broker)
		s.lanes[k] = l
		s.r.wg.Add(1)
		go func() { defer s.r.wg.Done(); l.run(s.r.ctx) }()
	}
	return l
}

// outlet returns the outlet to a target broker for a task.
func (s *site) outlet(broker int32, guarded bool, id fsm.TaskID) *outlet {
	k := outletKey{broker: broker}
	if !guarded {
		k.unguarded = 1 + int(id%unguardedOutlets)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlets[k]
	if o == nil {
		o = newOutlet(s, k)
		s.outlets[k] = o
		s.r.wg.Add(1)
		go func() { defer s.r.wg.Done(); o.run(s.r.ctx) }()
	}
	return o
}

// defaultExpiration of producer ids (Kafka's producer.id.expiration.ms).
const defaultExpiration = 24 * 3600_000

// expiryOf returns after how many ms of silence the cluster's brokers forget
// a producer id, as read within the last minutes or, while a broker does not
// answer, before; 0 when it was never read, which makes nothing guarded.
func (s *site) expiryOf(ctx context.Context, broker int32) int64 {
	select {
	case s.expiry <- struct{}{}:
		defer func() { <-s.expiry }()
	case <-ctx.Done():
		return 0
	}
	if time.Since(s.expiryRead) < 5*time.Minute || time.Since(s.expiryBad) < 30*time.Second {
		return s.expiration
	}
	ms, err := s.readExpiry(ctx, broker)
	if err != nil {
		s.expiryBad = time.Now()
		s.r.log.Warn("reading broker configuration", "kafka", s.name, "err", err, "expirationMs", s.expiration)
		return s.expiration
	}
	s.expiration, s.expiryRead = ms, time.Now()
	return ms
}

// readExpiry asks a broker. Brokers before 3.5 know only the expiry of
// transactional ids.
func (s *site) readExpiry(ctx context.Context, broker int32) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := s.client(ctx)
	if err != nil {
		return 0, err
	}
	entries, err := c.BrokerConfigs(ctx, broker)
	if err != nil {
		return 0, err
	}
	found := int64(defaultExpiration)
	for _, name := range []string{"transactional.id.expiration.ms", "producer.id.expiration.ms"} {
		for _, e := range entries {
			if e.Name != name {
				continue
			}
			if v, err := strconv.ParseInt(e.Value, 10, 64); err == nil {
				found = v
			}
		}
	}
	return found, nil
}

func (s *site) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		l.close()
	}
	for _, o := range s.outlets {
		o.hangUp()
	}
}
