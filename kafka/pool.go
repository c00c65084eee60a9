package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/fsm"
)

// Pool holds one Client per Kafka cluster name.
type Pool struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	closed   bool
	clients  map[string]*Client
	counters map[string]*counters // by cluster name; outlive the Clients
	open     sync.WaitGroup       // Conns
	logged   map[string]bool      // uses of secrets that were logged
}

// NewPool returns an empty Pool. It connects nowhere.
func NewPool(cfg Config, log *slog.Logger) (*Pool, error) {
	if err := errors.Join(cfg.Validate(), cfg.Secrets.Validate()); err != nil {
		return nil, err
	}
	if cfg.DialContext == nil {
		cfg.DialContext = new(net.Dialer).DialContext
	}
	if cfg.Buffers == nil {
		cfg.Buffers = NewBuffers(defaultIdle)
	}
	return &Pool{cfg: cfg, log: log, clients: map[string]*Client{}, counters: map[string]*counters{}, logged: map[string]bool{}}, nil
}

// Client returns the shared Client of spec.Name. Where spec differs from what
// it was made with, the old Client is closed with all its Conns and a new one
// is made; a cluster id pinned since is no difference. It connects nowhere.
// Errors: a secret that cannot be read, a SASL mechanism that does not exist,
// ErrClosed.
func (p *Pool) Client(_ context.Context, spec fsm.KafkaCluster) (*Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("kafka pool: %w", ErrClosed)
	}
	old := p.clients[spec.Name]
	if old != nil && old.adopt(spec) {
		return old, nil
	}
	if p.counters[spec.Name] == nil {
		p.counters[spec.Name] = new(counters)
	}
	c, err := newClient(p.cfg, spec, p.counters[spec.Name], &p.open, p.log)
	p.audit(&spec, err)
	if err != nil {
		return nil, fmt.Errorf("making client of Kafka cluster %s: %w", spec.Name, err)
	}
	p.clients[spec.Name] = c
	if old != nil {
		p.log.Info("Kafka cluster changed, reconnecting", "cluster", spec.Name)
		go old.close()
	}
	return c, nil
}

// audit logs each use of a reference once: who reads the log sees which secret
// goes to which addresses, and which were refused. Called with mu held.
func (p *Pool) audit(spec *fsm.KafkaCluster, err error) {
	if len(p.logged) > 10_000 {
		clear(p.logged)
	}
	refused, _ := errors.AsType[*SecretError](err)
	for _, r := range spec.References() {
		ref := r.Text
		not := refused != nil && refused.Reference == ref && refused.Refused
		key := fmt.Sprint(not, ref, spec.Bootstrap)
		if p.logged[key] || err != nil && !not {
			continue
		}
		p.logged[key] = true
		if not {
			p.log.Warn("a secret is refused: this node does not read it from there (secrets in node.yaml)", "kafka", spec.Name, "reference", ref, "bootstrap", spec.Bootstrap)
		} else {
			p.log.Info("a secret is used", "kafka", spec.Name, "reference", ref, "bootstrap", spec.Bootstrap)
		}
	}
}

// Forget closes the Client of a Kafka cluster that is no more.
func (p *Pool) Forget(name string) {
	p.mu.Lock()
	old := p.clients[name]
	delete(p.clients, name)
	delete(p.counters, name)
	p.mu.Unlock()
	if old != nil {
		old.close()
	}
}

// Close closes all Clients and Conns and waits until their callbacks have
// run. It must not be called in a callback.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	clients := p.clients
	p.clients = nil
	p.mu.Unlock()
	for _, c := range clients {
		c.close()
	}
	p.open.Wait()
}

// Collector exports the traffic of Conns per Kafka cluster.
func (p *Pool) Collector() prometheus.Collector { return poolCollector{p} }

// poolCollector reads a Pool's counters when it is scraped.
type poolCollector struct{ pool *Pool }

// Describe implements prometheus.Collector.
func (poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range clusterMetrics() {
		ch <- m.desc()
	}
	ch <- idleDesc()
}

// Collect sends one sample per metric and Kafka cluster.
func (c poolCollector) Collect(out chan<- prometheus.Metric) {
	clusters := c.pool.allCounters()
	for _, m := range clusterMetrics() {
		desc := m.desc()
		for name, n := range clusters {
			out <- prometheus.MustNewConstMetric(desc, m.kind, m.value(n), name)
		}
	}
	out <- prometheus.MustNewConstMetric(idleDesc(), prometheus.GaugeValue, float64(c.pool.cfg.Buffers.Idle()))
}

// allCounters returns a copy of the map of counters.
func (p *Pool) allCounters() map[string]*counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]*counters, len(p.counters))
	maps.Copy(out, p.counters)
	return out
}
