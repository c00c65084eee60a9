package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/kafka"
)

// errLease keeps an unguarded request from being written.
var errLease = errors.New("no leader has confirmed this turn lately")

// outlet produces for many flows over one ordered connection to one target
// broker. A guarded outlet has up to five requests in flight; an unguarded
// one has a single one, on a connection that carries nothing else.
type outlet struct {
	site  *site
	key   outletKey
	depth int // requests in flight at most
	wake  chan struct{}

	mu       sync.Mutex
	flows    map[*flow]bool // attached
	ready    []*flow        // have something to send, in the order they asked
	inflight int
	conn     *kafka.Conn
}

func newOutlet(s *site, k outletKey) *outlet {
	o := &outlet{site: s, key: k, depth: window, wake: make(chan struct{}, 1), flows: map[*flow]bool{}}
	if k.unguarded > 0 {
		o.depth = 1
	}
	return o
}

// attach makes the flow known, so that it hears of a lost connection.
func (o *outlet) attach(f *flow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flows[f] = true
}

func (o *outlet) detach(f *flow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.flows, f)
}

// enqueue puts the flow on the list; it is called under the flow's lock.
func (o *outlet) enqueue(f *flow) {
	o.mu.Lock()
	o.ready = append(o.ready, f)
	o.mu.Unlock()
	o.nudge()
}

func (o *outlet) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. The connection is opened when there is something
// to send.
func (o *outlet) run(ctx context.Context) {
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			conn, err := o.connected(ctx)
			if err != nil {
				o.unreachable(err)
				break
			}
			if conn == nil || !o.send(conn) {
				break
			}
		}
	}
}

// connected returns the live connection, dialling one when there is work and
// none; nil when there is nothing to do.
func (o *outlet) connected(ctx context.Context) (*kafka.Conn, error) {
	o.mu.Lock()
	conn, work := o.conn, len(o.ready) > 0
	o.mu.Unlock()
	if conn != nil && conn.Err() == nil || !work {
		return conn, nil
	}
	if conn != nil {
		<-conn.Done() // all its callbacks have run: nothing of it is in flight
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := o.site.dial(ctx, o.key.broker)
	if err != nil {
		return nil, fmt.Errorf("connecting to broker %d of %s: %w", o.key.broker, o.site.name, err)
	}
	o.mu.Lock()
	o.conn = conn
	flows := o.attached()
	o.mu.Unlock()
	for _, f := range flows {
		f.reconnected()
	}
	return conn, nil
}

func (o *outlet) attached() []*flow {
	flows := make([]*flow, 0, len(o.flows))
	for f := range o.flows {
		flows = append(flows, f)
	}
	return flows
}

// unreachable ends every attached flow that sends here; their streams look
// for the leader and come back.
func (o *outlet) unreachable(err error) {
	o.mu.Lock()
	flows := o.attached()
	o.ready = nil
	o.mu.Unlock()
	for _, f := range flows {
		if f.sendsTo(o) {
			f.stop(troubleOf(err, false))
		}
	}
}

func (f *flow) sendsTo(o *outlet) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out == o
}

// part is one picked batch and the flow that waits for its answer.
type part struct {
	kafka.ProducePartition
	f *flow
}

// send builds and queues one request; false when there is nothing to send or
// no room in flight.
func (o *outlet) send(conn *kafka.Conn) bool {
	o.mu.Lock()
	if o.inflight >= o.depth || len(o.ready) == 0 {
		o.mu.Unlock()
		return false
	}
	ready := o.ready
	o.ready = nil
	o.inflight++
	o.mu.Unlock()

	parts := o.pick(ready)
	if len(parts) == 0 {
		o.done()
		return true
	}
	req := &kafka.ProduceRequest{Timeout: o.site.r.cfg.Timeout, Partitions: make([]kafka.ProducePartition, len(parts))}
	for i := range parts {
		req.Partitions[i] = parts[i].ProducePartition
	}
	if o.key.unguarded > 0 {
		req.Timeout = o.site.r.cfg.Lifetime
		req.BeforeWrite = func() error { return o.leased(parts) }
	}
	err := conn.Produce(req, func(resp kafka.ProduceResponse, err error) {
		for i := range parts {
			if err != nil {
				parts[i].f.answered(nil, err)
			} else {
				parts[i].f.answered(&resp.Partitions[i], nil)
			}
		}
		o.done()
	})
	if err != nil { // those before it hear first: answers come in order
		conn.Close()
		<-conn.Done()
		for i := range parts {
			parts[i].f.answered(nil, err)
		}
		o.done()
	}
	return true
}

// pick takes one batch of each ready flow up to the request's size; flows
// that did not fit keep their place at the head of the list.
func (o *outlet) pick(ready []*flow) []part {
	var parts []part
	room := o.site.r.cfg.MaxRequest
	for i, f := range ready {
		if room <= 0 {
			o.mu.Lock()
			o.ready = append(slices.Clone(ready[i:]), o.ready...)
			o.mu.Unlock()
			break
		}
		if p, ok := f.pick(o, room, len(parts) == 0); ok {
			parts = append(parts, part{p, f})
			room -= len(p.Batch)
		}
	}
	// Partitions of one topic stand next to each other in the request.
	slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.Topic, b.Topic) })
	return parts
}

// done frees a place in flight, and puts flows that have more on the list.
func (o *outlet) done() {
	o.mu.Lock()
	o.inflight--
	o.mu.Unlock()
	o.nudge()
}

// leased is asked straight before an unguarded request is written.
func (o *outlet) leased(parts []part) error {
	r := o.site.r
	for _, p := range parts {
		age, ok := r.ctl.Lease(p.f.s.id, p.f.s.turn)
		switch {
		case !ok:
			return fmt.Errorf("%w: task %d is not ours", errLease, p.f.s.id)
		case age > r.cfg.Lease:
			return fmt.Errorf("%w: for %v", errLease, age.Round(time.Millisecond))
		}
	}
	return nil
}

// hangUp ends the connection; what is in flight was perhaps written.
func (o *outlet) hangUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != nil {
		o.conn.Close()
	}
}
