package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"sluice/gate"
	"sluice/pki"
)

// Transport is one node's port. Its methods may be used by any goroutine,
// before and while Run runs; dialling works without Run.
type Transport struct {
	cfg   Config
	net   Network
	tls   *session // nil: insecure
	log   *slog.Logger
	stats stats
	gate  *gate.Gate

	*troubles
	guards

	self atomic.Pointer[Identity]
	lost chan Identity

	mu        sync.Mutex
	closed    bool
	conns     map[*Conn]struct{}
	raw       map[net.Conn]struct{} // everything open, handshakes too
	listeners map[Kind]*Listener
}

// New checks the configuration and loads the certificates. It starts nothing.
func New(cfg Config, self Identity, log *slog.Logger) (*Transport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking peer configuration: %w", err)
	}
	if self.ServerID == "" {
		return nil, errors.New("a node needs a server id")
	}
	self.Advertise = cfg.Advertise
	t := &Transport{
		cfg: cfg, net: cfg.Network.withDefaults(cfg.DialFrom), log: log,
		lost: make(chan Identity, 64), conns: map[*Conn]struct{}{}, raw: map[net.Conn]struct{}{},
		listeners: map[Kind]*Listener{}, troubles: newTroubles(), gate: gate.New(cfg.Strangers),
		guards: guards{refused: make(chan *TwinError, 1)},
	}
	t.self.Store(&self)
	if !cfg.Insecure {
		store, err := pki.Open(cfg.TLS, self.Name, cfg.AdvertisedHost(), log)
		if err != nil {
			return nil, err
		}
		t.tls = &session{store}
	}
	return t, nil
}

// Self returns what this node says of itself.
func (t *Transport) Self() Identity { return *t.self.Load() }

// Certificates are those that this node shows and trusts at the peer port; nil:
// it has none.
func (t *Transport) Certificates() *pki.Store {
	if t.tls == nil {
		return nil
	}
	return t.tls.Store
}

// SetClusterID makes the node a member of that cluster in every later
// handshake. A node changes it once, from empty.
func (t *Transport) SetClusterID(id string) {
	self := t.Self()
	self.ClusterID = id
	t.self.Store(&self)
}

// PeerLost tells of connections that the other side closed or reset. It is a
// hint: the peer may have closed an idle one. Tells are dropped when nobody
// reads them.
func (t *Transport) PeerLost() <-chan Identity { return t.lost }

func (t *Transport) tellLost(peer Identity) {
	select {
	case t.lost <- peer:
	default:
	}
}

// trackRaw notes an open connection; false: the transport is closed.
func (t *Transport) trackRaw(nc net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.raw[nc] = struct{}{}
	return true
}

func (t *Transport) untrackRaw(nc net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.raw, nc)
}

func (t *Transport) track(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c] = struct{}{}
}

func (t *Transport) untrack(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
	delete(t.raw, rawOf(c.Conn))
}

// close closes everything. The raw connections are closed, not their TLS
// sessions: a farewell to a peer that hangs would take seconds.
func (t *Transport) close() {
	t.mu.Lock()
	t.closed = true
	var listeners []*Listener
	for _, l := range t.listeners {
		listeners = append(listeners, l)
	}
	var raw []net.Conn
	for nc := range t.raw {
		raw = append(raw, nc)
	}
	t.mu.Unlock()
	for _, nc := range raw {
		nc.Close()
	}
	for _, l := range listeners {
		l.Close()
	}
}

// Listen registers the one listener of a kind. Peers that ask for a kind
// without one are refused with ErrNotReady.
func (t *Transport) Listen(kind Kind) (*Listener, error) {
	l := &Listener{t: t, kind: kind, queue: make(chan *Conn, 16), done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	if t.listeners[kind] != nil {
		return nil, fmt.Errorf("listening for %s: already listening", kind)
	}
	t.listeners[kind] = l
	return l, nil
}

func (t *Transport) listener(kind Kind) *Listener {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.listeners[kind]
}

// removeListener forgets l and closes all connections of its kind.
func (t *Transport) removeListener(l *Listener) {
	t.mu.Lock()
	if t.listeners[l.kind] != l {
		t.mu.Unlock()
		return
	}
	delete(t.listeners, l.kind)
	close(l.done)
	var conns []*Conn
	for c := range t.conns {
		if c.kind == l.kind {
			conns = append(conns, c)
		}
	}
	t.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// Review closes what the guard would refuse by now.
func (t *Transport) Review() {
	t.mu.Lock()
	var open []*Conn
	for c := range t.conns {
		open = append(open, c)
	}
	t.mu.Unlock()
	for _, c := range open {
		if err := t.guard(c.meeting()); err != nil {
			t.log.Info("closing a connection", "peer", c.peer.Name, "from", c.peer.From, "kind", c.kind.String(), "error", err)
			c.Close()
		}
	}
}

// Conn is a connection after the handshake. It is tracked until it is closed.
type Conn struct {
	net.Conn
	t       *Transport
	kind    Kind
	peer    Peer
	inbound bool
	named   bool        // it was dialled by its ServerID
	closed  atomic.Bool // by this side
	lost    atomic.Bool // PeerLost was told
}

// Peer returns who is at the other side.
func (c *Conn) Peer() Peer { return c.peer }

func (c *Conn) meeting() Meeting { return Meeting{c.kind, c.peer, c.inbound, c.named} }

// Read reads; an end or a reset that this side did not cause is told to
// PeerLost once.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.t.stats.in(c.kind).Add(uint64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !c.closed.Load() && !c.lost.Swap(true) {
		c.t.tellLost(c.peer.Identity)
	}
	return n, err
}

// Write writes.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.t.stats.out(c.kind).Add(uint64(n))
	return n, err
}

// Close closes the connection and forgets it. It may be called often.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.t.untrack(c)
	return c.Conn.Close()
}

// addr is a net.Addr for an address that others dial.
type addr string

func (addr) Network() string { return "tcp" }

func (a addr) String() string { return string(a) }

// Listener hands out the inbound connections of one kind. Closing it closes
// every connection of that kind, in both directions: a library that forgets
// its connections forgets them here.
type Listener struct {
	t     *Transport
	kind  Kind
	queue chan *Conn
	done  chan struct{}
}

// Accept waits for the next connection; ErrClosed (net.ErrClosed too) ends it.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, errors.Join(ErrClosed, net.ErrClosed)
	}
}

// Addr returns the address that other nodes dial.
func (l *Listener) Addr() net.Addr { return addr(l.t.cfg.Advertise) }

// Close stops Accept and closes the kind's connections.
func (l *Listener) Close() error {
	l.t.removeListener(l)
	return nil
}

// rawOf returns the socket below a TLS session.
func rawOf(nc net.Conn) net.Conn {
	if s, ok := nc.(*tls.Conn); ok {
		return s.NetConn()
	}
	return nc
}
