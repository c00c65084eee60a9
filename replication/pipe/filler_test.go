package pipe_test

import (
	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// fillOn lets the node's filler do its next step: append records, or the marker
// that ends the transaction, which a coordinator may write twice.
func (w *model) fillOn(t *rapid.T, i int) {
	n := &w.nodes[i]
	if n.pipe == nil || !n.filling {
		return
	}
	gap := n.pipe.ToFill()
	from, to := gap.From, gap.From+gap.Count
	switch {
	case n.fence < w.broker.fence || w.broker.end() != from+min(int64(n.filled), 1)*(to-from-1): // it looks before each step
		n.filling = false
		n.pipe.Filled(w.clock, &recovery.Fault{Kind: recovery.Unsure, Code: fsm.CodeHandover, Range: recovery.None()})
	case n.filled == 0 && to-from > 1:
		n.filled++
		w.broker.fillWith(to-from-1, false)
		return
	default:
		w.broker.fillWith(1, true)
		if rapid.IntRange(0, 9).Draw(t, "marker twice") == 0 {
			w.broker.fillWith(1, true)
		}
		var f *recovery.Fault
		if end := w.broker.end(); end != to {
			f = &recovery.Fault{Kind: recovery.Unsure, Code: fsm.CodeStarting, Range: recovery.None()}
		}
		n.filling = false
		n.pipe.Filled(w.clock, f)
	}
	w.ended(i)
}

// lastData is our last batch from an offset on, and what stands there, or behind
// it, that is neither ours nor a filler's.
func (w *model) lastData(from, all int64) *recovery.LastData {
	d := &recovery.LastData{}
	for _, b := range w.broker.log {
		tail := &recovery.Tail{ProducerID: b.pid, Epoch: b.epoch, BaseOffset: b.base, BaseSequence: b.seq, Count: b.count, MaxTimestamp: b.time, LastOffset: b.base + int64(b.count) - 1}
		switch {
		case b.base+int64(b.count) <= from || b.source == fillerID:
		case b.pid == ourID:
			if d.Ours = tail; all == w.broker.end() {
				d.Other = nil
			}
		case d.Other == nil && (b.base >= all || all == w.broker.end()):
			d.Other = tail
		}
	}
	return d
}

// markersAt is a batch that holds nothing to copy and takes the offsets up to to.
func markersAt(r *rewrite.Rebuilder, from, to int64) []byte {
	b := record.Batch(batchAt(r, from, to-from))
	b.SetAttributes(record.AttrTransactional | record.AttrControl)
	b.UpdateCRC()
	return b
}
