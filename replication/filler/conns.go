package filler

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/kafka"
)

// Dialer connects to the brokers of one Kafka cluster: a kafka.Client, or a
// catalog.Cluster, which leaves a broker alone that does not answer.
type Dialer interface {
	Dial(ctx context.Context, broker int32) (*kafka.Conn, error)
}

// lanes is how many connections to a broker the fillers share: it answers the
// requests of one connection one after another, and most of the time of one is
// a wait for replicas.
const lanes = 4

// conns are connections to brokers, each shared by many fillers.
type conns struct {
	dialer Dialer
	ctx    context.Context // ends with close; of dials, which nobody's context ends for the others
	cancel context.CancelFunc

	mu     sync.Mutex
	byLane map[lane]*shared // nil: closed
}

// lane is one of the connections to a broker.
type lane struct {
	broker int32
	number int // below lanes
}

// shared is a connection that is dialled once for all who wait for it.
type shared struct {
	dialled chan struct{} // closed when what follows is set
	conn    *kafka.Conn
	err     error
}

func newConns(d Dialer) *conns {
	c := &conns{dialer: d, byLane: map[lane]*shared{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// request sends a request over a connection to a broker and waits for the
// answer. kafka.ErrNotSent: it was not sent; kafka.ErrPerhapsSent: it was, and
// nobody knows what became of it.
func (c *conns) request(ctx context.Context, l lane, req kmsg.Request) (kmsg.Response, error) {
	conn, err := c.get(ctx, l)
	if err != nil {
		return nil, err
	}
	return conn.Request(ctx, req)
}

// get returns a connection that lived a moment ago. Its errors are also
// kafka.ErrNotSent, but for kafka.ErrClosed.
func (c *conns) get(ctx context.Context, l lane) (*kafka.Conn, error) {
	s := c.join(l)
	if s == nil {
		return nil, kafka.ErrClosed
	}
	select {
	case <-s.dialled:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", kafka.ErrNotSent, ctx.Err())
	}
	if s.err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrNotSent, s.err)
	}
	return s.conn, nil
}

// join returns the lane's connection, which is being dialled where there was
// none that lives; nil: closed.
func (c *conns) join(l lane) *shared {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byLane == nil {
		return nil
	}
	s := c.byLane[l]
	if s == nil || s.over() {
		s = &shared{dialled: make(chan struct{})}
		c.byLane[l] = s
		go func() { // close waits for it
			defer close(s.dialled)
			s.conn, s.err = c.dialer.Dial(c.ctx, l.broker)
		}()
	}
	return s
}

// over reports whether it failed, or is dead.
func (s *shared) over() bool {
	select {
	case <-s.dialled:
		return s.err != nil || s.conn.Err() != nil
	default:
		return false
	}
}

// close ends all connections, and waits until they are gone.
func (c *conns) close() {
	c.cancel()
	c.mu.Lock()
	all := c.byLane
	c.byLane = nil
	c.mu.Unlock()
	for _, s := range all {
		if <-s.dialled; s.err == nil {
			s.conn.Close()
			<-s.conn.Done()
		}
	}
}
