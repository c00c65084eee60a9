package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
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
func (c *Conn) muted() time.Duration { return time.Until(c.mutedUntil) }

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

// renewLogin logs in anew when it is time (KIP-368), between two requests of
// the writer: a broker closes a connection that goes on with an expired login,
// but an idle one may renew it late.
func (c *Conn) renewLogin() error {
	if c.loginAgain.IsZero() || time.Now().Before(c.loginAgain) {
		return nil
	}
	holds, err := c.cfg.login(c.ctx, c.askNow)
	if err != nil {
		return fmt.Errorf("renewing login: %w", err)
	}
	c.loggedIn(holds)
	return nil
}

// askNow writes req ahead of everything queued and waits for its answer. Only
// the writing goroutine may call it.
func (c *Conn) askNow(req kmsg.Request) (kmsg.Response, error) {
	cl, resp, answer, err := c.plainCall(req)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	cl.setCorrelation(c.nextCorr)
	c.nextCorr++
	c.mu.Unlock()
	if err := c.write(cl); err != nil {
		return nil, err
	}
	select {
	case err := <-answer:
		return resp, err
	case <-c.ctx.Done():
		return nil, c.Err()
	}
}
