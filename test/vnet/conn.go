package vnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes a direction holds before its writer waits.
const window = 256 << 10

// segment is one write on its way.
type segment struct {
	data []byte
	sent time.Time
}

// half is one direction of a connection.
type half struct {
	mu      sync.Mutex
	queue   []segment
	size    int
	end     error         // after queue is read: io.EOF
	gone    bool          // nobody reads any more
	changed chan struct{} // closed and replaced at every change
	from    string
	to      string
}

func newHalf(from, to string) *half {
	return &half{changed: make(chan struct{}), from: from, to: to}
}

// update changes the half under its lock and wakes who waits.
func (h *half) update(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
	close(h.changed)
	h.changed = make(chan struct{})
}

// deadline is a point in time that can move while somebody waits for it.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	changed chan struct{}
}

func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *deadline) get() (time.Time, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at, d.changed
}

// conn is one end.
type conn struct {
	n             *Network
	local, remote hostPort
	in, out       *half
	read, write   deadline
	once          sync.Once
	broken        chan struct{} // closed when this end is
	why           error         // set before broken is closed
}

// pair makes a connection and returns its two ends.
func (n *Network) pair(from, to hostPort) (near, far *conn) {
	there, back := newHalf(from.host, to.host), newHalf(to.host, from.host)
	near = &conn{n: n, local: from, remote: to, in: back, out: there}
	far = &conn{n: n, local: to, remote: from, in: there, out: back}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range []*conn{near, far} {
		c.read.changed, c.write.changed = make(chan struct{}), make(chan struct{})
		c.broken = make(chan struct{})
		n.conns[c] = struct{}{}
	}
	return near, far
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for {
		if err := c.isBroken(); err != nil {
			return 0, c.opError("read", err)
		}
		h := c.in
		h.mu.Lock()
		changed := h.changed
		wait, wire := c.due(h)
		switch {
		case len(h.queue) > 0 && wait == 0:
			n := copy(p, h.queue[0].data)
			h.queue[0].data = h.queue[0].data[n:]
			if len(h.queue[0].data) == 0 {
				h.queue = h.queue[1:]
			}
			h.size -= n
			close(h.changed)
			h.changed = make(chan struct{})
			h.mu.Unlock()
			return n, nil
		case len(h.queue) == 0 && h.end != nil && wait == 0:
			h.mu.Unlock()
			return 0, h.end
		}
		h.mu.Unlock()
		if err := c.wait(&c.read, wait, changed, wire); err != nil {
			return 0, c.opError("read", err)
		}
	}
}

// due returns how long the head of the queue still travels (-1: unknown, the
// wire is cut or there is nothing) and the channel that tells of changes of
// the wire. The caller holds h.mu.
func (c *conn) due(h *half) (time.Duration, <-chan struct{}) {
	c.n.mu.Lock()
	w := c.n.wire(h.from, h.to)
	delay, cut, changed := w.delay, w.cut, w.changed
	c.n.mu.Unlock()
	if cut {
		return -1, changed
	}
	if len(h.queue) == 0 {
		if h.end != nil {
			return 0, changed
		}
		return -1, changed
	}
	return max(0, time.Until(h.queue[0].sent.Add(delay))), changed
}

// wait blocks until something that matters has changed or the deadline passed.
func (c *conn) wait(d *deadline, travel time.Duration, half, wire <-chan struct{}) error {
	at, moved := d.get()
	var timeout, arrival <-chan time.Time
	if !at.IsZero() {
		left := time.Until(at)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		timeout = timer.C
	}
	if travel >= 0 {
		timer := time.NewTimer(travel)
		defer timer.Stop()
		arrival = timer.C
	}
	select {
	case <-c.broken:
	case <-half:
	case <-wire:
	case <-moved:
	case <-arrival:
	case <-timeout:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	written := 0
	for {
		if at, _ := c.write.get(); !at.IsZero() && time.Until(at) <= 0 {
			return written, c.opError("write", os.ErrDeadlineExceeded)
		}
		if err := c.isBroken(); err != nil {
			return written, c.opError("write", err)
		}
		h := c.out
		h.mu.Lock()
		changed := h.changed
		if h.gone {
			h.mu.Unlock()
			return written, c.opError("write", syscall.EPIPE)
		}
		if n := min(window-h.size, len(p)); n > 0 {
			h.queue = append(h.queue, segment{append([]byte(nil), p[:n]...), time.Now()})
			h.size += n
			p, written = p[n:], written+n
			close(h.changed)
			h.changed = make(chan struct{})
		}
		h.mu.Unlock()
		if len(p) == 0 {
			return written, nil
		}
		if err := c.wait(&c.write, -1, changed, nil); err != nil {
			return written, c.opError("write", err)
		}
	}
}

// isBroken returns why this end is unusable, or nil.
func (c *conn) isBroken() error {
	select {
	case <-c.broken:
		return c.why
	default:
		return nil
	}
}

// Close implements net.Conn: what was written still arrives, then EOF; what
// the other side writes later is refused.
func (c *conn) Close() error {
	c.out.update(func() {
		if c.out.end == nil {
			c.out.end = io.EOF
		}
	})
	c.in.update(func() { c.in.gone = true })
	c.abort(net.ErrClosed)
	return nil
}

// abort breaks this end at once; the other end hears nothing of it.
func (c *conn) abort(err error) {
	c.once.Do(func() {
		c.why = err
		close(c.broken)
		c.n.mu.Lock()
		defer c.n.mu.Unlock()
		delete(c.n.conns, c)
	})
}

func (c *conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.read.set(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }
