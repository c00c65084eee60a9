package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/kafka"
	"sluice/kafka/catalog"
)

// freshConns are connections that are dialled for a question and closed after
// it. Streams that ask the same broker at the same time share one: thousands
// may be taken over at once.
type freshConns struct {
	mu   sync.Mutex
	next map[freshKey]*freshConn // not dialled yet
}

type freshKey struct {
	cluster string
	broker  int32
}

// freshConn is one connection; whoever joined before it was dialled may use it.
// The first of them dials it.
type freshConn struct {
	users   int           // under freshConns.mu
	dialled chan struct{} // closed when what follows is set
	conn    *kafka.Conn
	err     error
}

const (
	// gatherFor is how long a connection waits for others who want one before it
	// is dialled, and so how often a broker is dialled at most.
	gatherFor = 50 * time.Millisecond
	// freshTimeout bounds the making of a connection.
	freshTimeout = 10 * time.Second
)

func newFreshConns() *freshConns { return &freshConns{next: map[freshKey]*freshConn{}} }

// use calls f with a connection to a broker that was dialled after the call of
// use. f may not close it.
func (f *freshConns) use(ctx context.Context, cluster *catalog.Cluster, broker int32, ask func(*kafka.Conn) error) error {
	c, first := f.join(freshKey{cluster.Name(), broker})
	defer f.leave(c)
	if first {
		f.dial(ctx, c, cluster, broker)
	}
	select {
	case <-c.dialled:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.err != nil {
		return fmt.Errorf("connecting to broker %d of Kafka cluster %s: %w", broker, cluster.Name(), c.err)
	}
	return ask(c.conn)
}

func (f *freshConns) join(key freshKey) (c *freshConn, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c = f.next[key]
	if first = c == nil; first {
		c = &freshConn{dialled: make(chan struct{})}
		f.next[key] = c
	}
	c.users++
	return c, first
}

// dial makes the connection for all who have joined by then.
func (f *freshConns) dial(ctx context.Context, c *freshConn, cluster *catalog.Cluster, broker int32) {
	defer close(c.dialled)
	kafka.Pause(ctx, gatherFor)
	f.mu.Lock()
	delete(f.next, freshKey{cluster.Name(), broker})
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	c.conn, c.err = cluster.Dial(ctx, broker)
}

// leave closes the connection when nobody uses it any more.
func (f *freshConns) leave(c *freshConn) {
	f.mu.Lock()
	c.users--
	last := c.users == 0
	f.mu.Unlock()
	if last && c.conn != nil {
		c.conn.Close()
		<-c.conn.Done()
	}
}
