package pipe

import (
	"iter"

	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// smallest says which batches are small: so many of them make a large one. To
// make one of fewer would save a broker little and cost us much, where they are
// compressed.
const smallest = 16

// Mergeable says how many of the batches that wait, from the next one on, may go
// as one of at most most bytes, and how many bytes they have: neighbours at the
// source, small, of one codec. 0: the next one goes as it is. Nothing is waited
// for: what waits when its turn comes has waited already.
func (p *Pipe) Mergeable(most int) (batches, bytes int) {
	small := most / smallest
	if p.maxBatch > 0 {
		most = min(most, p.maxBatch)
	}
	for n := range p.out.queue.len() {
		it := p.out.queue.at(n)
		if it.sum.Target < p.singly || !it.small(small) || n > 0 && !it.follows(p.out.queue.at(n-1)) || bytes+len(it.batch) > most {
			break
		}
		batches, bytes = n+1, bytes+len(it.batch)
	}
	if batches < 2 {
		return 0, 0
	}
	return batches, bytes
}

// small reports whether it is a batch of at most so many bytes of which only the
// codec is to be known.
func (it *item) small(bytes int) bool {
	return it.fill == 0 && len(it.batch) <= bytes && it.batch.Attributes()&^record.AttrCodecMask == 0
}

// follows reports whether a batch is of the same kind as the one before it, and
// nothing lies between them at the source: no gap, no segment, no change of its
// leader.
func (it *item) follows(before *item) bool {
	return it.from == before.sum.Next && it.epoch == before.epoch && len(it.sum.Segments) == 0 && it.batch.Attributes() == before.batch.Attributes()
}

// Merge makes one batch of the next ones that are Mergeable, as far as r has room;
// apart is memory for what is made. Records, timestamps and headers stay what they
// are, and so does the range of offsets and sequences: a broker appends all of it
// or nothing, and refuses any other part of it that is sent, merged or not. When
// it is judged (Next) it counts as old as the first of them, when it is the
// predecessor as the youngest, as for the broker.
func (p *Pipe) Merge(most int, r *rewrite.Rebuilder, apart func(bytes int) Memory) {
	queue := &p.out.queue
	n, bytes := p.Mergeable(most)
	if n == 0 {
		return
	}
	b, taken, err := r.Merge(queue.batches(n), make([]byte, 0, bytes))
	if err != nil || taken < 2 {
		return // they go as they are
	}
	first, last := queue.at(0), queue.at(taken-1)
	it := item{
		memory: apart(cap(b)), batch: b, merged: true, from: first.from, epoch: first.epoch, maxTime: b.MaxTimestamp(),
		sum: recovery.Batch{Sequence: first.sum.Sequence, Target: first.sum.Target, Count: b.Count(), Next: last.sum.Next, Segments: first.sum.Segments},
	}
	it.memory.Retain()
	record.Rewrite(b, p.mapping.ProducerID, p.mapping.ProducerEpoch, it.sum.Sequence)
	p.out.queued += len(b)
	for range taken - 1 {
		part := queue.pop()
		it.filtered = it.filtered.Plus(part.filtered)
		p.out.queued -= len(part.batch)
		part.release()
	}
	part := queue.at(0)
	it.filtered = it.filtered.Plus(part.filtered)
	p.out.queued -= len(part.batch)
	part.release()
	*part = it
}

// batches are those of the n oldest items.
func (r *ring) batches(n int) iter.Seq[record.Batch] {
	return func(yield func(record.Batch) bool) {
		for i := range n {
			if !yield(r.at(i).batch) {
				return
			}
		}
	}
}
