package faults

import (
	"bufio"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// kafkaConn is one client's connection to one broker through a proxy. Each side has a reader, which
// takes frames in whatever is held, and a writer, which asks the rules and delivers.
type kafkaConn struct {
	proxy  *KafkaProxy
	broker int
	client net.Conn
	server net.Conn
	done   chan struct{} // closed when both connections are ended at once
	once   sync.Once

	mu       sync.Mutex
	clientID string
	orphan   bool        // the client has ended its side
	open     []*inFlight // requests delivered and not answered, in order
}

// item is a frame on its way, or the end of its sender's connection.
type item struct {
	frame frame
	req   Request // of a request; of a response the request that it answers
	known bool    // of a response: its request was found
	body  []*Fault
	end   bool
	how   Close
}

// inFlight is a request that the broker has not answered.
type inFlight struct {
	req  Request
	body []*Fault // response rules with BodyContains that matched the request
}

const keepBytes = 512 << 20 // frames read and not delivered, per side of a connection

func newKafkaConn(p *KafkaProxy, broker int, client, server net.Conn) *kafkaConn {
	return &kafkaConn{proxy: p, broker: broker, client: client, server: server, done: make(chan struct{})}
}

func (c *kafkaConn) run() {
	var all sync.WaitGroup
	requests, responses := newQueue[item](keepBytes), newQueue[item](keepBytes)
	all.Go(func() {
		c.read(c.client, requests, c.takeRequest)
		c.setOrphan()
	})
	all.Go(func() { c.read(c.server, responses, c.takeResponse) })
	all.Go(func() { c.write(OnRequest, c.server, requests) })
	all.Go(func() { c.write(OnResponse, c.client, responses) })
	all.Wait()
	c.close(FIN)
}

// close ends both connections now and drops what is held.
func (c *kafkaConn) close(how Close) {
	c.once.Do(func() { close(c.done) })
	closeConn(c.client, how)
	closeConn(c.server, how)
}

func (c *kafkaConn) hasPrefix(prefix string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.HasPrefix(c.clientID, prefix)
}

func (c *kafkaConn) setOrphan() {
	c.mu.Lock()
	c.orphan = true
	c.mu.Unlock()
	c.proxy.orphaned()
}

func (c *kafkaConn) isOrphan() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.orphan
}

// read takes frames in until the sender ends.
func (c *kafkaConn) read(from net.Conn, q *queue[item], take func(*item) error) {
	defer q.end()
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		f, err := c.proxy.frames.readFrame(r)
		it := item{frame: f}
		if err == nil {
			err = take(&it)
		}
		if err != nil {
			c.proxy.fail(err)
			q.push(item{end: true, how: endOf(err)}, 0)
			return
		}
		if !q.push(it, len(f.bytes())) {
			return
		}
	}
}

// takeRequest reads a request's header and asks the response rules that want its body.
func (c *kafkaConn) takeRequest(it *item) error {
	var err error
	if it.req, err = parseRequest(it.frame.body()); err != nil {
		return err
	}
	if it.req.ClientID != "" {
		c.mu.Lock()
		c.clientID = it.req.ClientID
		c.mu.Unlock()
	}
	for _, f := range c.proxy.rules() {
		if f.rule.Side == OnResponse && f.rule.BodyContains != "" &&
			f.matches(c.broker, it.req, it.frame.body()) {
			it.body = append(it.body, f)
		}
	}
	return nil
}

// takeResponse finds the request that a response answers. Brokers answer in order; requests before it
// are ones that get no answer (produce with acks=0).
func (c *kafkaConn) takeResponse(it *item) error {
	id := correlationID(it.frame.body())
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.open {
		if o.req.CorrelationID == id {
			it.req, it.body, it.known = o.req, o.body, true
			c.open = c.open[i+1:]
			return nil
		}
	}
	return nil
}

// write delivers frames in order, as the rules let it.
func (c *kafkaConn) write(side Side, to net.Conn, q *queue[item]) {
	defer q.breakOff()
	dead := false // the receiver is gone: read on, its own end closes the connection in order
	for {
		it, ok := q.pop()
		if !ok {
			return
		}
		if it.end {
			c.passEnd(side, to, it.how)
			return
		}
		n := len(it.frame.bytes())
		deliver, ok := c.judge(side, it)
		if !ok {
			return
		}
		if deliver && !dead {
			if side == OnRequest {
				c.expect(it)
			}
			_, err := to.Write(it.frame.bytes())
			if dead = err != nil; !dead {
				c.proxy.count(side, it.req.APIKey, n)
			}
		}
		c.proxy.frames.put(it.frame)
	}
}

// passEnd passes on that the sender has ended its connection, after all that it sent. A client's end
// closes only the direction to the broker: closing with answers unread would be a reset, at which a
// broker drops the requests that it has not read yet.
func (c *kafkaConn) passEnd(side Side, to net.Conn, how Close) {
	if side == OnRequest {
		endWrite(to, FIN)
		return
	}
	c.once.Do(func() { close(c.done) })
	closeConn(c.client, how)
	closeConn(c.server, how)
}

// expect remembers a request that is about to be delivered.
func (c *kafkaConn) expect(it item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, &inFlight{req: it.req, body: it.body})
}

// judge asks the rules and does what the first one that chooses the frame says. It reports whether to
// deliver the frame, and false for ok when this side of the connection is over.
func (c *kafkaConn) judge(side Side, it item) (deliver, ok bool) {
	for _, f := range c.proxy.rules() {
		if f.rule.Side == side && c.chosen(f, side, it) {
			return c.act(side, f)
		}
	}
	return true, true
}

func (c *kafkaConn) chosen(f *Fault, side Side, it item) bool {
	if side == OnRequest {
		return f.matches(c.broker, it.req, it.frame.body()) && f.choose()
	}
	if !it.known {
		return false
	}
	if f.rule.BodyContains == "" {
		return f.matches(c.broker, it.req, nil) && f.choose()
	}
	if slices.Contains(it.body, f) {
		return f.choose()
	}
	return false
}

// act does what a rule says to the frame at hand.
func (c *kafkaConn) act(side Side, f *Fault) (deliver, ok bool) {
	switch f.rule.Do {
	case Hold, Delay:
		return c.keep(side, f)
	case CloseClient:
		return c.closeClient(side, f.rule.How)
	case CloseBoth:
		c.close(f.rule.How)
		return false, false
	}
	return false, true // Drop
}

// keep waits until the rule ends, or for the time that it says.
func (c *kafkaConn) keep(side Side, f *Fault) (deliver, ok bool) {
	var timer <-chan time.Time
	if f.rule.Do == Delay {
		timer = time.After(f.rule.Delay)
	}
	f.hold(1)
	defer f.hold(-1)
	select {
	case <-f.released:
		if f.closeHow != nil {
			return c.closeClient(side, *f.closeHow)
		}
		return true, true
	case <-timer:
		return true, true
	case <-c.done:
		return false, false
	}
}

// closeClient ends the client's connection. What a client sent after a request that did not arrive
// does not arrive either; what a broker answers is read on and goes nowhere.
func (c *kafkaConn) closeClient(side Side, how Close) (deliver, ok bool) {
	closeConn(c.client, how)
	if side == OnRequest {
		endWrite(c.server, FIN)
		return false, false
	}
	return false, true
}
