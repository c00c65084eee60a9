package stream

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/replication/wire"
	"sluice/task"
)

// Config of a Runner.
type Config struct {
	wire.Config
	Node        string        // this node's ServerID
	Name        string        // and its name, for events
	Memory      int64         // bytes of batches held
	LookupEvery time.Duration // how often an idle stream looks around
	StandStill  time.Duration // how long a target must stand still before an owner that lost a race and can ask nobody goes on
}

// DefaultConfig returns the defaults of profile lan.
func DefaultConfig() Config {
	return Config{Config: wire.DefaultConfig(), Memory: 256 << 20, LookupEvery: 5 * time.Second, StandStill: 30 * time.Second}
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	if c.Memory < 16<<20 {
		return fmt.Errorf("memory: %d bytes; at least 16 MiB are needed", c.Memory)
	}
	return nil
}

// shared is what the streams of a node share.
type shared struct {
	cfg     Config
	catalog *catalog.Catalog
	ctl     task.Control
	log     *slog.Logger
	conns   *wire.Conns
	fresh   *freshConns

	counts *counts // of links and topics

	limitsMu sync.Mutex
	limits   map[fsm.LinkID]*wire.Limiter
}

// limiter returns the limiter of a link.
func (r *shared) limiter(id fsm.LinkID) *wire.Limiter {
	r.limitsMu.Lock()
	defer r.limitsMu.Unlock()
	l := r.limits[id]
	if l == nil {
		var last *fsm.View
		var now float64
		l = wire.NewLimiter(func() float64 {
			if v := r.ctl.View(); v != last {
				last, now = v, share(v, id, r.cfg.Node)
			}
			return now
		})
		r.limits[id] = l
	}
	return l
}

// share is the node's part of a link's limit in bytes/s, by the streams that
// it owns of all the link's, and at least that of one; 0: no limit.
func share(v *fsm.View, id fsm.LinkID, node string) float64 {
	link := v.Link(id)
	if link == nil || link.Spec.Limit <= 0 {
		return 0
	}
	ours, all := 0, 0
	for t := range v.Tasks {
		if t.Link != id || t.Kind != fsm.KindCopy {
			continue
		}
		all++
		if t.Owner == node {
			ours++
		}
	}
	return float64(link.Spec.Limit) * float64(max(ours, 1)) / float64(max(all, 1))
}

// nowMs is the wall clock; spans of time are measured by time.Now.
func (r *shared) nowMs() int64 { return r.cfg.Now().UnixMilli() }
