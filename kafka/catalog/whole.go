package catalog

import (
	"context"
	"time"

	"sluice/kafka"
)

// whole is the last look at all topics of a Kafka cluster.
type whole struct {
	access
	topics *topics       // that hear of it too
	busy   chan struct{} // full while one is under way: all others wait for it

	// Of the holder of busy.
	client *kafka.Client // that looked
	last   *kafka.Answer
	at     time.Time // when it was sent
	err    error
}

func newWhole(a access, t *topics) *whole {
	return &whole{access: a, topics: t, busy: make(chan struct{}, 1)}
}

// get is Cluster.All.
func (w *whole) get(ctx context.Context, maxAge time.Duration) (kafka.Metadata, error) {
	called := time.Now()
	select {
	case w.busy <- struct{}{}:
		defer func() { <-w.busy }()
	case <-ctx.Done():
		return kafka.Metadata{}, ctx.Err()
	}
	c, err := w.reach(ctx)
	if err != nil {
		return kafka.Metadata{}, err
	}
	if w.client != c {
		w.client, w.last, w.err, w.at = c, nil, nil, time.Time{}
	}
	switch {
	case w.err != nil && w.at.After(called): // a failure speaks for those alone who waited for it
		return kafka.Metadata{}, w.err
	case w.err == nil && w.last != nil && called.Sub(w.at) < maxAge:
		return w.last.Metadata, nil
	}
	if err := w.look(ctx, c); err != nil {
		return kafka.Metadata{}, err
	}
	return w.last.Metadata, nil
}

// look sends a request. Called with busy held.
func (w *whole) look(ctx context.Context, c *kafka.Client) error {
	at := time.Now()
	// The answer of a large Kafka cluster takes its time.
	now, err := attempt(ctx, 2, func(ctx context.Context) (*kafka.Answer, error) { return c.LookAll(ctx, w.last) })
	if ctx.Err() != nil && err != nil {
		return err // the caller's alone
	}
	w.at, w.err = at, err
	if err == nil {
		w.topics.feed(c, now, now == w.last, at)
		w.last = now
	}
	return err
}
