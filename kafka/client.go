package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"sluice/fsm"
)

// Client reaches one Kafka cluster: metadata and administration over kgo, and
// Conns of our own. Get it anew from the Pool rather than keep it for long:
// after a change of its object every call fails.
type Client struct {
	cfg   Config
	kgo   *kgo.Client
	dial  dialFunc // TLS included
	mech  sasl.Mechanism
	total *counters
	open  *sync.WaitGroup // the pool's: a Conn adds to it
	seeds *seeds

	mu       sync.Mutex
	spec     fsm.KafkaCluster
	seen     string // cluster id of the first answer; counts while none is pinned
	closed   bool
	brokers  brokers     // of the last Metadata
	told     bool        // kgo knows these
	versions apiVersions // of the cluster's least broker; nil: not asked
	conns    map[*Conn]struct{}
}

// newClient makes a Client that connects nowhere yet.
func newClient(cfg Config, spec fsm.KafkaCluster, total *counters, open *sync.WaitGroup, log *slog.Logger) (*Client, error) {
	if _, err := cfg.Secrets.tlsConfig(spec.TLS); err != nil {
		return nil, err // each connection reads it anew; here it is found early
	}
	if err := cfg.Secrets.readable(&spec); err != nil {
		return nil, err
	}
	mech, err := cfg.Secrets.mechanism(spec.SASL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, spec: spec, mech: mech, total: total, open: open,
		dial:  cfg.Secrets.secured(cfg.DialContext, &spec),
		conns: map[*Conn]struct{}{},
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(spec.Bootstrap...),
		kgo.ClientID(cfg.ClientID),
		kgo.Dialer(c.dialWithin),
		kgo.RequestTimeoutOverhead(cfg.RequestTimeout),
		kgo.RetryTimeout(cfg.RequestTimeout),
		kgo.DisableClientMetrics(),
		kgo.WithLogger(kgoLogger{log.With("cluster", spec.Name)}),
	}
	if mech != nil {
		opts = append(opts, kgo.SASL(mech))
	}
	if c.kgo, err = kgo.NewClient(opts...); err != nil {
		return nil, err
	}
	c.seeds = &seeds{addrs: spec.Bootstrap, clientID: cfg.ClientID, dial: c.dial, mech: mech, kgo: c.kgo, open: open, told: slices.Sorted(slices.Values(spec.Bootstrap))}
	c.seeds.ctx, c.seeds.end = context.WithCancel(context.Background())
	return c, nil
}

// dialWithin opens a connection within the dial timeout, for kgo.
func (c *Client) dialWithin(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	return c.dial(ctx, network, addr)
}

// adopt takes spec over if it reaches the same brokers in the same way.
func (c *Client) adopt(spec fsm.KafkaCluster) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !sameAccess(c.spec, spec) {
		return false
	}
	c.spec = spec
	return true
}

// Spec returns the object that the Client was made from.
func (c *Client) Spec() fsm.KafkaCluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spec
}

// Kgo returns the client beneath, for what this package does not offer.
func (c *Client) Kgo() *kgo.Client { return c.kgo }

func (c *Client) brokerVersions(ctx context.Context, broker int32) (apiVersions, error) {
	req := newVersionsRequest()
	resp, err := req.RequestWith(ctx, c.kgo.Broker(int(broker)))
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	return newAPIVersions(resp), nil
}

// identify holds the id of a Kafka cluster that answered against the pinned
// one, or that of the first answer. Called with mu held.
func (c *Client) identify(id string) error {
	want := c.spec.ClusterID
	if want == "" {
		if c.seen == "" {
			c.seen = id
		}
		want = c.seen
	}
	if id != want {
		return fmt.Errorf("%w: %q instead of %q", ErrClusterIDMismatch, id, want)
	}
	return nil
}

// close ends the Client and its Conns without waiting for their callbacks.
func (c *Client) close() {
	c.mu.Lock()
	c.closed = true
	conns := make([]*Conn, 0, len(c.conns))
	for conn := range c.conns {
		conns = append(conns, conn)
	}
	c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
	c.seeds.close()
	c.kgo.Close()
}

// Broker returns the one-shot calls to a broker over the Client's shared
// connections.
func (c *Client) Broker(id int32) Broker { return Broker{kgoBroker{c, id}} }

// bound keeps to the context of a request. kgo looks at it between its own
// steps only: requests wait behind a connection that is being made to a broker
// which accepts it and never answers.
type bound struct{ Requester }

// Request implements Requester.
func (b bound) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	type answer struct {
		resp kmsg.Response
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		resp, err := b.Requester.Request(ctx, req)
		got <- answer{resp, err}
	}()
	select {
	case a := <-got:
		return a.resp, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), ctx.Err())
	}
}

// kgoBroker asks a broker over kgo's connections, a second time at once when
// the connection turned out to be dead (brokers close idle ones).
type kgoBroker struct {
	c  *Client
	id int32
}

func (k kgoBroker) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	b := bound{k.c.kgo.Broker(int(k.id))}
	resp, err := b.Request(ctx, req)
	if err != nil && ctx.Err() == nil && kgo.IsRetryableBrokerErr(err) {
		k.c.mu.Lock()
		k.c.told = false // perhaps kgo was told of another address since
		k.c.mu.Unlock()
		resp, err = b.Request(ctx, req)
	}
	if err != nil && ctx.Err() == nil && !ofNetwork(err) {
		err = k.explain(ctx, req, err)
	}
	return resp, err
}

// explain finds out whether err came from the broker knowing the request in no
// version that we speak, of which kgo exports no error: it is ErrUnsupported
// too then.
func (k kgoBroker) explain(ctx context.Context, req kmsg.Request, err error) error {
	versions, unknown := k.c.brokerVersions(ctx, k.id)
	if unknown != nil {
		return err
	}
	if _, lacks := versions.best(req.Key(), 0, req.MaxVersion()); lacks != nil {
		return fmt.Errorf("%w: %w", lacks, err)
	}
	return err
}

// ofNetwork reports whether an error is one of a connection.
func ofNetwork(err error) bool {
	var network net.Error
	return kgo.IsRetryableBrokerErr(err) || errors.As(err, &network)
}

// Request issues a request over kgo, which chooses the broker and retries.
func (c *Client) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return bound{c.kgo}.Request(ctx, req)
}

// BrokerInfo says where a broker is.
type BrokerInfo struct {
	ID   int32
	Host string
	Port int32
	Rack string // empty: none
}

// brokers are those that an answer named, by id.
type brokers map[int32]BrokerInfo

// are reports whether they are these.
func (b brokers) are(these []BrokerInfo) bool {
	return len(b) == len(these) && !slices.ContainsFunc(these, func(one BrokerInfo) bool { return b[one.ID] != one })
}

// sameAccess reports whether two objects reach the same brokers in the same
// way: all fields equal but the datacenter, the revision and a cluster id pinned
// since.
func sameAccess(a, b fsm.KafkaCluster) bool {
	if a.ClusterID != "" && a.ClusterID != b.ClusterID {
		return false
	}
	a.ClusterID, b.ClusterID = "", ""
	a.Datacenter, b.Datacenter = "", ""
	a.Revision, b.Revision = 0, 0
	return reflect.DeepEqual(a, b)
}
