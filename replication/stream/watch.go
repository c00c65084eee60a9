package stream

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// steadyAfter is how long after its position was derived a pipe counts as
// having gone well: what ends it then is a new matter.
const steadyAfter = 10 * time.Second

// watch waits for the end of a pipe, and notes its fault. An idle pipe is
// ended where deriving anew may show something else.
func (s *Stream) watch(p *wire.Partition) {
	tick := time.NewTicker(s.r.cfg.LookupEvery)
	defer tick.Stop()
	for {
		source, target := s.logs.source.Changes(), s.logs.target.Changes()
		select {
		case <-p.Over():
			s.faulted(s.close())
			return
		case <-s.drain:
			p.Stop(recovery.Faulty(recovery.Unsure, fsm.CodeHandover, "drained"))
			select {
			case <-p.Over(): // nothing of it is in flight
			case <-s.ctx.Done():
			}
			s.close()
			return
		case <-s.ctx.Done():
			p.Stop(recovery.Faulty(recovery.Unsure, fsm.CodeHandover, "stopped"))
			s.close()
			return
		case <-p.LookDue():
			p.Looked(s.look(p))
			continue
		case <-source:
		case <-target:
		case <-tick.C:
		}
		s.lookAround(p)
	}
}

// close takes the pipe off and keeps what it knew.
func (s *Stream) close() recovery.Fault {
	before := s.progress.memory(s.memory)
	r := s.progress.close()
	s.memory = r.Remember(before)
	if time.Since(s.seen) > steadyAfter {
		s.memory.Attempts = 0
	}
	if r.Fault.Perhaps || r.InFlight {
		s.expectOldRequests(s.r.cfg.Lease + s.r.cfg.Lifetime)
	}
	return r.Fault
}

// look reads the target for a pipe that is to go on although no leader has
// confirmed its turn lately. Where anything has changed, the pipe ends and the
// position is derived anew.
func (s *Stream) look(p *wire.Partition) *recovery.Fault {
	st := p.Status()
	log, err := s.logs.readTarget(s.ctx, s.mapping, s.pause)
	if err != nil {
		f := wire.FaultOf(err, false)
		return &f
	}
	pos := recovery.Derive(s.mapping, st.Progress, log.Observed, nil)
	expiration := s.logs.target.ProducerExpiry(s.ctx, s.logs.target.place.Leader)
	if pos.Outcome != recovery.Found || pos.Target != st.Progress.Target || !offsets.Guarded(pos.LastTime, s.r.nowMs(), expiration) {
		f := recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the target is not as it was left")
		return &f
	}
	return nil
}

// lookAround ends an idle pipe that is another node's by now, or whose
// partition moved: a new leader may have lost what the old one acknowledged,
// and only deriving anew shows it.
func (s *Stream) lookAround(p *wire.Partition) {
	if s.task() == nil {
		p.Stop(recovery.Faulty(recovery.Retry, fsm.CodeHandover, "the task changed hands"))
		return
	}
	was := s.logs.target.place
	p.Expires(s.logs.target.ProducerExpiry(s.ctx, was.Leader))
	switch now, err := s.logs.target.Find(s.ctx, s.logs.target.topic, s.logs.target.partition, false); {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		p.Stop(recovery.Faulty(recovery.TopicChanged, fsm.CodeUnreachable, "the target topic is gone"))
		return
	case err == nil && (now.LeaderEpoch != was.LeaderEpoch || now.TopicID != was.TopicID):
		p.Stop(recovery.Faulty(recovery.TopicChanged, fsm.CodeStarting, "the target's leader changed"))
		p.HangUp(s.r.cfg.LookupEvery)
		return
	}
	now, err := s.logs.source.Find(s.ctx, s.logs.source.topic, s.logs.source.partition, false)
	if was := s.logs.source.place; err == nil && (now.Leader != was.Leader || now.TopicID != was.TopicID) {
		f := recovery.Faulty(recovery.TopicChanged, fsm.CodeStarting, "the source's leader changed")
		f.Source = true
		p.Stop(f)
		return
	} else if err == nil {
		s.openTransaction(p)
	}
	if !maps.Equal(s.skip, s.r.ctl.View().LoopIDs(s.spec())) {
		p.Stop(recovery.Faulty(recovery.Retry, fsm.CodeStarting, "other links write into the source now"))
		return
	}
	s.replicated()
}

// replicated notes when a derived position has passed the high watermark.
func (s *Stream) replicated() {
	target, wait := s.progress.unreplicated()
	if !wait {
		return
	}
	t := &s.logs.target
	err := t.call(s.ctx, func(ctx context.Context, b kafka.Broker) error {
		high, err := t.offset(ctx, b, kafka.ReadUncommitted, kafka.Latest, -1)
		wait = high < target
		return err
	})
	if err == nil && !wait {
		s.progress.replicated()
	}
}
