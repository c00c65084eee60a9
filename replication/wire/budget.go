package wire

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Budget bounds the bytes of batches that a node holds. It is given to
// kafka.Buffers, which reserves before it reads an answer: a fetch then waits
// in its connection, which is the back-pressure.
type Budget struct {
	limit int64
	sem   *semaphore.Weighted
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{limit: limit, sem: semaphore.NewWeighted(limit)}
}

// Reserve waits until n bytes fit. An answer larger than the whole limit goes
// through alone.
func (b *Budget) Reserve(ctx context.Context, n int) error {
	if err := b.sem.Acquire(ctx, min(int64(n), b.limit)); err != nil {
		return err
	}
	b.used.Add(int64(n))
	return nil
}

// Release gives n bytes back, as they were reserved.
func (b *Budget) Release(n int) {
	b.used.Add(-int64(n))
	b.sem.Release(min(int64(n), b.limit))
}

// Short reports whether more than three quarters are used.
func (b *Budget) Short() bool { return b.used.Load() > b.limit*3/4 }

// Used returns the bytes reserved now and the limit.
func (b *Budget) Used() (used, limit int64) { return b.used.Load(), b.limit }
