package pipe

import (
	"errors"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// Arrival is what one fetch brought for the partition.
type Arrival struct {
	Records []byte // batches, perhaps cut off in the last one; written to
	Aborted []record.AbortedTxn
	Stable  int64     // the source's last stable offset
	High    int64     // its high watermark
	At      time.Time // when it came
	Memory  Memory    // holds Records; retained for what stays
}

// Wants reports whether something should be fetched for the pipe. Where memory
// is short only pipes that hold nothing get more, so that those which cannot
// send never take it all.
func (p *Pipe) Wants(memoryShort bool) bool {
	held := p.Held()
	return p.life == Taking && held < MaxHeld && (held == 0 || !memoryShort)
}

// Held is how many bytes wait of the pipe or are about to be handed over.
func (p *Pipe) Held() int { return p.out.queued + p.in.coming }

// Coming counts bytes that will be handed over.
func (p *Pipe) Coming(bytes int) { p.in.coming += bytes }

// Take accepts what was fetched.
func (p *Pipe) Take(a *Arrival, r *rewrite.Rebuilder) {
	p.in.coming = 0
	if p.life != Taking {
		return
	}
	p.in.stable, p.in.high, p.in.told = a.Stable, a.High, a.At
	t := taking{Pipe: p, a: a, r: r}
	if len(a.Aborted) > 0 {
		t.aborted = record.NewAborted(a.Aborted)
	}
	t.batches()
	p.passGap()
}

// taking is one Take under way.
type taking struct {
	*Pipe
	a       *Arrival
	r       *rewrite.Rebuilder
	aborted *record.Aborted // nil: no transaction was aborted
}

func (t *taking) batches() {
	rest := t.a.Records
	for t.life == Taking {
		b, r, err := record.NextBatch(rest)
		if err != nil {
			t.unreadable(b, r, err)
			return
		}
		if b == nil {
			if len(rest) > 0 && len(rest) == len(t.a.Records) { // the first batch of an answer is whole (KIP-74)
				t.unreadable(nil, nil, fmt.Errorf("%w: no whole batch in %d bytes", record.ErrCorruptBatch, len(rest)))
			}
			return
		}
		rest = r
		if err := b.VerifyCRC(); err != nil {
			if end := damagedEnd(b, rest); end > t.in.cursor.Source { // else it is passed already
				t.corrupt(max(b.BaseOffset(), t.in.cursor.Source), end, err)
			}
			continue
		}
		t.batch(b)
	}
}

// unreadable ends the pipe at a batch that cannot be read at all. Of formats
// that cannot be copied the range is the whole run that the answer holds; the
// offset of an old batch is that of its last record.
func (t *taking) unreadable(b record.Batch, rest []byte, err error) {
	code, from := fsm.CodeCorruptBatch, t.in.cursor.Source
	to, msg := from+1, err.Error()
	for b != nil && errors.Is(err, record.ErrUnsupportedFormat) {
		code, to = fsm.CodeUnsupportedFormat, max(to, b.BaseOffset()+1)
		b, rest, err = record.NextBatch(rest)
	}
	t.finish(recovery.AtSource(recovery.Blocked, code, from, to, msg))
}

// corrupt ends the pipe at source offsets that cannot be copied.
func (t *taking) corrupt(from, to int64, err error) {
	code := fsm.CodeCorruptBatch
	if errors.Is(err, record.ErrOverBudget) {
		code = fsm.CodeOverBudget
	}
	t.finish(recovery.AtSource(recovery.Blocked, code, from, max(to, from+1), err.Error()))
}

// batch accepts one sound batch.
func (t *taking) batch(b record.Batch) {
	h, err := record.ParseHeader(b)
	at := max(h.BaseOffset, t.in.cursor.Source)
	drop := false
	if err == nil && t.aborted != nil {
		drop, err = t.aborted.Skip(t.r.Codec, b)
	}
	if err != nil {
		t.corrupt(at, h.LastOffset()+1, err)
		return
	}
	if h.LastOffset() < t.in.cursor.Source {
		return
	}
	class, _ := rewrite.Classify(&h, t.in.cursor.Source)
	if class == rewrite.Control || drop || t.skip[h.ProducerID] || h.Count == 0 {
		t.in.epoch = h.LeaderEpoch
		t.gap(h.LastOffset()+1, gapReason(class, drop, h.Count))
		return
	}
	if h.BaseOffset > t.in.cursor.Source && !t.gap(h.BaseOffset, "offsets are missing at the source (compaction or an aborted transaction)") {
		return
	}
	t.in.epoch = h.LeaderEpoch
	if class == rewrite.NeedsOpening {
		t.open(b, &h)
		return
	}
	it := item{memory: t.a.Memory, batch: b, from: h.BaseOffset, epoch: h.LeaderEpoch, maxTime: h.MaxTimestamp}
	it.sum = recovery.Batch{Target: t.in.cursor.Target, Count: h.Count}
	if seg, changed := t.in.cursor.Pass(&h); changed {
		it.sum.Segments = []fsm.Segment{seg}
	}
	it.sum.Next = t.in.cursor.Source
	t.push(it)
}

// damagedEnd is the offset behind a batch whose bytes are not those that were
// written, so that its header may say anything. The batch behind it knows, if
// that is there and sound; else the header is believed where it agrees with
// itself, and the batch's first offset alone where it does not.
func damagedEnd(b record.Batch, rest []byte) int64 {
	first := b.BaseOffset()
	if next, _, err := record.NextBatch(rest); err == nil && next != nil && next.VerifyCRC() == nil && next.BaseOffset() > first {
		return next.BaseOffset()
	}
	if end := b.LastOffset() + 1; end-first == int64(b.Count()) && end > first {
		return end
	}
	return first + 1
}

func gapReason(class rewrite.Class, aborted bool, count int32) string {
	switch {
	case class == rewrite.Control:
		return "a transaction marker takes an offset"
	case aborted:
		return "an aborted transaction takes offsets"
	case count == 0:
		return "compaction emptied a batch"
	}
	return "a batch that another link wrote is not copied back"
}

// gap moves over source offsets that are not written. A dense stream ends
// there, for the next shift must be committed before data that rests on it; a
// known segment's gap is crossed freely. False: the pipe finishes.
func (p *Pipe) gap(to int64, why string) bool {
	if p.mapping.Phase == fsm.PhaseDense && to > p.knownNext() {
		p.finish(recovery.AtSource(recovery.Gap, fsm.CodeTranslated, p.in.cursor.Source, to, why))
		return false
	}
	p.in.cursor.Source = max(p.in.cursor.Source, to)
	return true
}

// knownNext is the source offset that the mapping gives for the cursor's
// target offset: beyond its source offset where a committed segment begins.
func (p *Pipe) knownNext() int64 { return offsets.Source(&p.mapping, p.in.cursor.Target) }

// open sends a batch through the slow path.
func (t *taking) open(b record.Batch, h *record.Header) {
	job := rewrite.Job{Batches: []record.Batch{b}, Cursor: t.in.cursor, Budget: t.maxOpened}
	for done := false; !done; {
		out, err := t.r.Rebuild(job, nil)
		if err != nil {
			t.corrupt(max(h.BaseOffset, t.in.cursor.Source), h.LastOffset()+1, err)
			return
		}
		// Gaps inside the batch: a dense stream has to commit them first.
		if t.mapping.Phase == fsm.PhaseDense && !h.Dense() {
			t.finish(recovery.AtSource(recovery.Gap, fsm.CodeTranslated, t.in.cursor.Source, t.in.cursor.Source, "compaction removed records of a batch"))
			return
		}
		before := t.in.cursor
		t.in.cursor = out.Cursor
		if out.Batch != nil {
			// The memory stands in the budget for the rebuilt bytes, which are about as many.
			t.push(item{
				memory: t.a.Memory, batch: out.Batch, from: max(h.BaseOffset, before.Source), epoch: h.LeaderEpoch, maxTime: out.Batch.MaxTimestamp(),
				sum: recovery.Batch{Target: before.Target, Count: out.Batch.Count(), Next: out.Cursor.Source, Segments: out.Segments},
			})
		}
		job.Cursor = t.in.cursor
		done = out.Done > 0 || out.Batch == nil
	}
}

// push queues a batch, made ready to be sent.
func (p *Pipe) push(it item) {
	it.memory.Retain()
	it.sum.Sequence = offsets.Sequence(&p.mapping, it.sum.Target)
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
