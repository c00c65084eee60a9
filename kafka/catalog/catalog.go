// Package catalog is what a node knows of Kafka clusters from asking them: one
// coalesced, cached look per cluster that all its streams, links and checks
// share, and bounded ways to call and dial brokers.
//
// It knows topics, partitions, leaders and brokers' settings, and nothing of
// what they are asked for.
package catalog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka"
)

// Config of a Catalog.
type Config struct {
	LookupEvery time.Duration // how often the topics in use are looked up
	Calls       int64         // one-shot calls under way to a broker, at most
	Dials       int64         // connections being made to a broker, at most
}

// DefaultConfig suits most clusters.
func DefaultConfig() Config {
	return Config{LookupEvery: 5 * time.Second, Calls: 32, Dials: 4}
}

// Catalog is the Kafka clusters of a node, by name.
type Catalog struct {
	cfg  Config
	pool *kafka.Pool
	view func() *fsm.View
	log  *slog.Logger

	ctx    context.Context // of the lookups, ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	clusters map[string]*Cluster
}

// New returns a Catalog that has asked nothing yet. view gives the facts that
// say how a named Kafka cluster is reached.
func New(cfg Config, pool *kafka.Pool, view func() *fsm.View, log *slog.Logger) *Catalog {
	ctx, cancel := context.WithCancel(context.Background())
	return &Catalog{cfg: cfg, pool: pool, view: view, log: log, ctx: ctx, cancel: cancel, clusters: map[string]*Cluster{}}
}

// Cluster returns the Kafka cluster of a name.
func (c *Catalog) Cluster(name string) *Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.clusters[name]
	if k == nil {
		k = newCluster(c, name)
		c.clusters[name] = k
	}
	return k
}

// Close ends all lookups and waits for them.
func (c *Catalog) Close() {
	c.cancel()
	c.wg.Wait()
}
