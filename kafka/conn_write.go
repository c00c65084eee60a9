package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// writeLoop writes queued calls in order until the Conn is dead.
func (c *Conn) writeLoop() error {
	for {
		cl := c.nextToWrite()
		if cl == nil {
			return ErrClosed // fail keeps the first error
		}
		if err := c.renewLogin(); err != nil {
			c.answer(cl, func() { cl.fail(fmt.Errorf("%w: %w", ErrNotSent, err)) })
			return err
		}
		if cl.beforeWrite != nil {
			if err := cl.beforeWrite(); err != nil {
				c.answer(cl, func() { cl.fail(fmt.Errorf("%w: %w", ErrNotSent, err)) })
				continue
			}
		}
		if err := c.write(cl); err != nil {
			return err
		}
	}
}

// nextToWrite waits until a call is queued and the broker's throttle has
// passed, and takes the call; nil when the Conn is dead.
func (c *Conn) nextToWrite() *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil {
		if c.queue.len() == 0 {
			c.changed.Wait()
			continue
		}
		if d := c.muted(); d > 0 {
			t := time.AfterFunc(d, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.changed.Broadcast()
			})
			c.changed.Wait()
			t.Stop()
			continue
		}
		// What is not claimed here stays queued for drain to answer.
		if cl := c.queue.pop(); cl.claim() {
			return cl
		}
	}
	return nil
}

// muted returns how long the writer has to be still. Called with mu held.
func (c *Conn) muted() time.Duration {
	if c.mutedUntil.IsZero() {
		return 0
	}
	d := time.Until(c.mutedUntil)
	if d <= 0 {
		c.mutedUntil = time.Time{}
	}
	return d
}

// write puts cl in flight and writes it. After an error the Conn must end: a
// request cut short cannot be followed by another.
func (c *Conn) write(cl *call) error {
	size := cl.size()
	c.mu.Lock()
	cl.sent = time.Now()
	c.inFlight.push(cl)
	c.mu.Unlock()
	_ = c.nc.SetWriteDeadline(cl.sent.Add(transferTime(c.cfg.requestTimeout, size)))
	if err := c.out.write(cl); err != nil {
		return timeoutError("writing request", err)
	}
	c.stats.wrote(size)
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.written = true
	c.changed.Broadcast()
	if c.inFlight.peek() == cl {
		c.awaitHead()
	}
	return nil
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
	into := c.cfg.buffers
	if cl.into != nil {
		into = cl.into
	}
	buf, err := into.Get(c.ctx, size)
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

// vectorWriter writes calls to a socket: a TCP socket takes the pieces as
// they are (writev); any other, TLS above all, gets them in one piece, for
// each Write may cost a record and a system call there.
type vectorWriter struct {
	nc    net.Conn
	tcp   bool
	parts [][]byte
	vec   net.Buffers
	flat  []byte
}

func newVectorWriter(nc net.Conn) vectorWriter {
	_, tcp := nc.(*net.TCPConn)
	return vectorWriter{nc: nc, tcp: tcp}
}

func (w *vectorWriter) write(cl *call) error {
	w.parts = cl.pieces(w.parts[:0])
	if w.tcp {
		w.vec = w.parts // WriteTo consumes vec and clears what parts points to
		_, err := w.vec.WriteTo(w.nc)
		return err
	}
	w.flat = w.flat[:0]
	for _, p := range w.parts {
		w.flat = append(w.flat, p...)
	}
	clear(w.parts)
	_, err := w.nc.Write(w.flat)
	if cap(w.flat) > maxKeptFlat {
		w.flat = nil
	}
	return err
}

// maxKeptFlat bounds what a vectorWriter keeps, in bytes: a little more than
// a produce request of the usual size.
const maxKeptFlat = 1 << 20
