package stream

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// slowAnswer: a leader that takes longer to tell its log end may still have a
// request of ours before it, so the wait starts again.
const slowAnswer = time.Second

// waitForOldRequests waits until no request of an earlier owner or connection
// can be appended any more: the lease and the request's lifetime from when it
// may have been sent, then two equal log ends a second apart, each asked on a
// fresh connection.
func (s *Stream) waitForOldRequests() error {
	life := s.r.cfg.Lease + s.r.cfg.Lifetime
	if !s.memory.OldRequests {
		s.oldUntil = time.Time{}
		s.expectOldRequests(life)
	}
	last := int64(-1)
	for !s.ending() {
		if d := time.Until(s.oldUntil); d > 0 {
			s.progress.show(fsm.CodeWaiting, fmt.Sprintf("no broker may still hold an earlier request: %v", d.Round(time.Second)))
			s.pause(min(d, slowAnswer))
			continue
		}
		end, took, err := s.logs.target.endOnFresh(s.ctx)
		if err != nil {
			return err
		}
		if took > slowAnswer {
			last, s.oldUntil = -1, time.Now().Add(life)
			continue
		}
		if end == last {
			s.memory.OldRequests, s.oldUntil = false, time.Time{}
			return nil
		}
		last = end
		s.pause(slowAnswer)
	}
	return recovery.Faulty(recovery.Unsure, fsm.CodeHandover, "stopped while waiting")
}

// endOnFresh asks the leader for its log end on a new connection, and says how
// long the answer took.
func (s *side) endOnFresh(ctx context.Context) (end int64, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := s.Dial(ctx, s.place.Leader)
	if err != nil {
		return 0, 0, s.fault(err)
	}
	defer func() { conn.Close(); <-conn.Done() }()
	asked := time.Now()
	if end, err = s.logEnd(ctx, conn.Broker()); err == nil && end < 0 {
		end, err = s.offset(ctx, conn.Broker(), kafka.ReadUncommitted, kafka.Latest, s.place.LeaderEpoch)
	}
	return end, time.Since(asked), s.fault(err)
}

// waitAlone waits, cut off from every leader, until nobody else can own the
// stream: the target's log end has stood still for a while although the source
// has more. It returns at once when a leader answers. False: another node owns
// the stream, or it is to end.
func (s *Stream) waitAlone() bool {
	moved, end := time.Now(), int64(-1)
	for !s.ending() {
		s.progress.show(fsm.CodeWaiting, "lost a race for the target and cannot ask a leader who owns the stream")
		s.pause(time.Second)
		switch s.owner() {
		case recovery.OwnerConfirmed:
			return true
		case recovery.OwnerLost:
			return false
		case recovery.OwnerUnasked, recovery.OwnerUnknown:
		}
		if _, err := s.logs.find(s.ctx); err != nil {
			continue
		}
		now, _, err := s.logs.target.endOnFresh(s.ctx)
		if err != nil {
			continue
		}
		if now != end || !s.sourceHasMore() {
			moved, end = time.Now(), now
			continue
		}
		if time.Since(moved) >= s.r.cfg.StandStill {
			return true
		}
	}
	return false
}

func (s *Stream) sourceHasMore() bool {
	more := false
	err := s.logs.source.call(s.ctx, func(ctx context.Context, b kafka.Broker) error {
		end, err := s.logs.source.offset(ctx, b, kafka.ReadCommitted, kafka.Latest, -1)
		more = end > s.progress.memory(s.memory).Last.Source
		return err
	})
	return err == nil && more
}

// heldBack is what a stream knows about records that an open transaction keeps
// from being copied: those between the source's last stable offset and its
// high watermark.
type heldBack struct {
	stable int64 // where the last stable offset stood when it was looked at before
	told   bool
}

// openTransaction tells which producer holds the source's last stable offset
// back, once that stood still between two looks while there is more behind it.
// It is no fault of the stream, and changes nothing in it.
func (s *Stream) openTransaction(p *wire.Partition) {
	st := p.Status()
	h := &s.held
	switch {
	case st.Stable < 0 || st.High <= st.Stable || st.Progress.Source < st.Stable || st.Stable != h.stable:
		if h.told {
			s.progress.show(fsm.CodeCopying, "")
		}
		h.stable, h.told = st.Stable, false
		return
	case h.told:
		return
	}
	holder, err := s.logs.holder(s.ctx)
	if err != nil || holder == nil || holder.TxnStartOffset > st.Stable {
		return // looked at again, if it is still so
	}
	h.told = true
	msg := fmt.Sprintf("an open transaction of producer id %d holds back source offsets from %d on; it last wrote at %s",
		holder.ID, st.Stable, time.UnixMilli(holder.LastTimestamp).UTC().Format(time.RFC3339))
	s.progress.show(fsm.CodeOpenTransaction, msg)
	s.record(fsm.Event{Code: fsm.CodeOpenTransaction, From: st.Stable, To: -1, Message: msg})
}

// holder is the producer with the oldest open transaction at the source, nil:
// none.
func (l *logs) holder(ctx context.Context) (holder *kafka.ProducerState, err error) {
	err = l.source.call(ctx, func(ctx context.Context, b kafka.Broker) error {
		all, err := b.DescribeProducers(ctx, l.source.topic, l.source.partition)
		for i, p := range all {
			if p.TxnStartOffset >= 0 && (holder == nil || p.TxnStartOffset < holder.TxnStartOffset) {
				holder = &all[i]
			}
		}
		return err
	})
	return holder, err
}
