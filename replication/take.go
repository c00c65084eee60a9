package replication

import (
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/position"
	"sluice/replication/rewrite"
)

// take accepts fetched records of a partition. It runs on the lane's
// connection and returns quickly; buf is retained for what stays.
func (f *flow) take(p *kafka.FetchedPartition, buf *kafka.Buf, slow *rewrite.Rebuilder) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.coming = 0
	if f.ended || f.after != nil {
		return
	}
	defer f.enqueue()
	defer f.passGap()
	f.high, f.held.end = p.LastStableOffset, p.HighWatermark
	aborted := (*record.Aborted)(nil)
	if len(p.Aborted) > 0 {
		aborted = record.NewAborted(p.Aborted)
	}
	now := f.s.r.now()
	rest := p.Records
	for {
		b, r, err := record.NextBatch(rest)
		if err != nil {
			f.refuse(b, r, err)
			return
		}
		if b == nil {
			if len(rest) > 0 && len(rest) == len(p.Records) { // the first batch of an answer is whole (KIP-74)
				f.refuse(nil, nil, fmt.Errorf("%w: no whole batch in %d bytes", record.ErrCorruptBatch, len(rest)))
			}
			return
		}
		rest = r
		if err := b.VerifyCRC(); err != nil {
			end := damagedEnd(b, rest)
			if end <= f.cursor.Source {
				continue // gone past already
			}
			at := max(b.BaseOffset(), f.cursor.Source)
			f.endAfter(trouble{remedy: halt, code: fsm.CodeCorruptBatch, source: true, from: at, to: max(end, at+1), msg: err.Error()})
			return
		}
		if !f.takeBatch(b, buf, slow, aborted, now) {
			return
		}
	}
}

// wantsData reports whether the lane should fetch for the flow. Where memory
// is short only flows that hold nothing get more, so that those which cannot
// send never take it all.
func (f *flow) wantsData() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.bytes + f.coming
	want := !f.ended && f.after == nil && held < flowBytes && (held == 0 || !f.s.r.budget.Short()) && f.limit.open(f.s.r, f.s.link)
	f.paused = !want
	return want
}

// arriving counts bytes that will be handed over.
func (f *flow) arriving(bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.coming += bytes
	f.limit.take(bytes)
}

// refuse ends the flow at a batch that cannot be read at all. Of formats that
// cannot be copied the range is the whole run that the answer holds; the
// offset of an old batch is that of its last record.
func (f *flow) refuse(b record.Batch, rest []byte, err error) {
	t := trouble{remedy: halt, code: fsm.CodeCorruptBatch, source: true, from: f.cursor.Source, to: f.cursor.Source + 1, msg: err.Error()}
	for b != nil && isAny(err, record.ErrUnsupportedFormat) {
		t.code, t.to = fsm.CodeUnsupportedFormat, max(t.to, b.BaseOffset()+1)
		b, rest, err = record.NextBatch(rest)
	}
	f.endAfter(t)
}

// takeBatch accepts one batch; false when it ended the flow.
func (f *flow) takeBatch(b record.Batch, buf *kafka.Buf, slow *rewrite.Rebuilder, aborted *record.Aborted, now time.Time) bool {
	h, err := record.ParseHeader(b)
	at := max(h.BaseOffset, f.cursor.Source)
	if err != nil {
		return f.endAfter(trouble{remedy: halt, code: fsm.CodeCorruptBatch, source: true, from: at, to: h.LastOffset() + 1, msg: err.Error()})
	}
	drop := false
	if aborted != nil {
		if drop, err = aborted.Skip(slow.Codec, b); err != nil {
			return f.endAfter(trouble{remedy: halt, code: fsm.CodeCorruptBatch, source: true, from: at, to: h.LastOffset() + 1, msg: err.Error()})
		}
	}
	if h.LastOffset() < f.cursor.Source {
		return true
	}
	class, _ := rewrite.Classify(&h, f.cursor.Source)
	if class == rewrite.Control || drop || f.skip[h.ProducerID] || h.Count == 0 {
		f.epoch = h.LeaderEpoch
		return f.gap(h.LastOffset()+1, gapReason(class, drop, h.Count))
	}
	if h.BaseOffset > f.cursor.Source && !f.gap(h.BaseOffset, "offsets are missing at the source (compaction or an aborted transaction)") {
		return false
	}
	f.epoch = h.LeaderEpoch
	if class == rewrite.NeedsOpening {
		return f.open(b, buf, &h, slow, now)
	}
	it := item{buf: buf, batch: b, from: h.BaseOffset, epoch: h.LeaderEpoch, target: f.cursor.Target, count: h.Count, maxTime: h.MaxTimestamp, taken: now}
	if seg, changed := f.cursor.Pass(&h); changed {
		it.segments = []fsm.Segment{seg}
	}
	it.next = f.cursor.Source
	buf.Retain()
	f.push(it)
	return true
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

// gap moves over source offsets that are not written. A dense stream leaves
// dense there, for the next shift must be committed before data that rests on
// it; a known segment's gap is crossed freely. False: the flow ended.
func (f *flow) gap(to int64, why string) bool {
	if f.m.Phase == fsm.PhaseDense && to > f.knownNext() {
		return f.endAfter(trouble{remedy: leaveDense, code: fsm.CodeTranslated, source: true, from: f.cursor.Source, to: to, msg: why})
	}
	f.cursor.Source = max(f.cursor.Source, to)
	return true
}

// knownNext is the source offset that the mapping gives for the cursor's
// target offset: beyond cursor.Source where a committed segment begins.
func (f *flow) knownNext() int64 { return position.Source(&f.m, f.cursor.Target) }

// open sends a batch through the slow path.
func (f *flow) open(b record.Batch, buf *kafka.Buf, h *record.Header, slow *rewrite.Rebuilder, now time.Time) bool {
	job := rewrite.Job{Batches: []record.Batch{b}, Cursor: f.cursor, Budget: int(f.s.r.cfg.Memory / 4)}
	for done := false; !done; {
		out, err := slow.Rebuild(job, nil)
		if err != nil {
			return f.endAfter(trouble{remedy: halt, code: codeOfOpen(err), source: true, from: max(h.BaseOffset, f.cursor.Source), to: h.LastOffset() + 1, msg: err.Error()})
		}
		// Gaps inside the batch: a dense stream has to commit them first.
		if f.m.Phase == fsm.PhaseDense && !h.Dense() {
			return f.endAfter(trouble{remedy: leaveDense, code: fsm.CodeTranslated, source: true, from: f.cursor.Source, to: f.cursor.Source, msg: "compaction removed records of a batch"})
		}
		before := f.cursor
		f.cursor = out.Cursor
		if out.Batch != nil {
			buf.Retain() // stands in the budget for the rebuilt bytes, which are about as many
			f.push(item{
				buf: buf, batch: out.Batch, from: max(h.BaseOffset, before.Source), next: out.Cursor.Source, epoch: h.LeaderEpoch,
				target: before.Target, count: out.Batch.Count(), maxTime: out.Batch.MaxTimestamp(), segments: out.Segments, taken: now,
			})
		}
		job.Cursor = f.cursor
		done = out.Done > 0 || out.Batch == nil
	}
	return true
}

// codeOfOpen gives the reason code for an error of opening a batch.
func codeOfOpen(err error) fsm.Code {
	switch {
	case isAny(err, record.ErrOverBudget):
		return fsm.CodeOverBudget
	case isAny(err, record.ErrUnsupportedFormat):
		return fsm.CodeUnsupportedFormat
	}
	return fsm.CodeCorruptBatch
}
