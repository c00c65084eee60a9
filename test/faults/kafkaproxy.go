package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
)

// KafkaProxy stands in front of the brokers of one cluster: one listener per broker, one set of rules
// for all. Client listeners must be without TLS. Give Via to kafkalab as Config.AdvertisedVia, then
// clients meet brokers only through it.
type KafkaProxy struct {
	frames framePool

	mu      sync.Mutex
	fronts  []*front
	faults  []*Fault
	counts  map[int16]Counts
	conns   map[*kafkaConn]struct{}
	errs    []error
	changed chan struct{} // closed and replaced when counts or conns change; nil until somebody waits
	closed  bool
	wg      sync.WaitGroup
}

// front is the listener of one broker.
type front struct {
	broker   int
	target   string
	listener net.Listener
}

// Counts says what has gone through a proxy whole, of one api key.
type Counts struct {
	Requests, Responses         int   // delivered
	RequestBytes, ResponseBytes int64 // delivered, lengths included
}

// NewKafkaProxy returns a proxy that stands in front of no broker yet.
func NewKafkaProxy() *KafkaProxy {
	return &KafkaProxy{counts: map[int16]Counts{}, conns: map[*kafkaConn]struct{}{}}
}

// Add starts to listen on a free port of 127.0.0.1 for the broker whose real address is target. The
// target may not be there yet.
func (p *KafkaProxy) Add(broker int, target string) (addr string, err error) {
	l, err := listenLoopback("")
	if err != nil {
		return "", err
	}
	f := &front{broker: broker, target: target, listener: l}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fronts = append(p.fronts, f)
	p.wg.Go(func() { p.accept(f) })
	return l.Addr().String(), nil
}

// Via is Add for kafkalab's Config.AdvertisedVia. It panics when there is no free port.
func (p *KafkaProxy) Via(broker int, realAddr string) string {
	addr, err := p.Add(broker, realAddr)
	if err != nil {
		panic(err)
	}
	return addr
}

// AddRule puts a rule to work, after those that are there: the first that chooses a frame acts.
func (p *KafkaProxy) AddRule(r Rule) *Fault {
	f := newFault(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(slices.Clone(p.faults), f) // readers keep the old slice
	return f
}

// Cut holds all requests and responses of the clients whose ids begin with prefix ("" for all), as a
// broken network would, until heal is called.
func (p *KafkaProxy) Cut(clientPrefix string) (heal func(Heal)) {
	rule := Rule{Side: OnRequest, ClientPrefix: clientPrefix, Do: Hold}
	there := p.AddRule(rule)
	rule.Side = OnResponse
	back := p.AddRule(rule)
	return func(how Heal) {
		if how == Reset {
			p.CloseClients(clientPrefix, RST)
		}
		there.Release()
		back.Release()
	}
}

// CloseClients ends the connections of the clients whose ids begin with prefix ("" for all), on both
// sides, and drops what is held for them. Connections that have sent no request yet have no id: they
// match "" only.
func (p *KafkaProxy) CloseClients(clientPrefix string, how Close) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.hasPrefix(clientPrefix) {
			c.close(how)
		}
	}
}

// Counts returns what has gone through of one api key.
func (p *KafkaProxy) Counts(api int16) Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[api]
}

// Open returns how many connections to brokers are open.
func (p *KafkaProxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Orphans returns how many connections to brokers are open though their client has ended its side:
// something is held for them.
func (p *KafkaProxy) Orphans() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c := range p.conns {
		if c.isOrphan() {
			n++
		}
	}
	return n
}

// orphaned wakes those who wait for Orphans.
func (p *KafkaProxy) orphaned() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notify()
}

// Wait waits until ok holds, asking after each frame delivered, each connection made or ended, and each
// client's end.
func (p *KafkaProxy) Wait(ctx context.Context, ok func() bool) error {
	for {
		p.mu.Lock()
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting at the proxy: %w", context.Cause(ctx))
		case <-changed:
		}
	}
}

// Err returns what went wrong with connections since the start: bytes that are no Kafka protocol.
// Brokers that are away and connections that break are no errors.
func (p *KafkaProxy) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}

// Close ends all connections and stops.
func (p *KafkaProxy) Close() {
	p.mu.Lock()
	p.closed = true
	for _, f := range p.fronts {
		f.listener.Close()
	}
	for c := range p.conns {
		c.close(RST)
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *KafkaProxy) accept(f *front) {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", f.target)
		if err != nil {
			closeConn(client, RST) // as a dead broker would answer
			continue
		}
		c := newKafkaConn(p, f.broker, client, server)
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			c.close(RST)
			return
		}
		p.conns[c] = struct{}{}
		p.notify()
		p.wg.Go(func() {
			c.run()
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.conns, c)
			p.notify()
		})
		p.mu.Unlock()
	}
}

// notify wakes those who wait; p.mu is held.
func (p *KafkaProxy) notify() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

func (p *KafkaProxy) rules() []*Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// count books a delivered frame.
func (p *KafkaProxy) count(side Side, api int16, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.counts[api]
	if side == OnRequest {
		n.Requests++
		n.RequestBytes += int64(bytes)
	} else {
		n.Responses++
		n.ResponseBytes += int64(bytes)
	}
	p.counts[api] = n
	p.notify()
}

// fail keeps an error that a test should know of.
func (p *KafkaProxy) fail(err error) {
	if !errors.Is(err, errNotKafka) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
}
