package pipe

import (
	"fmt"
	"slices"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
)

// Invariant checks what is promised at type Pipe; that the mapping never
// changes, its caller can tell by what is sent.
func (p *Pipe) Invariant() error {
	way := slices.Concat(p.out.inFlight.all(), p.out.queue.all())
	if err := p.inOrder(way); err != nil {
		return err
	}
	most, queued := Window, 0
	if p.out.pace == Probing || p.out.route == Unguarded {
		most = 1
	}
	for _, it := range p.out.queue.all() {
		queued += len(it.batch)
	}
	switch {
	case p.out.inFlight.len() > most:
		return fmt.Errorf("%d batches in flight, %s on the %s route", p.out.inFlight.len(), p.out.pace, p.out.route)
	case p.out.pace == Streaming && p.out.route != Guarded:
		return fmt.Errorf("%s on the %s route", p.out.pace, p.out.route)
	case queued != p.out.queued:
		return fmt.Errorf("%d bytes counted, %d wait", p.out.queued, queued)
	case p.life == Ended && p.out.queue.len() > 0:
		return fmt.Errorf("it has ended and %d batches wait", p.out.queue.len())
	case (p.life == Taking) != (p.fault == recovery.Fault{}):
		return fmt.Errorf("it is %s with the fault %q", p.life, p.fault.Error())
	case p.mapping.Phase == fsm.PhaseDense && p.in.cursor.Source != p.knownNext():
		return fmt.Errorf("the mapping has source %d at target %d, the cursor %d", p.knownNext(), p.in.cursor.Target, p.in.cursor.Source)
	case p.done.progress.Source > p.in.cursor.Source:
		return fmt.Errorf("source %d is acknowledged, the cursor is at %d", p.done.progress.Source, p.in.cursor.Source)
	}
	return nil
}

// all is what it holds, oldest first.
func (r *ring) all() []item {
	var out []item
	for i := range r.len() {
		out = append(out, *r.at(i))
	}
	return out
}

// inOrder checks that what is on its way follows what is acknowledged without
// a gap, up to the cursor, ready to be sent.
func (p *Pipe) inOrder(way []item) error {
	at, source, seq := p.done.progress.Target, p.done.progress.Source, int32(-1)
	for i, it := range way {
		if it.fill > 0 {
			if !p.mapping.Filled || it.sum.Target != at || it.from < source || it.sum.Next-it.from != it.fill {
				return fmt.Errorf("part %d of the way fills %d offsets at %d for source [%d, %d), before it ends %d", i, it.fill, it.sum.Target, it.from, it.sum.Next, at)
			}
			at, source = at+it.fill, it.sum.Next
			continue
		}
		if !p.mapping.Filled {
			seq = offsets.Sequence(&p.mapping, it.sum.Target)
		} else if seq < 0 {
			seq = it.sum.Sequence
		}
		h := it.batch.Header()
		switch {
		case it.sum.Target < at, it.sum.Target > at && (i > 0 || p.life != Ended): // once ended, what stood before the first may be refused
			return fmt.Errorf("batch %d of the way is for target %d, before it ends %d", i, it.sum.Target, at)
		case it.from < source, it.sum.Next <= it.from:
			return fmt.Errorf("batch %d of the way holds source [%d, %d), before it ends %d", i, it.from, it.sum.Next, source)
		case h.ProducerID != p.mapping.ProducerID, h.ProducerEpoch != p.mapping.ProducerEpoch, h.BaseSequence != seq, it.sum.Sequence != seq, h.Count != it.sum.Count:
			return fmt.Errorf("batch %d of the way has the header %+v and the sum %+v, sequence %d is due", i, h, it.sum, seq)
		case it.batch.VerifyCRC() != nil, h.BaseOffset != 0, h.LeaderEpoch != -1:
			return fmt.Errorf("batch %d of the way is not ready: %+v", i, h)
		case p.mapping.Phase == fsm.PhaseDense && len(it.sum.Segments) > 0:
			return fmt.Errorf("batch %d of the way begins the segments %v, which are not committed", i, it.sum.Segments)
		case it.memory == nil:
			return fmt.Errorf("batch %d of the way has no memory", i)
		}
		at, source, seq = it.sum.End(), it.sum.Next, offsets.NextSequence(seq, h.Count)
	}
	if p.life != Ended && seq >= 0 && seq != p.out.sequence {
		return fmt.Errorf("the next sequence is %d, %d is due", p.out.sequence, seq)
	}
	if at > p.in.cursor.Target || at < p.in.cursor.Target && p.life != Ended || source > p.in.cursor.Source {
		return fmt.Errorf("the way ends at source %d, target %d; the cursor is %+v", source, at, p.in.cursor)
	}
	return nil
}
