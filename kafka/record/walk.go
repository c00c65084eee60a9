package record

import "iter"

// Batches yields the whole batches that records begin with, in order, without
// copying. An error, as NextBatch gives it, comes last.
func Batches(records []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for {
			batch, rest, err := NextBatch(records)
			if batch == nil && err == nil || !yield(batch, err) || err != nil {
				return
			}
			records = rest
		}
	}
}

// All yields the records that are left, each in the same place as the one
// before it. An error, as Next gives it, comes last.
func (r *Records) All() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		var rec Record
		for {
			more, err := r.Next(&rec)
			if !more && err == nil || !yield(&rec, err) || err != nil {
				return
			}
		}
	}
}
