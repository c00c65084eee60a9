package kafka

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Conn is one ordered, pipelined connection to one broker.
//
// Requests are written in call order by one goroutine and answered in that
// order by another. Every queued request's callback runs exactly once, never
// inside the call that queued it and never two of one Conn at the same time,
// in order except that a request refused by BeforeWrite is answered ahead of
// those in flight. A callback may queue requests and close the Conn; one that
// blocks stops this Conn's reading, which is back-pressure.
//
// The first error ends the Conn. What is outstanding then gets that error
// with ErrNotSent or ErrPerhapsSent, after the last use of its batches.
type Conn struct {
	nc     net.Conn
	out    vectorWriter
	in     *bufio.Reader
	cfg    connConfig
	ctx    context.Context // ends with the Conn; bounds waits for buffers
	cancel context.CancelFunc
	done   chan struct{}
	stats  connCounters

	// callbacks is full while a callback runs. No mutex: whoever waits for one
	// is not durably blocked in the eyes of testing/synctest.
	callbacks chan struct{}

	mu         sync.Mutex
	changed    sync.Cond // on mu: queue, written, mute or err
	queue      fifo      // not yet taken by the writer
	inFlight   fifo      // taken by the writer, unanswered
	free       []*call
	mutedUntil time.Time // asked for by the broker, for the last time; zero: never
	nextCorr   int32
	err        error

	loginAgain time.Time // writer's: when the login has to be renewed; zero: never

	scratch  []byte              // reader's: bodies of produce responses
	produced []ProducedPartition // reader's: answer of one produce response
}

// connConfig is what a Conn needs to know beside its socket.
type connConfig struct {
	broker         int32
	versions       apiVersions // that the broker speaks
	clientID       string
	login          loginFunc     // nil: none
	loginHolds     time.Duration // from now on; 0: for ever
	roundTrip      time.Duration // of a small request on the new connection
	requestTimeout time.Duration
	maxResponse    int
	buffers        *Buffers
	total          *counters   // of the Kafka cluster; a Conn adds to it
	onDone         func(*Conn) // when dead and all callbacks have run; may be nil
}

// minRate is the slowest transfer, in bytes per second, that is not taken for
// a dead broker: a body may take requestTimeout and size/minRate.
const minRate = 128 << 10

// readBuffer holds the head of a response and all of a small one, so that a
// small response costs one read; larger bodies are read straight into place.
const readBuffer = 4 << 10

// Done is closed when the Conn is dead and all callbacks have run.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns what ended the Conn, nil while it lives; ErrClosed after Close.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the Conn. It does not wait: Done tells when the last callback
// has run.
func (c *Conn) Close() { c.fail(ErrClosed) }

// Stats returns the Conn's counters so far.
func (c *Conn) Stats() ConnStats { return c.stats.read() }

// MutedUntil is until when the broker last asked for silence, by a quota; zero:
// it never did.
func (c *Conn) MutedUntil() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mutedUntil
}

// RoundTrip is how long a small request took when the Conn was new, with nothing
// before it.
func (c *Conn) RoundTrip() time.Duration { return c.cfg.roundTrip }

// Supports reports whether the broker speaks version of the API key.
func (c *Conn) Supports(key, version int16) bool { return c.cfg.versions.supports(key, version) }

// fail ends the Conn with its first error and wakes everyone.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
	}
	c.mu.Unlock()
	if first {
		c.cancel()
		closeNow(c.nc)
		c.changed.Broadcast()
	}
}

// enqueue gives cl its place in the order. The error, when the Conn is dead,
// is ErrNotSent; cl is the caller's again.
func (c *Conn) enqueue(cl *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, c.err)
	}
	cl.setCorrelation(c.nextCorr)
	c.nextCorr++
	c.queue.push(cl)
	c.changed.Broadcast()
	return nil
}

// newCall returns an unused call.
func (c *Conn) newCall() *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.free) - 1
	if last < 0 {
		return new(call)
	}
	cl := c.free[last]
	c.free = c.free[:last]
	return cl
}

