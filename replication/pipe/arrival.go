package pipe

import (
	"errors"
	"time"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/filter"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// Arrival is what one fetch brought for the partition.
type Arrival struct {
	Records []byte // batches, perhaps cut off in the last one; written to; Take leaves what it has not taken
	Aborted []record.AbortedTxn
	Stable  int64     // the source's last stable offset
	High    int64     // its high watermark
	At      time.Time // when it came
	Memory  Memory    // holds Records; retained for what stays
	// Apart is the memory of a batch that has outgrown its place in Records; nil:
	// it is not counted.
	Apart func(bytes int) Memory

	begun   bool            // a batch of it is taken
	memory  Memory          // of the batch at hand
	aborted *record.Aborted // nil: no transaction was aborted
}

// taking is one Take under way.
type taking struct {
	*Pipe
	a    *Arrival
	r    *rewrite.Rebuilder
	room int // that the batch at the begin of the arrival needs; 0: not known to be more than there is
}

// corrupt ends the pipe at source offsets that cannot be copied.
func (t *taking) corrupt(from, to int64, err error) {
	code := fsm.CodeCorruptBatch
	if errors.Is(err, record.ErrOverBudget) {
		code = fsm.CodeOverBudget
	}
	t.finish(recovery.AtSource(recovery.Blocked, code, from, max(to, from+1), err.Error()))
}

// begin is the first source offset that a batch may be about.
func (t *taking) begin(b record.Batch) int64 {
	if b.Wrapper() {
		return t.in.cursor.Source
	}
	return max(b.BaseOffset(), t.in.cursor.Source)
}

// knownNext is the source offset that the mapping gives for the cursor's
// target offset: beyond its source offset where a committed segment begins.
func (p *Pipe) knownNext() int64 { return offsets.Source(&p.mapping, p.in.cursor.Target) }

// open sends a batch through the slow path. What becomes of it takes its place
// in memory, if that suffices.
func (t *taking) open(b record.Batch, h *record.Header) {
	if t.r == nil {
		t.room = rewrite.FirstRoom(b, t.maxOpened)
		return
	}
	out, err := t.r.Rebuild(rewrite.Job{Batches: []record.Batch{b}, Cursor: t.in.cursor}, b[:0:len(b)])
	if t.opened(b, err) && !t.gapInside(h) {
		memory := t.a.memory
		if out.Batch != nil && &out.Batch[0] != &b[0] {
			memory = t.apart(out.Batch)
		}
		t.rebuilt(out, h, memory)
	}
}

// opened tells what an error of the slow path means; true: there is none.
func (t *taking) opened(b record.Batch, err error) bool {
	switch {
	case errors.Is(err, record.ErrOverBudget) && t.r.Room < t.maxOpened:
		t.room = rewrite.NextRoom(t.r.Room, t.maxOpened)
	case err != nil:
		t.corrupt(t.begin(b), b.LastOffset()+1, err)
	}
	return err == nil
}

// gapInside ends a dense stream at a batch that compaction took records of: that
// has to be committed first.
func (t *taking) gapInside(h *record.Header) bool {
	if t.mapping.Phase != fsm.PhaseDense || h.Dense() {
		return false
	}
	t.finish(recovery.AtSource(recovery.Gap, fsm.CodeTranslated, t.in.cursor.Source, t.in.cursor.Source, "compaction removed records of a batch"))
	return true
}

// apart is the memory of a batch that does not stand in the arrival.
func (t *taking) apart(b record.Batch) Memory {
	if t.a.Apart == nil {
		return t.a.Memory
	}
	return t.a.Apart(cap(b))
}

// rebuilt queues what became of a batch, or of part of it.
func (t *taking) rebuilt(out rewrite.Rebuilt, h *record.Header, memory Memory) {
	before := t.in.cursor
	t.in.cursor = out.Cursor
	t.in.filtered = t.in.filtered.Plus(out.Filtered)
	if out.Batch == nil {
		return
	}
	t.push(item{
		memory: memory, batch: out.Batch, from: max(h.BaseOffset, before.Source), epoch: h.LeaderEpoch, maxTime: out.Batch.MaxTimestamp(),
		sum: recovery.Batch{Target: before.Target, Count: out.Batch.Count(), Next: out.Cursor.Source, Segments: out.Segments},
	})
}

// push queues a batch, made ready to be sent.
func (p *Pipe) push(it item) {
	it.memory.Retain()
	it.sum.Sequence = p.out.sequence
	it.filtered, p.in.filtered = p.in.filtered, filter.Counts{}
	p.out.sequence = offsets.NextSequence(it.sum.Sequence, it.sum.Count)
	record.Rewrite(it.batch, p.mapping.ProducerID, p.mapping.ProducerEpoch, it.sum.Sequence)
	p.out.queue.push(it)
	p.out.queued += len(it.batch)
	// A segment that the mapping already knows begins here: jump its gap.
	if p.mapping.Phase == fsm.PhaseDense {
		if next := p.knownNext(); next > p.in.cursor.Source {
			p.in.cursor.Source, p.in.cursor.Shift = next, p.in.cursor.Target-next
		}
	}
}
