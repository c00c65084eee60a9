package transport

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
)

// Conn is a connection after the handshake. It is tracked until it is closed.
type Conn struct {
	net.Conn
	t       *Transport
	kind    Kind
	peer    Identity
	inbound bool
	closed  atomic.Bool // by this side
	lost    atomic.Bool // PeerLost was told
}

// Peer returns what the other side said of itself.
func (c *Conn) Peer() Identity { return c.peer }

// Read reads; an end or a reset that this side did not cause is told to
// PeerLost once.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.t.stats.in(c.kind).Add(uint64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !c.closed.Load() && !c.lost.Swap(true) {
		c.t.tellLost(c.peer)
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

func (addr) Network() string  { return "tcp" }
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
