package wire

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/kafka"
	"sluice/replication/pipe"
)

// dialTimeout bounds the making of a connection.
const dialTimeout = 5 * time.Second

// writer is a partition as its senders see it.
type writer interface {
	// pop hands out the next batch, at most room bytes unless it is the first of
	// a request; false: none goes to this sender now.
	pop(s *Sender, room int, first bool) (kafka.ProducePartition, bool)
	// answered takes the broker's answer, or the error that took its place, for
	// the oldest batch in flight.
	answered(r *kafka.ProducedPartition, err error)
	// reconnected: the first batch on a new connection goes alone.
	reconnected(*Sender)
	// unwritable: the sender's broker cannot be reached.
	unwritable(s *Sender, err error)
}

// Sender writes the batches of many partitions over one ordered connection to
// one target broker. A guarded one has up to pipe.Window requests in flight; an
// unguarded one has a single one, on a connection that carries nothing else.
type Sender struct {
	cfg     *Config
	cluster Cluster
	broker  int32
	route   pipe.Route
	wake    chan struct{}

	mu         sync.Mutex
	partitions map[writer]leased // attached
	ready      []writer          // have something to send, in the order they asked
	inFlight   int               // requests
	flight     flight            // of conn
	conn       *kafka.Conn

	// run's: the size of the request that is made, memory of the last list and request.
	room  int
	spare []writer
	asked []kafka.ProducePartition
}

// leased fails when no leader has confirmed lately that a partition is this
// node's.
type leased func() error

func newSender(cfg *Config, cluster Cluster, broker int32, route pipe.Route) *Sender {
	return &Sender{cfg: cfg, cluster: cluster, broker: broker, route: route, wake: make(chan struct{}, 1), partitions: map[writer]leased{}}
}

// attach makes a partition known; ask is asked straight before an unguarded
// request is written.
func (s *Sender) attach(p writer, ask leased) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions[p] = ask
}

func (s *Sender) detach(p writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.partitions, p)
}

// enqueue puts a partition on the list; called under the partition's lock.
func (s *Sender) enqueue(p writer) {
	s.mu.Lock()
	s.ready = append(s.ready, p)
	s.mu.Unlock()
	nudge(s.wake)
}

func nudge(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. The connection is made when there is something to
// send.
func (s *Sender) run(ctx context.Context) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			conn, err := s.connected(ctx)
			if err != nil {
				s.unreachable(err)
				break
			}
			if conn == nil || !s.send(conn) {
				break
			}
		}
	}
}

// connected returns the live connection, dialling one when there is work and
// none; nil when there is nothing to do.
func (s *Sender) connected(ctx context.Context) (*kafka.Conn, error) {
	s.mu.Lock()
	conn, work := s.conn, len(s.ready) > 0
	s.mu.Unlock()
	if conn != nil && conn.Err() == nil || !work {
		return conn, nil
	}
	if conn != nil {
		<-conn.Done() // all its callbacks have run: nothing of it is in flight
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.cluster.Dial(ctx, s.broker)
	if err != nil {
		return nil, fmt.Errorf("connecting to broker %d of %s: %w", s.broker, s.cluster.Name(), err)
	}
	for _, p := range s.goOn(conn, conn.RoundTrip()) {
		p.reconnected(s)
	}
	return conn, nil
}

// goOn takes a new connection, of which only a round trip is known, and returns who
// sends on it.
func (s *Sender) goOn(conn *kafka.Conn, trip time.Duration) []writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.flight = conn, flight{shortest: trip}
	return s.attached()
}

func (s *Sender) attached() []writer {
	out := make([]writer, 0, len(s.partitions))
	for p := range s.partitions {
		out = append(out, p)
	}
	return out
}

// unreachable ends every pipe that sends here; their owners look for the
// leader and come back.
func (s *Sender) unreachable(err error) {
	s.mu.Lock()
	attached := s.attached()
	s.ready = nil
	s.mu.Unlock()
	for _, p := range attached {
		p.unwritable(s, err)
	}
}

// part is one batch of a request and the partition that waits for its answer.
type part struct {
	kafka.ProducePartition
	p writer
}

