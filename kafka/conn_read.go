package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// newConn starts a Conn on a socket that is logged in.
func newConn(nc net.Conn, cfg connConfig) *Conn {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Conn{
		nc: nc, out: newVectorWriter(nc), in: bufio.NewReaderSize(nc, readBuffer),
		cfg: cfg, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), callbacks: make(chan struct{}, 1),
	}
	c.changed.L = &c.mu
	c.stats.total = cfg.total
	c.loggedIn(cfg.loginHolds)
	c.stats.open()
	go c.run()
	return c
}

// run reads until the Conn is dead, waits for the writer, fails what is
// outstanding and closes done.
func (c *Conn) run() {
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		c.fail(c.writeLoop())
	}()
	c.fail(c.readLoop())
	<-writer
	c.drain()
	c.stats.close()
	if c.cfg.onDone != nil {
		c.cfg.onDone(c)
	}
	close(c.done)
}

// readLoop reads responses and runs callbacks until the Conn is dead.
func (c *Conn) readLoop() error {
	for {
		cl, size, err := c.readHead()
		if err != nil {
			return err
		}
		if cl.onFetch != nil {
			err = c.readFetch(cl, size)
		} else {
			err = c.readPlain(cl, size)
		}
		if err != nil {
			return err
		}
	}
}

// readHead reads size and correlation id and returns the call that they
// belong to, still in flight, and the size of what follows.
func (c *Conn) readHead() (*call, int, error) {
	head, err := c.in.Peek(8)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, timeoutError("reading response", err)
	}
	size := int(int32(binary.BigEndian.Uint32(head))) - 4
	corr := int32(binary.BigEndian.Uint32(head[4:]))
	if size < 0 || size > c.cfg.maxResponse {
		return nil, 0, fmt.Errorf("%w: response of %d bytes", ErrProtocol, size)
	}
	if _, err := c.in.Discard(len(head)); err != nil {
		return nil, 0, fmt.Errorf("reading response: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.inFlight.peek()
	if cl == nil {
		return nil, 0, fmt.Errorf("%w: response %d to nothing", ErrProtocol, corr)
	}
	if cl.corr != corr {
		return nil, 0, fmt.Errorf("%w: response %d, expected %d", ErrProtocol, corr, cl.corr)
	}
	c.stats.got(size + 8)
	return cl, size, nil
}

// readBody fills b. It must not be slower than minRate.
func (c *Conn) readBody(b []byte) error {
	if len(b) > c.in.Buffered() {
		_ = c.nc.SetReadDeadline(time.Now().Add(transferTime(c.cfg.requestTimeout, len(b))))
	}
	if _, err := io.ReadFull(c.in, b); err != nil {
		return timeoutError("reading response", err)
	}
	return nil
}

// retire takes the answered call out of flight. A broker may answer before
// our writer has noticed that the request is out: the caller's batches are
// still in use then, so retire waits for the writer. An answer that is here is
// handed over even if the Conn has died since.
func (c *Conn) retire(cl *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !cl.written && c.err == nil {
		c.changed.Wait()
	}
	if !cl.written {
		return c.err
	}
	c.inFlight.pop()
	c.awaitHead()
	return nil
}

// readFetch reads a fetch response into a pooled buffer and hands it over.
func (c *Conn) readFetch(cl *call, size int) error {
	buf, err := c.cfg.buffers.Get(c.ctx, cl.budget, size)
	if err != nil {
		return fmt.Errorf("getting a buffer for a response: %w", err)
	}
	resp := FetchResponse{Version: cl.version, Buf: buf}
	err = c.readBody(buf.Bytes())
	if err == nil {
		err = resp.parseHead()
	}
	if err == nil {
		err = c.retire(cl)
	}
	if err != nil {
		buf.Release()
		return err
	}
	resp.RTT = time.Since(cl.sent)
	c.mute(resp.Throttle)
	c.answer(cl, func() { cl.onFetch(resp, nil) })
	return nil
}

// readPlain reads the response of a produce or plain request and hands it
// over. Plain ones get bytes of their own, for what kmsg decodes may alias
// them.
func (c *Conn) readPlain(cl *call, size int) error {
	if cl.onBody != nil || cap(c.scratch) < size || cap(c.scratch) > maxKeptHead {
		c.scratch = make([]byte, size)
	}
	body := c.scratch[:size]
	if err := c.readBody(body); err != nil {
		return err
	}
	var resp ProduceResponse
	if cl.onProduce != nil {
		var err error
		if resp, err = c.parseProduce(cl, body); err != nil {
			return err
		}
	}
	if err := c.retire(cl); err != nil {
		return err
	}
	if cl.onBody != nil {
		c.scratch = nil
		c.answer(cl, func() { cl.onBody(body, nil) })
		return nil
	}
	resp.RTT = time.Since(cl.sent)
	c.mute(resp.Throttle)
	c.answer(cl, func() { cl.onProduce(resp, nil) })
	return nil
}

// parseProduce reads a produce response and puts its partitions in the order
// of the request: brokers answer in any. ErrProtocol when one is missing,
// unasked for or told twice.
func (c *Conn) parseProduce(cl *call, body []byte) (ProduceResponse, error) {
	n := len(cl.partitions)
	if cap(c.produced) < n {
		c.produced = make([]ProducedPartition, n)
	}
	out := c.produced[:n]
	clear(out)
	r := wireReader{b: body}
	r.skipTags() // of the response header
	found, guess := 0, 0
	for topics := r.arrayLen(2); topics > 0 && !r.bad; topics-- {
		var key partitionKey
		var name []byte
		if cl.version >= idProduceVersion {
			key.id = r.uuid()
		} else {
			name = r.compactBytes()
		}
		for parts := r.arrayLen(32); parts > 0 && !r.bad; parts-- {
			key.partition = r.int32()
			at := cl.find(&key, name, guess)
			if at < 0 || out[at].answered {
				return ProduceResponse{}, fmt.Errorf("%w: produce response for partition %d unasked", ErrProtocol, key.partition)
			}
			out[at].read(&r)
			found, guess = found+1, at+1
		}
		r.skipTags()
	}
	throttle := time.Duration(r.int32()) * time.Millisecond
	r.skipTags()
	if r.bad || found != n {
		return ProduceResponse{}, fmt.Errorf("%w: produce response tells %d of %d partitions", ErrProtocol, found, n)
	}
	return ProduceResponse{Throttle: throttle, Partitions: out}, nil
}
