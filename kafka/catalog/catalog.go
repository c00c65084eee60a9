// Package catalog is what a node knows of Kafka clusters from asking them: one
// coalesced, cached look per cluster that all its streams, links and checks
// share, and bounded ways to call and dial brokers.
//
// It knows topics, partitions, leaders, offsets and brokers' settings, and
// nothing of what they are asked for.
package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"sluice/fsm"
	"sluice/kafka"
)

// Catalog is the Kafka clusters of a node, by name.
type Catalog struct {
	cfg  Config
	pool *kafka.Pool
	view func() *fsm.View
	log  *slog.Logger

	ctx    context.Context // of the lookups, ends with Close
	cancel context.CancelFunc

	lookups lookups

	mu       sync.Mutex
	clusters map[string]*Cluster
	aparts   int // that were made
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
		k = c.newCluster(c.ctx, name, func(ctx context.Context) (*kafka.Client, error) {
			spec := c.view().KafkaCluster(name)
			if spec == nil {
				return nil, fmt.Errorf("no Kafka cluster %s", name)
			}
			return c.pool.Client(ctx, *spec)
		})
		c.clusters[name] = k
	}
	return k
}

// Apart returns a Kafka cluster as spec says, whatever the facts say of one of
// that name, with a client of its own; end ends that, and all questions.
func (c *Catalog) Apart(spec fsm.KafkaCluster) (k *Cluster, end func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	c.aparts++
	name, alias := spec.Name, fmt.Sprintf("%s, look %d", spec.Name, c.aparts)
	c.mu.Unlock()
	spec.Name = alias
	k = c.newCluster(ctx, name, func(ctx context.Context) (*kafka.Client, error) { return c.pool.Client(ctx, spec) })
	return k, func() {
		cancel()
		c.pool.Forget(alias)
	}
}

func (c *Catalog) newCluster(ctx context.Context, name string, reach func(context.Context) (*kafka.Client, error)) *Cluster {
	return newCluster(access{ctx: ctx, name: name, reach: reach, cfg: c.cfg, lookups: &c.lookups, log: c.log})
}

// Close ends all lookups and waits for them. Who waits for one gets an error.
func (c *Catalog) Close() {
	c.lookups.close(c.cancel)
}