// send builds and queues one request; false when there is nothing to send or
// no room in flight.
func (s *Sender) send(conn *kafka.Conn) bool {
	s.mu.Lock()
	if s.inFlight >= s.depth() || len(s.ready) == 0 {
		s.mu.Unlock()
		return false
	}
	ready := s.ready
	s.ready = s.spare[:0]
	s.inFlight++
	before := s.flight.answered
	s.mu.Unlock()

	parts := s.pick(ready)
	bytes := 0
	for i := range parts {
		bytes += len(parts[i].Batch)
	}
	clear(ready)
	s.spare = ready
	if len(parts) == 0 {
		s.done()
		return true
	}
	err := conn.Produce(s.request(parts), func(resp kafka.ProduceResponse, err error) {
		for i := range parts {
			if err != nil {
				parts[i].p.answered(nil, err)
			} else {
				parts[i].p.answered(&resp.Partitions[i], nil)
			}
		}
		if err == nil {
			s.returned(bytes, resp.RTT, before)
		}
		s.done()
	})
	clear(s.asked)  // it keeps no batch alive
	if err != nil { // those before it hear first: answers come in order
		conn.Close()
		<-conn.Done()
		for i := range parts {
			parts[i].p.answered(nil, err)
		}
		s.done()
	}
	return true
}

// depth is how many requests may be in flight.
func (s *Sender) depth() int {
	if s.route == pipe.Unguarded {
		return 1
	}
	return pipe.Window
}

// request is valid until the next.
func (s *Sender) request(parts []part) *kafka.ProduceRequest {
	s.asked = s.asked[:0]
	for i := range parts {
		s.asked = append(s.asked, parts[i].ProducePartition)
	}
	req := &kafka.ProduceRequest{Timeout: s.cfg.Timeout, Partitions: s.asked}
	if s.route == pipe.Unguarded {
		req.Timeout = s.cfg.Lifetime
		req.BeforeWrite = func() error { return s.leased(parts) }
	}
	return req
}

// leased is asked straight before an unguarded request is written.
func (s *Sender) leased(parts []part) error {
	s.mu.Lock()
	asks := make([]leased, len(parts))
	for i := range parts {
		asks[i] = s.partitions[parts[i].p]
	}
	s.mu.Unlock()
	for _, ask := range asks {
		if ask == nil {
			return fmt.Errorf("%w: the partition is not attached any more", errNoLease)
		}
		if err := ask(); err != nil {
			return err
		}
	}
	return nil
}

// mergedParts is how many merged batches fit into a request.
const mergedParts = 8

// largestMerged is how large a batch may be that is made of several, in bytes.
func (s *Sender) largestMerged() int { return s.room / mergedParts }

// ahead is how many times what fills the way to the broker is sent at most: with
// twice as much a way that carries more is found to.
const ahead = 2

// largest is the size of a request, so that as many as may be in flight make use
// of the way to the broker, in bytes.
func (s *Sender) largest() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight.times(ahead/float64(s.depth()), s.cfg.Request)
}

// returned notes that a request was answered.
func (s *Sender) returned(bytes int, trip time.Duration, before int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight.returned(bytes, trip, before)
}

// usualParts are made room for at once in a request.
const usualParts = 16

// pick takes one batch of each ready partition up to the request's size; those
// that did not fit keep their place at the head of the list.
func (s *Sender) pick(ready []writer) []part {
	parts := make([]part, 0, min(len(ready), usualParts))
	s.room = s.largest()
	room := s.room
	for i, p := range ready {
		if room <= 0 {
			s.mu.Lock()
			s.ready = append(slices.Clone(ready[i:]), s.ready...)
			s.mu.Unlock()
			break
		}
		if b, ok := p.pop(s, room, len(parts) == 0); ok {
			parts = append(parts, part{b, p})
			room -= len(b.Batch)
		}
	}
	// Partitions of one topic stand next to each other in the request.
	slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.Topic, b.Topic) })
	return parts
}

// done frees a place in flight.
func (s *Sender) done() {
	s.mu.Lock()
	s.inFlight--
	s.mu.Unlock()
	nudge(s.wake)
}

// sight is what can be seen of the target's broker.
func (s *Sender) sight() Slowed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slowed(s.cluster, s.broker, s.conn)
}

// hangUp ends the connection; what is in flight was perhaps written.
func (s *Sender) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
	}
}
