package faults

import (
	"net"
	"sync"
	"time"
)

// route is where an accepted connection goes and what happens on the way.
type route struct {
	target  string // address; "" refuses the connection
	there   *Flow  // from who dialled to the target
	back    *Flow
	refused bool
}

// relay accepts connections and pumps each along its route.
type relay struct {
	listener net.Listener
	pick     func(from net.Addr) route

	mu     sync.Mutex
	conns  map[*relayed]struct{}
	closed bool
	wg     sync.WaitGroup
}

// relayed is one connection through a relay.
type relayed struct {
	route  route
	client net.Conn
	done   chan struct{}
	once   sync.Once

	mu     sync.Mutex
	server net.Conn // nil until dialled
}

// openRelay listens on addr ("" for a free port of 127.0.0.1) and starts to serve.
func openRelay(addr string, pick func(from net.Addr) route) (*relay, error) {
	l, err := listenLoopback(addr)
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, pick: pick, conns: map[*relayed]struct{}{}}
	r.wg.Go(r.accept)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		to := r.pick(client.RemoteAddr())
		if to.refused || to.target == "" {
			closeConn(client, RST)
			continue
		}
		c := &relayed{route: to, client: client, done: make(chan struct{})}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			closeConn(client, RST)
			return
		}
		r.conns[c] = struct{}{}
		r.wg.Go(func() {
			c.run()
			r.mu.Lock()
			delete(r.conns, c)
			r.mu.Unlock()
		})
		r.mu.Unlock()
	}
}

// run dials and pumps both ways until both have ended.
func (c *relayed) run() {
	defer c.reset()
	// The handshake crosses the wire both ways before the first byte does.
	if !c.route.there.wait(c.done, time.Now(), 0) || !c.route.back.wait(c.done, time.Now(), 0) {
		return
	}
	server, err := net.Dial("tcp", c.route.target)
	if err != nil {
		return // the dialler sees a reset
	}
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	select {
	case <-c.done: // reset came between
		closeConn(server, RST)
		return
	default:
	}
	var both sync.WaitGroup
	both.Go(func() { pump(server, c.client, c.route.there, c.done) })
	both.Go(func() { pump(c.client, server, c.route.back, c.done) })
	both.Wait()
	c.client.Close() // both directions ended by themselves: no reset
	server.Close()
}

// reset ends the connection at once at both ends. After an orderly end it does nothing.
func (c *relayed) reset() {
	c.once.Do(func() { close(c.done) })
	closeConn(c.client, RST)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		closeConn(c.server, RST)
	}
}

// resetIf resets the open connections for which f holds.
func (r *relay) resetIf(f func(route) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if f(c.route) {
			c.reset()
		}
	}
}

// open returns how many connections are open.
func (r *relay) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// close resets everything and waits for all goroutines.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.listener.Close()
	r.resetIf(func(route) bool { return true })
	r.wg.Wait()
}
