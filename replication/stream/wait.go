package stream

import (
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/replication/recovery"
)

// slowAnswer: a leader that takes longer to tell its log end may still have a
// request of ours before it, so the wait starts again.
const slowAnswer = time.Second

// waitForOldRequests waits until no request of an earlier owner or connection
// can be appended any more: the lease and the request's lifetime from when it
// may have been sent, then two equal log ends a second apart, each asked on a
// fresh connection.
func (s *Stream) waitForOldRequests(log *recovery.TargetLog) error {
	life := s.cfg.lifetimes().Any()
	if !s.memory.OldRequests {
		s.oldUntil = time.Time{}
		s.expectOldRequests(life)
	}
	last := int64(-1)
	for !s.ending() {
		if d := time.Until(s.oldUntil); d > 0 {
			s.progress.show(fsm.CodeWaiting, oldRequestsMessage(d, log))
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

// oldRequestsMessage says for how long and why a stream waits, and the timestamp
// of its last record at the target where that is known.
func oldRequestsMessage(d time.Duration, log *recovery.TargetLog) string {
	msg := fmt.Sprintf("for %v more: a request that was sent before may still be on its way to the target, which does not refuse it", d.Round(time.Second))
	last := int64(-1)
	switch {
	case log == nil:
		return msg
	case log.Producer != nil:
		last = log.Producer.LastTimestamp
	case log.Tail != nil:
		last = log.Tail.MaxTimestamp
	}
	if last < 0 {
		return msg + " for records without a timestamp"
	}
	return msg + " for records as old as the last one, of " + time.UnixMilli(last).UTC().Format(time.RFC3339)
}

// waitAlone waits, cut off from every leader, until nobody else can own the
// stream: the target's log end has stood still for a while although the source
// has more. It returns at once when a leader answers. False: another node owns
// the stream, or it is to end.
func (s *Stream) waitAlone() bool {
	began, end := time.Now(), int64(-1)
	moved := began
	for !s.ending() {
		s.progress.show(fsm.CodeWaiting, "another node may write to the target partition, and no leader answers who owns the stream; it goes on when one answers or the target stands still")
		s.pause(min(time.Second+time.Since(began)/20, 5*time.Second))
		switch s.assigned.owner(s.ctx) {
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
		if time.Since(moved) >= s.cfg.StandStill {
			return true
		}
	}
	return false
}

func (s *Stream) sourceHasMore() bool {
	end, err := s.logs.source.stableEnd(s.ctx)
	return err == nil && end > s.progress.memory(s.memory).Last.Source
}

// factsPoll is how soon a change of the facts ends a wait for it.
const factsPoll = 250 * time.Millisecond

// waitAs waits as a step says that was decided by the facts of t.
func waitAs(s *Stream, t *fsm.Task, w recovery.Wait) {
	a := s.assigned
	link, end := a.ctl.View().Link(a.link), time.Now().Add(w.For)
	for w.Facts && time.Until(end) > factsPoll && !s.ending() {
		s.pause(factsPoll)
		if a.task() != t || a.ctl.View().Link(a.link) != link {
			return
		}
	}
	s.pause(time.Until(end))
}
