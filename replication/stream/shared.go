package stream

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/replication/filter"
	"sluice/replication/wire"
	"sluice/task"
)

// Config of a Runner.
type Config struct {
	wire.Config
	Node        string                                    // this node's ServerID
	Name        string                                    // and its name, for events
	Memory      int64                                     // bytes of batches held
	LookupEvery time.Duration                             // how often an idle stream looks around
	Filter      func(*fsm.Filter) (*filter.Filter, error) // compiles links' filters on this node
	StandStill  time.Duration                             // how long a target must stand still before an owner that lost a race and can ask nobody goes on
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

// Draws is how nodes tell each other what they fetch of links that have a
// limit.
type Draws interface {
	// Drew tells the others what this node draws.
	Drew(task.Draws)
	// DrawsOf is what nodes draw of a link, this one among them; who was not heard
	// lately is missing.
	DrawsOf(fsm.LinkID) map[string]task.Draw
}

// shared is what the streams of a node share.
type shared struct {
	cfg     Config
	catalog *catalog.Catalog
	ctl     task.Control
	draws   Draws
	log     *slog.Logger
	conns   *wire.Conns
	fresh   *freshConns
	fillers *fillers
	filters *filters

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
		var now dividing
		l = wire.NewLimiter(func() float64 {
			if v := r.ctl.View(); v != last {
				last, now = v, ownersOf(v, id)
			}
			if now.limit == 0 {
				return 0
			}
			return now.share(r.cfg.Node, r.draws.DrawsOf(id))
		})
		r.limits[id] = l
	}
	return l
}

// tellDraws tells the other nodes what this one fetches of links with a limit.
func (r *shared) tellDraws(now time.Time) {
	r.limitsMu.Lock()
	defer r.limitsMu.Unlock()
	draws := task.Draws{}
	for id, l := range r.limits {
		if d, ok := l.Draw(now); ok {
			draws[id] = d
		}
	}
	r.draws.Drew(draws)
}

// nowMs is the wall clock; spans of time are measured by time.Now.
func (r *shared) nowMs() int64 { return r.cfg.Now().UnixMilli() }
