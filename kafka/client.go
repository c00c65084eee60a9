package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
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
	pool  *Pool
	kgo   *kgo.Client
	dial  dialFunc // TLS included
	mech  sasl.Mechanism
	total *counters

	mu       sync.Mutex
	spec     fsm.KafkaCluster
	seen     string // cluster id of the first answer; counts while none is pinned
	closed   bool
	brokers  map[int32]BrokerInfo // of the last Metadata
	versions apiVersions          // of the cluster's least broker; nil: not asked
	conns    map[*Conn]struct{}
}

func newClient(p *Pool, spec fsm.KafkaCluster, total *counters) (*Client, error) {
	if _, err := tlsConfig(spec.TLS); err != nil {
		return nil, err // each connection reads it anew; here it is found early
	}
	mech, err := mechanism(spec.SASL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		pool: p, spec: spec, mech: mech, total: total,
		dial:  secured(p.cfg.DialContext, spec.TLS),
		conns: map[*Conn]struct{}{},
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(spec.Bootstrap...),
		kgo.ClientID(p.cfg.ClientID),
		kgo.Dialer(c.dialWithin),
		kgo.RequestTimeoutOverhead(p.cfg.RequestTimeout),
		kgo.RetryTimeout(p.cfg.RequestTimeout),
		kgo.DisableClientMetrics(),
		kgo.WithLogger(kgoLogger{p.log.With("cluster", spec.Name)}),
	}
	if mech != nil {
		opts = append(opts, kgo.SASL(mech))
	}
	if c.kgo, err = kgo.NewClient(opts...); err != nil {
		return nil, err
	}
	return c, nil
}

// dialWithin opens a connection within the dial timeout, for kgo.
func (c *Client) dialWithin(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.pool.cfg.DialTimeout)
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

// Check asks for the Kafka cluster's id and returns it; ErrClusterIDMismatch,
// with the id, when another one is pinned.
func (c *Client) Check(ctx context.Context) (clusterID string, err error) {
	m, err := c.Metadata(ctx)
	return m.ClusterID, err
}

// Supports reports whether every broker that answers speaks version of the
// API key. It asks the brokers once per Client.
func (c *Client) Supports(ctx context.Context, key, version int16) (bool, error) {
	c.mu.Lock()
	versions := c.versions
	c.mu.Unlock()
	if versions == nil {
		var err error
		if versions, err = c.askVersions(ctx); err != nil {
			return false, fmt.Errorf("asking for API versions: %w", err)
		}
		c.mu.Lock()
		c.versions = versions
		c.mu.Unlock()
	}
	return versions.supports(key, version), nil
}

// askVersions returns what all brokers that answer speak.
func (c *Client) askVersions(ctx context.Context) (apiVersions, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	var versions apiVersions
	var errs []error
	for _, b := range m.Brokers {
		speaks, err := c.brokerVersions(ctx, b.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", b.ID, err))
			continue
		}
		versions = versions.and(speaks)
	}
	if versions == nil {
		return nil, errors.Join(errs...)
	}
	return versions, nil
}

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

// Dial opens a connection of the caller's own to a broker: TCP, TLS, API
// versions, SASL, cluster id. The broker's address is what the last Metadata told, and is
// asked for anew when there is none or it failed last time. Errors:
// ErrUnknownBroker, ErrClusterIDMismatch, ErrClosed, *kerr.Error of a refused
// login, the network's.
func (c *Client) Dial(ctx context.Context, broker int32) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.pool.cfg.DialTimeout)
	defer cancel()
	info, err := c.broker(ctx, broker)
	if err != nil {
		return nil, fmt.Errorf("dialling broker %d: %w", broker, err)
	}
	addr := net.JoinHostPort(info.Host, strconv.Itoa(int(info.Port)))
	nc, err := c.dial(ctx, "tcp", addr)
	if err != nil {
		c.forgetBroker(broker)
		return nil, fmt.Errorf("dialling broker %d: %w", broker, err)
	}
	login := newLogin(c.mech, info.Host)
	versions, lifetime, err := shake(ctx, nc, c.pool.cfg.ClientID, login, c.checkCluster)
	if err != nil {
		nc.Close()
		c.forgetBroker(broker)
		return nil, fmt.Errorf("dialling broker %d: %w", broker, err)
	}
	return c.adoptConn(nc, connConfig{
		broker: broker, versions: versions, clientID: c.pool.cfg.ClientID, login: login, loginHolds: lifetime,
		requestTimeout: c.pool.cfg.RequestTimeout, maxResponse: c.pool.cfg.MaxResponse,
		buffers: c.pool.cfg.Buffers, total: c.total, onDone: c.dropConn,
	})
}

// checkCluster asks on a new connection which Kafka cluster answers there:
// behind an address may be another one since the last look, and what is sent
// to it would be lost.
func (c *Client) checkCluster(ask askFunc) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // not nil: no topics
	resp, err := ask(req)
	if err != nil {
		return fmt.Errorf("asking for the cluster id: %w", err)
	}
	id := resp.(*kmsg.MetadataResponse).ClusterID
	if id == nil {
		return fmt.Errorf("asking for the cluster id: %w: none told", ErrProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identify(*id)
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

// adoptConn starts a Conn that close will find.
func (c *Client) adoptConn(nc net.Conn, cfg connConfig) (*Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		nc.Close()
		return nil, fmt.Errorf("dialling broker %d: %w", cfg.broker, ErrClosed)
	}
	conn := newConn(nc, cfg)
	c.conns[conn] = struct{}{}
	c.pool.open.Add(1)
	return conn, nil
}

func (c *Client) dropConn(conn *Conn) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	c.pool.open.Done()
}

// broker returns where a broker is, asking when it is not known.
func (c *Client) broker(ctx context.Context, id int32) (BrokerInfo, error) {
	for range 2 {
		c.mu.Lock()
		info, ok := c.brokers[id]
		c.mu.Unlock()
		if ok {
			return info, nil
		}
		if _, err := c.Metadata(ctx); err != nil {
			return BrokerInfo{}, err
		}
	}
	return BrokerInfo{}, fmt.Errorf("%w: %d", ErrUnknownBroker, id)
}

func (c *Client) forgetBroker(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.brokers, id)
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
