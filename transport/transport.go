package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Transport is one node's port. Its methods may be used by any goroutine,
// before and while Run runs; dialling works without Run.
type Transport struct {
	cfg   Config
	net   Network
	tls   *certStore // nil: insecure
	log   *slog.Logger
	stats stats

	self atomic.Pointer[Identity]
	lost chan Identity

	mu        sync.Mutex
	closed    bool
	conns     map[*Conn]struct{}
	raw       map[net.Conn]struct{} // everything open, handshakes too
	listeners map[Kind]*Listener
	warned    map[string]time.Time // refusal -> when it was last logged
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
		listeners: map[Kind]*Listener{}, warned: map[string]time.Time{},
	}
	t.self.Store(&self)
	if !cfg.Insecure {
		store, err := newCertStore(cfg.TLS, log)
		if err != nil {
			return nil, err
		}
		t.tls = store
	}
	return t, nil
}

// Self returns what this node says of itself.
func (t *Transport) Self() Identity { return *t.self.Load() }

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

// Run listens until ctx ends, then closes every connection and waits for the
// goroutines that it started.
func (t *Transport) Run(ctx context.Context) error {
	ln, err := t.net.Listen(ctx, "tcp", t.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening for nodes on %s: %w", t.cfg.Listen, err)
	}
	defer t.close()
	t.log.Info("listening for nodes", "address", t.cfg.Listen, "advertise", t.cfg.Advertise, "tls", t.tls != nil)
	var group errgroup.Group
	stop := context.AfterFunc(ctx, func() { ln.Close(); t.close() })
	defer stop()
	group.Go(func() error { return t.acceptLoop(ctx, ln, &group) })
	return group.Wait()
}

// acceptLoop starts one handshake per connection. Errors of accept other than
// the end (out of file descriptors) are waited out.
func (t *Transport) acceptLoop(ctx context.Context, ln net.Listener, group *errgroup.Group) error {
	slots := make(chan struct{}, t.cfg.MaxHandshakes)
	for {
		nc, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return nil
		}
		if err != nil {
			t.log.Warn("accepting a node's connection", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			t.stats.refused("too-many").Add(1)
			nc.Close()
			continue
		}
		group.Go(func() error {
			defer func() { <-slots }()
			t.serve(nc)
			return nil
		})
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
