package kafka

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Budget bounds the memory of buffers in use. Reserve may block until n bytes
// are free or ctx ends; one that can never fit must be let through when nothing
// else is held.
type Budget interface {
	Reserve(ctx context.Context, n int) error
	Release(n int)
}

// Sizes of buffers: four classes per doubling, so that at most a quarter is
// wasted.
const (
	minBufBits = 12 // 4 KiB, the smallest class
	maxBufBits = 31
	bufClasses = (maxBufBits-minBufBits)*4 + 1
)

// Buffers is a pool of size-classed buffers. It keeps unused ones on free
// lists of its own, not in a sync.Pool: a collection there would throw away
// megabytes that the next response needs zeroed again.
type Buffers struct {
	maxIdle int // bytes

	mu    sync.Mutex
	idle  int // bytes on the free lists
	ticks uint64
	class [bufClasses]bufClass
}

// bufClass is the free list of one size; the last one in is the first out.
type bufClass struct {
	free     []*Buf
	lastUsed uint64
}

// NewBuffers returns a pool that keeps at most maxIdle bytes of unused
// buffers.
func NewBuffers(maxIdle int) *Buffers { return &Buffers{maxIdle: maxIdle} }

// Get returns a buffer of length n, with any content and one reference, once
// the budget has let it in; nil: there is none. The error is the budget's.
func (p *Buffers) Get(ctx context.Context, budget Budget, n int) (*Buf, error) {
	class, size := bufSize(n)
	if budget != nil {
		if err := budget.Reserve(ctx, size); err != nil {
			return nil, err
		}
	}
	b := p.take(class)
	if b == nil {
		b = &Buf{pool: p, class: class, all: make([]byte, size)}
	}
	b.n, b.budget = n, budget
	b.refs.Store(1)
	return b, nil
}

// Idle returns how many bytes of unused buffers are kept.
func (p *Buffers) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}

func (p *Buffers) take(class int) *Buf {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.class[class]
	p.ticks++
	c.lastUsed = p.ticks
	last := len(c.free) - 1
	if last < 0 {
		return nil
	}
	b := c.free[last]
	c.free[last] = nil
	c.free = c.free[:last]
	p.idle -= len(b.all)
	return b
}

func (p *Buffers) put(b *Buf) {
	budget := b.budget
	b.budget = nil
	p.mu.Lock()
	for p.idle+len(b.all) > p.maxIdle && p.evict(b.class) {
	}
	if p.idle+len(b.all) <= p.maxIdle {
		c := &p.class[b.class]
		c.free = append(c.free, b)
		p.idle += len(b.all)
	}
	p.mu.Unlock()
	if budget != nil {
		budget.Release(len(b.all))
	}
}

// evict drops one buffer of the class that was asked for longest ago, so that
// sizes no longer wanted do not keep out those that are. Called with mu held.
func (p *Buffers) evict(wanted int) bool {
	oldest := -1
	for i := range p.class {
		if i != wanted && len(p.class[i].free) > 0 &&
			(oldest < 0 || p.class[i].lastUsed < p.class[oldest].lastUsed) {
			oldest = i
		}
	}
	if oldest < 0 {
		return false
	}
	c := &p.class[oldest]
	last := len(c.free) - 1
	p.idle -= len(c.free[last].all)
	c.free[last] = nil
	c.free = c.free[:last]
	return true
}

// bufSize returns the class for n bytes and the size of its buffers.
func bufSize(n int) (class, size int) {
	if n <= 1<<minBufBits {
		return 0, 1 << minBufBits
	}
	log := bits.Len(uint(n - 1)) // n is in (1<<(log-1), 1<<log]
	shift := log - 3
	quarters := (n + 1<<shift - 1) >> shift // 5 to 8
	return (log-1-minBufBits)*4 + quarters - 4, quarters << shift
}

// Buf is a pooled, reference-counted buffer. Whoever holds a reference may
// use the bytes; the last Release gives them back.
type Buf struct {
	pool   *Buffers
	budget Budget // that it counts in; may be nil
	class  int
	all    []byte
	n      int
	refs   atomic.Int32
}

// Bytes returns the buffer's bytes, valid while a reference is held.
func (b *Buf) Bytes() []byte { return b.all[:b.n] }

// Size returns what the buffer takes from the budget, in bytes.
func (b *Buf) Size() int { return len(b.all) }

// Retain adds a reference.
func (b *Buf) Retain() {
	if b.refs.Add(1) <= 1 {
		panic("kafka: Buf retained after its last release")
	}
}

// Release drops a reference; after the last one the bytes must not be touched.
func (b *Buf) Release() {
	switch left := b.refs.Add(-1); {
	case left == 0:
		b.pool.put(b)
	case left < 0:
		panic("kafka: Buf released too often")
	}
}
