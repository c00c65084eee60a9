package catalog

import (
	"context"
	"strconv"
	"time"

	"sluice/kafka"
)

// expiry is how long brokers remember an idle producer.
type expiry struct {
	access
	busy chan struct{} // full while it is read: all others wait for the answer
	ms   int64         // 0: never read
	read time.Time
	bad  time.Time // when reading it failed last
}

func newExpiry(a access) *expiry { return &expiry{access: a, busy: make(chan struct{}, 1)} }

const (
	expiryHolds   = 5 * time.Minute
	expiryAgain   = 30 * time.Second
	expiryTimeout = 2 * time.Second

	// defaultExpiry is Kafka's producer.id.expiration.ms.
	defaultExpiry = 24 * 3600_000
)

// get is Cluster.ProducerExpiry.
func (e *expiry) get(ctx context.Context, id int32) int64 {
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return 0
	}
	if time.Since(e.read) < expiryHolds || time.Since(e.bad) < expiryAgain {
		return e.ms
	}
	ms, err := e.readFrom(ctx, id)
	switch {
	case err == nil:
		e.ms, e.read = ms, time.Now()
	case ctx.Err() == nil: // else the caller ended it
		e.bad = time.Now()
		e.log.Warn("how long a broker remembers producers cannot be read: the last known value holds, 0: none, as if it forgot them at once", "kafka", e.name, "broker", id, "error", kafka.Explained(err), "expirationMs", e.ms)
	}
	return e.ms
}

// readFrom asks a broker. Brokers before 3.5 know only the expiry of
// transactional ids.
func (e *expiry) readFrom(ctx context.Context, id int32) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, expiryTimeout)
	defer cancel()
	c, err := e.reach(ctx)
	if err != nil {
		return 0, err
	}
	entries, err := c.BrokerConfigs(ctx, id)
	if err != nil {
		return 0, err
	}
	found := int64(defaultExpiry)
	for _, name := range []string{"transactional.id.expiration.ms", "producer.id.expiration.ms"} {
		for _, entry := range entries {
			if v, err := strconv.ParseInt(entry.Value, 10, 64); entry.Name == name && err == nil {
				found = v
			}
		}
	}
	return found, nil
}
