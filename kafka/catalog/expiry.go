package catalog

import (
	"context"
	"strconv"
	"time"
)

// expiry is how long brokers remember an idle producer.
type expiry struct {
	busy chan struct{} // full while it is read: all others wait for the answer
	ms   int64         // 0: never read
	read time.Time
	bad  time.Time // when reading it failed last
}

func newExpiry() expiry { return expiry{busy: make(chan struct{}, 1)} }

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
	switch {
	case err == nil:
		e.ms, e.read = ms, time.Now()
	case ctx.Err() == nil: // else the caller ended it
		e.bad = time.Now()
		k.catalog.log.Warn("reading broker configuration", "kafka", k.name, "err", err, "expirationMs", e.ms)
	}
	return e.ms
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
