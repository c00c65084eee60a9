package pipe

import (
	"time"

	"sluice/kafka/record"
	"sluice/replication/filter"
	"sluice/replication/recovery"
)

// Memory is what holds the bytes of fetched batches.
type Memory interface {
	Retain()
	Release()
}

// item is one batch on its way, or offsets that a filler is to take.
type item struct {
	fill    int64  // so many offsets to be taken; 0: a batch
	memory  Memory // nil when given back
	batch   record.Batch
	merged  bool  // made of several
	from    int64 // first source offset
	epoch   int32 // source leader epoch
	maxTime int64 // ms, of its records
	sent    time.Time
	sum     recovery.Batch

	filtered filter.Counts // of the records that it was made of, and of those before it that left none
}

func (it *item) release() {
	if it.memory != nil {
		it.memory.Release()
		it.memory = nil
	}
}

// ring is a queue of items in memory of its own, which it keeps while the pipe
// is busy: a batch under way allocates nothing.
type ring struct {
	slots []item // a power of two of them, or none
	first int    // slot of the oldest item
	n     int
}

// minRing is the smallest ring that holds anything, in items.
const minRing = 4

func (r *ring) len() int { return r.n }

// at is the i-th item, 0 the oldest.
func (r *ring) at(i int) *item { return &r.slots[(r.first+i)&(len(r.slots)-1)] }

func (r *ring) push(it item) {
	if r.n == len(r.slots) {
		r.grow()
	}
	r.n++
	*r.at(r.n - 1) = it
}

// pop takes the oldest item out.
func (r *ring) pop() item {
	slot := r.at(0)
	it := *slot
	*slot = item{}
	r.first = (r.first + 1) & (len(r.slots) - 1)
	r.n--
	return it
}

func (r *ring) grow() {
	slots := make([]item, max(2*len(r.slots), minRing))
	for i := range r.n {
		slots[i] = *r.at(i)
	}
	r.slots, r.first = slots, 0
}

// settle gives an empty ring's memory back.
func (r *ring) settle() {
	if r.n == 0 {
		*r = ring{}
	}
}
