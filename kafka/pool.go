package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/fsm"
)

// Config of a Pool.
type Config struct {
	ClientID       string        // in every request's header; brokers log it and set quotas by it
	DialTimeout    time.Duration // of TCP, TLS, API versions and SASL together
	RequestTimeout time.Duration // silence beyond what the oldest request may take by itself
	MaxResponse    int           // bytes; a larger response ends a Conn
	// DialContext opens TCP connections, those of kgo too; nil means net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Buffers are what fetch responses are read into; nil means buffers of the
	// Pool's own, without a budget.
	Buffers *Buffers
}

// DefaultConfig returns a Config that suits most networks.
func DefaultConfig() Config {
	return Config{
		ClientID:       "sluice",
		DialTimeout:    10 * time.Second,
		RequestTimeout: 30 * time.Second,
		MaxResponse:    256 << 20,
	}
}

// defaultIdle is what Buffers of the Pool's own keep unused, in bytes.
const defaultIdle = 32 << 20

// Validate names everything that is wrong with the Config.
func (c Config) Validate() error {
	var errs []error
	if c.ClientID == "" || len(c.ClientID) > 255 {
		errs = append(errs, errors.New("kafka: client id must have 1 to 255 bytes"))
	}
	if c.DialTimeout <= 0 || c.RequestTimeout <= 0 {
		errs = append(errs, errors.New("kafka: timeouts must be positive"))
	}
	if c.MaxResponse < 1<<20 || c.MaxResponse > 1<<30 {
		errs = append(errs, errors.New("kafka: largest response must be 1 MiB to 1 GiB"))
	}
	return errors.Join(errs...)
}

// Pool holds one Client per Kafka cluster name.
type Pool struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	closed   bool
	clients  map[string]*Client
	counters map[string]*counters // by cluster name; outlive the Clients
	open     sync.WaitGroup       // Conns
}

// NewPool returns an empty Pool. It connects nowhere.
func NewPool(cfg Config, log *slog.Logger) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.DialContext == nil {
		cfg.DialContext = new(net.Dialer).DialContext
	}
	if cfg.Buffers == nil {
		cfg.Buffers = NewBuffers(nil, defaultIdle)
	}
	return &Pool{cfg: cfg, log: log, clients: map[string]*Client{}, counters: map[string]*counters{}}, nil
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
	c, err := newClient(p, spec, p.counters[spec.Name])
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

// allCounters returns a copy of the map of counters.
func (p *Pool) allCounters() map[string]*counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]*counters, len(p.counters))
	for name, n := range p.counters {
		out[name] = n
	}
	return out
}

// sameAccess reports whether two objects reach the same brokers in the same
// way: all fields equal but the datacenter and a cluster id pinned since.
func sameAccess(a, b fsm.KafkaCluster) bool {
	if a.ClusterID != "" && a.ClusterID != b.ClusterID {
		return false
	}
	a.ClusterID, b.ClusterID = "", ""
	a.Datacenter, b.Datacenter = "", ""
	return reflect.DeepEqual(a, b)
}
