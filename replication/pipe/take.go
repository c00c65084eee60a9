package pipe

import (
	"errors"
	"fmt"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

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

// Take accepts what was fetched. It stops before a batch that has to be opened
// and may decompress to more than the Rebuilder has room for (nil: none has),
// and returns the room that is to be tried; it goes on there when it is called
// again with the same Arrival. 0: all is taken.
func (p *Pipe) Take(a *Arrival, r *rewrite.Rebuilder) (room int) {
	p.in.coming = 0
	if p.life != Taking {
		return 0
	}
	p.in.stable, p.in.high, p.in.told = a.Stable, a.High, a.At
	if len(a.Aborted) > 0 && a.aborted == nil {
		a.aborted = record.NewAborted(a.Aborted)
	}
	t := taking{Pipe: p, a: a, r: r}
	t.batches()
	if t.room > 0 {
		p.in.coming = len(a.Records)
	}
	p.passGap()
	return t.room
}

func (t *taking) batches() {
	for t.life == Taking {
		rest := t.a.Records
		b, r, err := record.NextBatch(rest)
		if err != nil {
			t.unreadable(b, r, err)
			return
		}
		if b == nil {
			if len(rest) > 0 && !t.a.begun { // the first batch of an answer is whole (KIP-74)
				t.unreadable(nil, nil, fmt.Errorf("%w: no whole batch in %d bytes", record.ErrCorruptBatch, len(rest)))
			}
			return
		}
		t.a.memory = t.a.Memory
		if err := b.VerifyCRC(); err != nil {
			if end := damagedEnd(b, r); end > t.in.cursor.Source { // else it is passed already
				t.corrupt(t.begin(b), end, err)
			}
		} else if b.Old() {
			r = t.old(b)
		} else {
			t.batch(b)
		}
		if t.room > 0 {
			return
		}
		t.a.Records, t.a.begun = r, true
	}
}

// unreadable ends the pipe at a batch that cannot be read at all. Of formats that
// are not known the range is the whole run that the answer holds.
func (t *taking) unreadable(b record.Batch, rest []byte, err error) {
	code, from := fsm.CodeCorruptBatch, t.in.cursor.Source
	to, msg := from+1, err.Error()
	for b != nil && errors.Is(err, record.ErrUnsupportedFormat) {
		code, to = fsm.CodeUnsupportedFormat, max(to, b.BaseOffset()+1)
		b, rest, err = record.NextBatch(rest)
	}
	t.finish(recovery.AtSource(recovery.Blocked, code, from, to, msg))
}

// batch accepts one sound batch.
func (t *taking) batch(b record.Batch) {
	h, err := record.ParseHeader(b)
	at := max(h.BaseOffset, t.in.cursor.Source)
	drop := false
	if err == nil && t.a.aborted != nil {
		drop, err = t.a.aborted.Skip(record.NewCodec(), b) // markers are not compressed
	}
	if err != nil {
		t.corrupt(at, h.LastOffset()+1, err)
		return
	}
	if h.LastOffset() < t.in.cursor.Source {
		return
	}
	class, _ := rewrite.Classify(&h, t.in.cursor.Source)
	nothing, transaction := t.skip[h.ProducerID] || h.Count == 0, class == rewrite.Control || drop
	if h.BaseOffset > t.in.cursor.Source && !nothing && !t.gap(h.BaseOffset, false, 0, "offsets are missing at the source (compaction)") {
		return
	}
	t.in.epoch = h.LeaderEpoch
	if nothing || transaction {
		t.gap(h.LastOffset()+1, transaction, h.MaxTimestamp, gapReason(class, drop, h.Count))
		return
	}
	switch {
	case t.filter != nil, t.inParts(b, &h):
		t.parts(b, &h)
		return
	case class == rewrite.NeedsOpening:
		t.open(b, &h)
		return
	}
	it := item{memory: t.a.memory, batch: b, from: h.BaseOffset, epoch: h.LeaderEpoch, maxTime: h.MaxTimestamp}
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
	if next, _, err := record.NextBatch(rest); err == nil && next != nil && next.VerifyCRC() == nil && !next.Wrapper() && next.BaseOffset() > first {
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

// gap moves over source offsets that are not written: those of a transaction's
// marker or aborted records, with their timestamp in ms, or others. A dense stream
// ends there, for what follows from it must be committed before data that rests on
// it; a known segment's gap is crossed freely, and once fillers are committed those
// of transactions are filled. False: the pipe finishes.
func (t *taking) gap(to int64, transaction bool, time int64, why string) bool {
	c := &t.in.cursor
	switch {
	case t.mapping.Phase != fsm.PhaseDense || to <= t.knownNext():
	case transaction && t.mapping.Filled && t.mapping.Bump == 0:
		t.fill(to, time)
	default:
		f := recovery.AtSource(recovery.Gap, fsm.CodeTranslated, c.Source, to, why)
		f.Transaction = transaction
		t.finish(f)
		return false
	}
	c.Source = max(c.Source, to)
	return true
}

// fill has the target's offsets up to that of the source offset taken, by what has
// a timestamp in ms.
func (t *taking) fill(to, time int64) {
	c := &t.in.cursor
	n := to - c.Source
	c.Target += n
	if last := t.out.queue.len() - 1; last >= 0 && t.out.queue.at(last).fill > 0 {
		it := t.out.queue.at(last)
		it.fill, it.epoch, it.maxTime, it.sum.Next = it.fill+n, t.in.epoch, time, to
		return
	}
	t.out.queue.push(item{fill: n, from: c.Source, epoch: t.in.epoch, maxTime: time, sum: recovery.Batch{Target: c.Target - n, Next: to}})
}

// old accepts the batches of formats 0 and 1 that the arrival begins with, as one
// of format 2, and returns what stands behind them. b is the first; it is sound.
func (t *taking) old(b record.Batch) (rest []byte) {
	switch {
	case b.LastOffset() < t.in.cursor.Source:
		return t.a.Records[len(b):]
	case t.r == nil:
		t.room = rewrite.FirstRoom(b, t.maxOpened)
		return nil
	}
	batch, rest, err := t.r.Upgrade(t.a.Records)
	if t.opened(b, err) {
		t.a.memory = t.apart(batch)
		t.batch(batch)
	}
	return rest
}
