package vnet

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Network is a set of hosts and the wires between each ordered pair.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // address
	wires     map[[2]string]*wire  // from, to
	conns     map[*conn]struct{}
	nextPort  int
}

// New returns a network without delay or cuts.
func New() *Network {
	return &Network{
		listeners: map[string]*listener{}, wires: map[[2]string]*wire{},
		conns: map[*conn]struct{}{}, nextPort: 40000,
	}
}

// wire is one direction between two hosts. Fields are guarded by Network.mu;
// changed is closed and replaced at every change.
type wire struct {
	delay   time.Duration
	cut     bool
	changed chan struct{}
}

// wire returns the wire from -> to. The caller holds mu.
func (n *Network) wire(from, to string) *wire {
	key := [2]string{from, to}
	if n.wires[key] == nil {
		n.wires[key] = &wire{changed: make(chan struct{})}
	}
	return n.wires[key]
}

func (n *Network) change(from, to string, fn func(*wire)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.wire(from, to)
	fn(w)
	close(w.changed)
	w.changed = make(chan struct{})
}

// Delay makes every byte from one host to the other take d (one way).
func (n *Network) Delay(from, to string, d time.Duration) {
	n.change(from, to, func(w *wire) { w.delay = d })
}

// Cut holds everything from one host to the other; nothing is closed.
func (n *Network) Cut(from, to string) { n.change(from, to, func(w *wire) { w.cut = true }) }

// CutBoth cuts both directions.
func (n *Network) CutBoth(a, b string) {
	n.Cut(a, b)
	n.Cut(b, a)
}

// Heal ends a cut; what was held is delivered.
func (n *Network) Heal(from, to string) { n.change(from, to, func(w *wire) { w.cut = false }) }

// HealBoth ends the cuts of both directions.
func (n *Network) HealBoth(a, b string) {
	n.Heal(a, b)
	n.Heal(b, a)
}

// Reset ends every connection between two hosts with an error on both sides.
func (n *Network) Reset(a, b string) {
	for _, c := range n.between(func(c *conn) bool {
		return (c.local.host == a && c.remote.host == b) || (c.local.host == b && c.remote.host == a)
	}) {
		c.abort(syscall.ECONNRESET)
	}
}

// Kill ends everything of a host at once, as the end of its process does:
// listeners are gone, peers see resets, except over a cut wire: they wait.
func (n *Network) Kill(host string) {
	for _, c := range n.between(func(c *conn) bool {
		return c.local.host == host || (c.remote.host == host && !n.wire(host, c.local.host).cut)
	}) {
		c.abort(syscall.ECONNRESET)
	}
	n.mu.Lock()
	var dead []*listener
	for _, l := range n.listeners {
		if l.at.host == host {
			dead = append(dead, l)
		}
	}
	n.mu.Unlock()
	for _, l := range dead {
		l.Close()
	}
}

func (n *Network) between(match func(*conn) bool) []*conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []*conn
	for c := range n.conns {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

// Open returns how many connections are open (both ends count).
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Host is the network as one process on a machine sees it.
type Host struct {
	n    *Network
	name string
	dead atomic.Bool
}

// Kill is Network.Kill for the process that uses this Host; it can neither
// dial nor listen any more. A later process on the machine gets its own Host.
func (h *Host) Kill() {
	h.dead.Store(true)
	h.n.Kill(h.name)
}

// Host returns a process on the machine with that IP address, for example
// 127.0.0.3.
func (n *Network) Host(ip string) *Host { return &Host{n: n, name: ip} }

// Listen listens on "host:port" of this machine.
func (h *Host) Listen(_ context.Context, _, address string) (net.Listener, error) {
	at, err := parse(address)
	if err != nil {
		return nil, err
	}
	if at.host == "" || at.host == "0.0.0.0" {
		at.host = h.name
	}
	if h.dead.Load() {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: at, Err: syscall.ENETDOWN}
	}
	if at.host != h.name {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: at, Err: syscall.EADDRNOTAVAIL}
	}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	if at.port == 0 {
		h.n.nextPort++
		at.port = h.n.nextPort
	}
	if h.n.listeners[at.String()] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: at, Err: syscall.EADDRINUSE}
	}
	l := &listener{n: h.n, at: at, queue: make(chan *conn), done: make(chan struct{})}
	h.n.listeners[at.String()] = l
	return l, nil
}

// Dial connects to "host:port". It takes a round trip, waits while a wire is
// cut, and fails with syscall.ECONNREFUSED where nobody listens.
func (h *Host) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	to, err := parse(address)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: err}
	}
	if err := h.n.cross(ctx, h.name, to.host); err != nil {
		return fail(err)
	}
	if h.dead.Load() {
		return fail(syscall.ENETDOWN)
	}
	h.n.mu.Lock()
	l := h.n.listeners[to.String()]
	h.n.nextPort++
	from := hostPort{h.name, h.n.nextPort}
	h.n.mu.Unlock()
	if err := h.n.cross(ctx, to.host, h.name); err != nil {
		return fail(err)
	}
	if l == nil {
		return fail(syscall.ECONNREFUSED)
	}
	if h.dead.Load() {
		return fail(syscall.ENETDOWN)
	}
	near, far := h.n.pair(from, to)
	select {
	case l.queue <- far:
		return near, nil
	case <-l.done:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = ctx.Err()
	}
	near.abort(err)
	far.abort(err)
	return fail(err)
}

// cross waits as long as one packet takes from one host to the other.
func (n *Network) cross(ctx context.Context, from, to string) error {
	start := time.Now()
	for {
		n.mu.Lock()
		w := n.wire(from, to)
		wait, cut, changed := time.Until(start.Add(w.delay)), w.cut, w.changed
		n.mu.Unlock()
		if !cut && wait <= 0 {
			return ctx.Err()
		}
		var due <-chan time.Time
		if !cut {
			due = time.After(wait)
		}
		select {
		case <-due:
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hostPort is a net.Addr.
type hostPort struct {
	host string
	port int
}

func (hostPort) Network() string  { return "tcp" }
func (a hostPort) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

func parse(address string) (hostPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return hostPort{}, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return hostPort{}, fmt.Errorf("port of %q: %w", address, err)
	}
	return hostPort{host, port}, nil
}

type listener struct {
	n     *Network
	at    hostPort
	queue chan *conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.at, Err: net.ErrClosed}
	}
}

func (l *listener) Addr() net.Addr { return l.at }

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.n.mu.Lock()
		defer l.n.mu.Unlock()
		if l.n.listeners[l.at.String()] == l {
			delete(l.n.listeners, l.at.String())
		}
	})
	return nil
}
