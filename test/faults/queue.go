package faults

import "sync"

// queue passes items from one reader to one writer in order. It is bounded by bytes, not items: a
// delayed wire carries very many small chunks.
type queue[T any] struct {
	limit int // bytes; one item is always let in

	mu     sync.Mutex
	cond   sync.Cond
	items  []T
	sizes  []int
	bytes  int
	ended  bool // no more items will come
	broken bool // nobody takes items any more
}

func newQueue[T any](limit int) *queue[T] {
	q := &queue[T]{limit: limit}
	q.cond.L = &q.mu
	return q
}

// push adds an item of the given size and waits while the queue is full. It reports false when
// nobody takes items any more.
func (q *queue[T]) push(item T, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes > 0 && q.bytes+size > q.limit && !q.broken {
		q.cond.Wait()
	}
	if q.broken {
		return false
	}
	q.items, q.sizes = append(q.items, item), append(q.sizes, size)
	q.bytes += size
	q.cond.Broadcast()
	return true
}

// pop takes the oldest item and waits for one; false when there will be none.
func (q *queue[T]) pop() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.ended && !q.broken {
		q.cond.Wait()
	}
	if len(q.items) == 0 || q.broken {
		return item, false
	}
	item = q.items[0]
	q.bytes -= q.sizes[0]
	q.items, q.sizes = q.items[1:], q.sizes[1:]
	q.cond.Broadcast()
	return item, true
}

// end says that no more items will come; those inside can still be taken.
func (q *queue[T]) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.cond.Broadcast()
}

// breakOff makes push and pop return false from now on.
func (q *queue[T]) breakOff() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.broken = true
	q.cond.Broadcast()
}
