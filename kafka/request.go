package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Request issues any request in the best version that both sides speak and
// waits for its answer: the generic, slow path. When ctx ends first, a
// request that is still queued is dropped (ErrNotSent) and the answer to a
// written one is thrown away (ErrPerhapsSent); the Conn lives on. Waiting in
// a callback of the same Conn never ends.
func (c *Conn) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return nil, errors.New("kafka: a produce request with acks=0 has no answer")
	}
	version, err := c.cfg.versions.best(req.Key(), 0, req.MaxVersion())
	if err != nil {
		return nil, err
	}
	req.SetVersion(version)
	resp := req.ResponseKind()
	resp.SetVersion(version)

	cl, answer := c.plainCall(req, resp)
	if err := c.enqueue(cl); err != nil {
		return nil, err
	}
	select {
	case err := <-answer:
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err)
		}
		return resp, nil
	case <-ctx.Done():
		kind := ErrPerhapsSent
		if cl.claim() {
			kind = ErrNotSent
		}
		return nil, fmt.Errorf("%s: %w: %w", kmsg.NameForKey(req.Key()), kind, ctx.Err())
	}
}

// plainCall returns a call for req and where the outcome will be told once
// resp is decoded.
func (c *Conn) plainCall(req kmsg.Request, resp kmsg.Response) (*call, <-chan error) {
	answer := make(chan error, 1)
	cl := &call{key: req.Key(), version: req.GetVersion()}
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
	return cl, answer
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

// loggedIn notes that the login of now holds for so long (0: for ever). It is
// renewed a little earlier, at 85 % as Kafka's own clients do at the earliest.
func (c *Conn) loggedIn(holds time.Duration) {
	c.loginAgain = time.Time{}
	if holds > 0 {
		c.loginAgain = time.Now().Add(holds * 85 / 100)
	}
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
	version, err := c.cfg.versions.best(req.Key(), 0, req.MaxVersion())
	if err != nil {
		return nil, err
	}
	req.SetVersion(version)
	resp := req.ResponseKind()
	resp.SetVersion(version)
	cl, answer := c.plainCall(req, resp)
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

// Broker returns the one-shot calls on this very connection.
func (c *Conn) Broker() Broker { return Broker{c} }