// plainCall returns a call for req in the best version that both sides speak,
// and where the outcome will be told once resp is decoded.
func (c *Conn) plainCall(req kmsg.Request) (cl *call, resp kmsg.Response, told <-chan error, err error) {
	version, err := c.cfg.versions.best(req.Key(), 0, req.MaxVersion())
	if err != nil {
		return nil, nil, nil, err
	}
	req.SetVersion(version)
	resp = req.ResponseKind()
	resp.SetVersion(version)
	answer := make(chan error, 1)
	cl = &call{key: req.Key(), version: req.GetVersion()}
	cl.head = kmsg.NewRequestFormatter(kmsg.FormatterClientID(c.cfg.clientID)).AppendRequest(nil, req, 0)
	if t, ok := req.(kmsg.TimeoutRequest); ok {
		cl.wait = time.Duration(t.Timeout()) * time.Millisecond
	}
	cl.onBody = func(body []byte, err error) {
		if err == nil {
			err = c.decodePlain(resp, body)
		}
		answer <- err
	}
	return cl, resp, answer, nil
}

// decodePlain decodes a response and obeys its throttle.
func (c *Conn) decodePlain(resp kmsg.Response, body []byte) error {
	if err := decode(resp, body); err != nil {
		return fmt.Errorf("%w: %w", ErrPerhapsSent, err)
	}
	if t, ok := resp.(kmsg.ThrottleResponse); ok {
		if millis, after := t.Throttle(); after {
			c.mute(time.Duration(millis) * time.Millisecond)
		}
	}
	return nil
}

// recycle keeps cl for newCall.
func (c *Conn) recycle(cl *call) {
	cl.reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, cl)
}

// mute keeps the writer still for d: a client obeys the throttle time of a
// response by itself (KIP-219).
func (c *Conn) mute(d time.Duration) {
	if d <= 0 {
		return
	}
	c.stats.throttled(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(d); until.After(c.mutedUntil) {
		c.mutedUntil = until
	}
}

// drain fails everything outstanding, in order. Both loops have ended.
func (c *Conn) drain() {
	for {
		c.mu.Lock()
		kind, from := ErrPerhapsSent, &c.inFlight
		waits := from.len() == 0
		if waits {
			kind, from = ErrNotSent, &c.queue
		}
		cl, err := from.pop(), c.err
		c.mu.Unlock()
		if cl == nil {
			return
		}
		if waits && !cl.claim() {
			continue
		}
		c.answer(cl, func() { cl.fail(fmt.Errorf("%w: %w", kind, err)) })
	}
}

// answer runs a callback and keeps its call for newCall, unless a Request may
// still look at it.
func (c *Conn) answer(cl *call, callback func()) {
	c.callbacks <- struct{}{}
	callback()
	<-c.callbacks
	if cl.onBody == nil {
		c.recycle(cl)
	}
}

// closeNow closes a socket without a TLS farewell, which may block.
func closeNow(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	nc.Close()
}

// loggedIn notes that the login of now holds for so long (0: for ever). It is
// renewed a little earlier, at 85 % as Kafka's own clients do at the earliest.
func (c *Conn) loggedIn(holds time.Duration) {
	c.loginAgain = time.Time{}
	if holds > 0 {
		c.loginAgain = time.Now().Add(holds * 85 / 100)
	}
}

// awaitHead sets the read deadline for the oldest call in flight. A broker
// answers the requests of a connection one after another, so the time of a
// request runs from when it became the oldest. A socket that refuses is closed,
// which the next read tells. Called with mu held.
func (c *Conn) awaitHead() {
	var at time.Time // none: an idle connection may be silent
	if cl := c.inFlight.peek(); cl != nil {
		at = time.Now().Add(transferTime(c.cfg.requestTimeout+cl.wait, cl.size()))
	}
	_ = c.nc.SetReadDeadline(at)
}

// transferTime is what moving size bytes may take beyond d.
func transferTime(d time.Duration, size int) time.Duration {
	return d + time.Duration(size)*time.Second/minRate
}

// timeoutError names the read or write that a deadline ended.
func timeoutError(doing string, err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%s: %w: %w", doing, ErrTimeout, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
