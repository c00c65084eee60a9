package kafka

import (
	"context"
	"errors"
	"fmt"

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
	cl, resp, answer, err := c.plainCall(req)
	if err != nil {
		return nil, err
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

// Broker returns the one-shot calls on this very connection.
func (c *Conn) Broker() Broker { return Broker{c} }
