package replication

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/task"
)

// slowAnswer: a leader that takes longer to tell its log end may still have a
// request of ours before it, so the wait starts again.
const slowAnswer = time.Second

// waitQuietly waits until no request of an earlier owner or connection can be
// appended any more: the lease and the request's lifetime from when it may
// have been sent, then two equal log ends a second apart, each asked on a
// fresh connection.
func (s *Stream) waitQuietly(dst place) error {
	last := int64(-1)
	if s.wary.IsZero() {
		s.wary = s.r.now().Add(s.r.cfg.Lease + s.r.cfg.Lifetime)
	}
	for !s.draining() {
		if d := s.wary.Sub(s.r.now()); d > 0 {
			s.set(fsm.CodeWaiting, fmt.Sprintf("no broker may still hold an earlier request: %v", d.Round(time.Second)))
			s.pause(min(d, slowAnswer))
			continue
		}
		end, took, err := s.endOnFresh(dst)
		if err != nil {
			return fail(troubleIn(err, false))
		}
		if took > slowAnswer {
			last, s.wary = -1, s.r.now().Add(s.r.cfg.Lease+s.r.cfg.Lifetime)
			continue
		}
		if end == last {
			s.wary, s.quiet = time.Time{}, false
			return nil
		}
		last = end
		s.pause(slowAnswer)
	}
	return fail(trouble{remedy: again, code: fsm.CodeHandover, from: -1, to: -1, msg: "stopped while waiting"})
}

// waryOfGuarded puts the end of the next quiet wait off: a guarded stream goes
// on at once, but should it turn unguarded, a broker may by then still hold a
// whole window of the earlier owner's requests, one behind the other.
func (s *Stream) waryOfGuarded() {
	cfg := s.r.cfg
	if until := s.r.now().Add(cfg.Lease + window*cfg.Timeout); until.After(s.wary) {
		s.wary = until
	}
}

// endOnFresh asks the target's leader for its log end on a new connection, and
// says how long the answer took.
func (s *Stream) endOnFresh(dst place) (end int64, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	conn, err := s.dst.dial(ctx, dst.leader)
	if err != nil {
		return 0, 0, err
	}
	defer func() { conn.Close(); <-conn.Done() }()
	asked := time.Now()
	end, err = s.logEnd(ctx, conn.Broker(), dst)
	return end, time.Since(asked), err
}

// logEnd is where the target's current leader epoch ends.
func (s *Stream) logEnd(ctx context.Context, b kafka.Broker, dst place) (int64, error) {
	_, end, err := b.OffsetForLeaderEpoch(ctx, s.key.TargetTopic, s.key.Partition, dst.epoch, dst.epoch)
	if err != nil || end >= 0 {
		return end, err
	}
	return one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{
		{Topic: s.key.TargetTopic, Partition: s.key.Partition, LeaderEpoch: dst.epoch, Timestamp: kafka.Latest}}))
}

// waitAlone waits, cut off from every leader, until nobody else can own the
// stream: the target's log end has stood still for a while although the
// source has more. It returns at once when a leader answers. False: another
// node owns the stream, or it is to end.
func (s *Stream) waitAlone() bool {
	moved, end := s.r.now(), int64(-1)
	for !s.draining() {
		s.set(fsm.CodeWaiting, "lost a race for the target and cannot ask a leader who owns the stream")
		s.pause(time.Second)
		switch err := s.confirm(); {
		case err == nil:
			return true
		case isAny(err, task.ErrNotOwner):
			return false
		}
		src, dst, err := s.places()
		if err != nil {
			continue
		}
		now, _, err := s.endOnFresh(dst)
		if err != nil {
			continue
		}
		if now != end || !s.sourceHasMore(src) {
			moved, end = s.r.now(), now
			continue
		}
		if s.r.now().Sub(moved) >= s.r.cfg.StandStill {
			return true
		}
	}
	return false
}

func (s *Stream) sourceHasMore(src place) bool {
	more := false
	err := s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) error {
		end, err := one(b.ListOffsets(ctx, kafka.ReadCommitted, []kafka.OffsetQuery{
			{Topic: s.key.Topic, Partition: s.key.Partition, LeaderEpoch: -1, Timestamp: kafka.Latest}}))
		more = end > s.progress().Source
		return err
	})
	return err == nil && more
}

// confirm asks a leader whether this node still owns the stream.
func (s *Stream) confirm() error {
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
	defer cancel()
	return s.r.ctl.ConfirmOwner(ctx, s.id, s.turn)
}

// replicated notes when a derived position has passed the high watermark.
func (s *Stream) replicated(f *flow) {
	s.mu.Lock()
	held, target := s.held, s.last.Target
	s.mu.Unlock()
	if !held {
		return
	}
	err := s.dst.call(s.ctx, f.guarded.key.broker, func(ctx context.Context, b kafka.Broker) error {
		high, err := one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{
			{Topic: s.key.TargetTopic, Partition: s.key.Partition, LeaderEpoch: -1, Timestamp: kafka.Latest}}))
		held = high < target
		return err
	})
	if err == nil && !held {
		s.mu.Lock()
		s.held = false
		s.mu.Unlock()
	}
}
