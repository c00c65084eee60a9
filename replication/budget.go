package replication

import (
	"context"
	"sync"
)

// Budget bounds the bytes of batches that a node holds. It is given to
// kafka.Buffers, which reserves before it reads an answer: a fetch then waits
// in its connection, which is the back-pressure.
type Budget struct {
	limit int64

	mu    sync.Mutex
	used  int64
	freed chan struct{} // closed and replaced when bytes come back
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{limit: limit, freed: make(chan struct{})}
}

// Reserve waits until n bytes fit, or nothing else is held: an answer larger
// than the whole limit goes through alone.
func (b *Budget) Reserve(ctx context.Context, n int) error {
	for {
		b.mu.Lock()
		if b.used == 0 || b.used+int64(n) <= b.limit {
			b.used += int64(n)
			b.mu.Unlock()
			return nil
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Release gives n bytes back.
func (b *Budget) Release(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= int64(n)
	close(b.freed)
	b.freed = make(chan struct{})
}

// Short reports whether more than three quarters are used.
func (b *Budget) Short() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used > b.limit*3/4
}

// Used returns the bytes reserved now and the limit.
func (b *Budget) Used() (used, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.limit
}
