package replication

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
)

// heldBack is what a flow knows about records that an open transaction keeps
// from being copied: those between the source's last stable offset and its
// high watermark.
type heldBack struct {
	end int64 // high watermark as last seen
	// Of the control goroutine only: where the last stable offset stood when
	// it was looked at before, and whether this is told.
	stable int64
	told   bool
}

// openTransaction tells which producer holds the source's last stable offset
// back, once that stood still between two looks while there is more behind it.
// It is no fault of the stream, and changes nothing in it.
func (s *Stream) openTransaction(f *flow, src place) {
	f.mu.Lock()
	stable, end, at := f.high, f.held.end, f.acked.Source
	f.mu.Unlock()
	h := &f.held
	switch {
	case stable < 0 || end <= stable || at < stable || stable != h.stable:
		if h.told {
			s.set(fsm.CodeCopying, "")
		}
		h.stable, h.told = stable, false
		return
	case h.told:
		return
	}
	var holder *kafka.ProducerState
	err := s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) error {
		all, err := b.DescribeProducers(ctx, s.key.Topic, s.key.Partition)
		for i, p := range all {
			if p.TxnStartOffset >= 0 && (holder == nil || p.TxnStartOffset < holder.TxnStartOffset) {
				holder = &all[i]
			}
		}
		return err
	})
	if err != nil || holder == nil || holder.TxnStartOffset > stable {
		return // looked at again, if it is still so
	}
	h.told = true
	msg := fmt.Sprintf("an open transaction of producer id %d holds back source offsets from %d on; it last wrote at %s",
		holder.ID, stable, time.UnixMilli(holder.LastTimestamp).UTC().Format(time.RFC3339))
	s.set(fsm.CodeOpenTransaction, msg)
	s.event(fsm.CodeOpenTransaction, stable, -1, msg)
}
