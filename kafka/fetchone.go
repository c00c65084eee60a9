package kafka

import (
	"context"
	"fmt"
	"time"
)

// FetchOptions bounds what FetchOne asks for.
type FetchOptions struct {
	Isolation Isolation
	MaxWait   time.Duration // that the broker may wait for a first record
	// Budget is what the answer's memory counts in, which may let it wait until
	// what was fetched before is written; nil: none, and it waits for nobody.
	Budget Budget
}

// FetchOne fetches from one partition, outside of any session, and waits for
// the answer; p.MaxBytes bounds it, but for its first batch, which comes whole.
// The answer holds the partition (FetchResponse.Only); its Buf is the caller's
// to release. Errors: what Fetch says, and the *kerr.Error of the whole
// request. When ctx ends first the Conn is closed and the error is ctx's.
// Called in a callback of the same Conn it never ends.
func (c *Conn) FetchOne(ctx context.Context, p FetchPartition, o FetchOptions) (FetchResponse, error) {
	type answer struct {
		resp FetchResponse
		err  error
	}
	got := make(chan answer, 1)
	req := FetchRequest{
		MaxWait: o.MaxWait, MinBytes: 1, MaxBytes: p.MaxBytes, Isolation: o.Isolation, SessionEpoch: -1, Budget: o.Budget,
		Partitions: []FetchPartition{p},
	}
	if err := c.Fetch(&req, func(resp FetchResponse, err error) { got <- answer{resp, err} }); err != nil {
		return FetchResponse{}, err
	}
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		c.Close() // the callback runs then
		if a = <-got; a.err == nil {
			a.resp.Buf.Release()
		}
		return FetchResponse{}, ctx.Err()
	}
	if a.err == nil && a.resp.Err != nil {
		a.resp.Buf.Release()
		a.err = fmt.Errorf("fetching from %s/%d: %w", p.Topic, p.Partition, a.resp.Err)
	}
	if a.err != nil {
		return FetchResponse{}, a.err
	}
	return a.resp, nil
}

// Only reads the one partition of an answer to FetchOne. Its ErrorCode is the
// caller's to judge. ErrProtocol: there is none, or it is unreadable.
func (f *FetchResponse) Only() (FetchedPartition, error) {
	var p FetchedPartition
	more, err := f.Next(&p)
	if err == nil && !more {
		err = fmt.Errorf("%w: a fetch answer without the partition", ErrProtocol)
	}
	return p, err
}
