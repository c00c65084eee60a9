package verify

import (
	"sluice/kafka/record"
	"sluice/replication/filter"
)

// filtering makes of source records what the target holds of them.
type filtering struct {
	filter *filter.Filter
	memory filter.Scratch
	left   int64 // records that it leaves out, since taken was called
}

// newFiltering is nil where the link has no filter.
func newFiltering(f *filter.Filter) *filtering {
	if f == nil {
		return nil
	}
	return &filtering{filter: f}
}

// holds changes the record to what the target holds of it, until the next call;
// false: it does not hold it.
func (f *filtering) holds(r *record.Record) bool {
	if f == nil {
		return true
	}
	kept := f.filter.Holds(r, &f.memory)
	if !kept {
		f.left++
	}
	return kept
}

// taken gives how many records were left out since the last call.
func (f *filtering) taken() int64 {
	if f == nil {
		return 0
	}
	n := f.left
	f.left = 0
	f.memory.Shrink(smallBatch)
	return n
}
