package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// tap is told of every step that a node takes on the network, in the goroutine
// that takes it: what it does there happens exactly then.
type tap struct {
	mu    sync.Mutex
	hook  func(step) (gone bool)
	at    time.Time // of the last step
	steps int       // taken at that instant
}

// atOnce is how many steps a node may take while the bubble's clock stands
// still; more is a loop without a pause, which would stop the clock for ever.
const atOnce = 100_000

// step is one write, before it is made or after it, or one read that brought
// something, before the node sees it.
type step struct {
	at    moment
	kafka bool   // else another node
	to    string // remote host
	data  []byte
}

type moment int

const (
	beforeWrite moment = iota
	afterWrite
	afterRead
)

// keyProduce is the API key of Produce.
const keyProduce = 0

// produce reports whether the step writes a Produce request to a broker: every
// request is one write.
func (s *step) produce() bool {
	return s.kafka && s.at != afterRead && len(s.data) > 6 && binary.BigEndian.Uint16(s.data[4:]) == keyProduce
}

// set sets what is told of every step; nil: nothing. Where it answers that the
// node is gone, the node does not see what was read.
func (t *tap) set(hook func(step) (gone bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hook = hook
}

func (t *tap) tell(s step) (gone bool) {
	t.mu.Lock()
	hook := t.hook
	if now := time.Now(); !now.Equal(t.at) {
		t.at, t.steps = now, 0
	}
	t.steps++
	if t.steps > atOnce {
		panic(fmt.Sprintf("a node spins: %+v %q", s, s.data[:min(len(s.data), 200)]))
	}
	t.mu.Unlock()
	return hook != nil && hook(s)
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer puts the tap on what dial opens.
func (t *tap) dialer(dial dialFunc, kafka bool) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return t.conn(c, kafka), nil
	}
}

func (t *tap) conn(c net.Conn, kafka bool) net.Conn {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	return &tappedConn{Conn: c, tap: t, kafka: kafka, to: host}
}

type listenFunc = func(ctx context.Context, network, address string) (net.Listener, error)

// listener puts the tap on what other nodes open.
func (t *tap) listener(listen listenFunc) listenFunc {
	return func(ctx context.Context, network, address string) (net.Listener, error) {
		ln, err := listen(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return tappedListener{ln, t}, nil
	}
}

type tappedListener struct {
	net.Listener
	tap *tap
}

func (l tappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.tap.conn(c, false), nil
}

type tappedConn struct {
	net.Conn
	tap   *tap
	kafka bool
	to    string
}

func (c *tappedConn) Write(p []byte) (int, error) {
	c.tap.tell(step{beforeWrite, c.kafka, c.to, p})
	n, err := c.Conn.Write(p)
	c.tap.tell(step{afterWrite, c.kafka, c.to, p})
	return n, err
}

func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.tap.tell(step{afterRead, c.kafka, c.to, p[:n]}) {
		return 0, net.ErrClosed
	}
	return n, err
}
