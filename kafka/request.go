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
	version, err := c.versions.best(req.Key(), 0, req.MaxVersion())
	if err != nil {
		return nil, err
	}
	req.SetVersion(version)
	resp := req.ResponseKind()
	resp.SetVersion(version)

	answer := make(chan error, 1)
	cl := &call{key: req.Key(), version: version}
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

// Broker returns the one-shot calls on this very connection.
func (c *Conn) Broker() Broker { return Broker{c} }
