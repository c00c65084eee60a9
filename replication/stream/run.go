package stream

import (
	"context"
	"time"

	"sluice/fsm"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// newStream makes the stream of a copy task that this node owns; run runs it.
func newStream(ctx context.Context, r *shared, t *fsm.Task) *Stream {
	key := t.Copy.Stream
	s := &Stream{
		assigned: &assignment{
			ctl: r.ctl, node: r.cfg.Node, name: r.cfg.Name, now: r.nowMs,
			id: t.ID, turn: t.Turn, link: t.Link, topic: key.Topic, partition: key.Partition,
		},
		cfg: &r.cfg, log: r.log, conns: r.conns, limit: r.limiter(t.Link), counts: r.counts, drain: make(chan struct{}), done: make(chan struct{}),
		progress: newProgress(t), memory: recovery.Memory{Refused: -1},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if l := r.ctl.View().Link(t.Link); l != nil {
		s.share = r.conns.Share(l.Spec.Target)
		s.logs = &logs{
			source:    side{Cluster: r.catalog.Cluster(l.Spec.Source), topic: key.Topic, partition: key.Partition, isSource: true, fresh: r.fresh, share: s.share},
			target:    side{Cluster: r.catalog.Cluster(l.Spec.Target), topic: key.TargetTopic, partition: key.Partition, fresh: r.fresh, share: s.share},
			conns:     r.conns,
			fillers:   r.fillers,
			filters:   r.filters,
			link:      t.Link,
			maxOpened: int(r.cfg.Memory / 4),
		}
		s.log = r.log.With("link", l.Spec.Name, "topic", key.Topic, "partition", key.Partition)
	}
	s.expectOldRequests(s.cfg.lifetimes().Before(t.Copy))
	return s
}

// run opens pipe after pipe until the stream is stopped, drained or lost.
func (s *Stream) run() {
	defer close(s.done)
	defer s.report()
	defer s.cancel()
	if s.logs == nil {
		return
	}
	s.share.Join()
	defer s.share.Leave()
	for !s.ending() {
		t := s.assigned.task()
		s.counts.settle(s.assigned.ctl.View(), s.assigned.id, false)
		if t == nil {
			return
		}
		w := s.recover(t)
		if w == nil {
			continue
		}
		ended := w.wait(s.ctx, s.drain)
		if f := s.close(); ended {
			s.faulted(f)
		}
	}
}

// recover goes from step to step until a pipe is open; nil: it has waited, or
// the stream is over.
func (s *Stream) recover(t *fsm.Task) *watcher {
	sit := s.situation(t)
	s.fault = nil
	for !s.ending() {
		switch step := recovery.Next(sit).(type) {
		case recovery.Gather:
			sit.Failed = s.gather(&sit, step)
		case recovery.Commit:
			if sit.Failed = s.commit(&sit, step); sit.Task == nil {
				return nil
			}
		case recovery.Open:
			return s.open(&sit, step)
		case recovery.Fill:
			if f := fillHead(s, &sit, step); f != nil {
				s.faulted(*f)
			}
			return nil
		case recovery.Lift:
			if err := s.assigned.lift(s.ctx); err != nil {
				s.pause(recovery.Backoff(s.memory.Attempts))
			}
			return nil
		case recovery.Halt:
			s.halt(step.Fault)
			return nil
		case recovery.Restart:
			s.faulted(step.Fault)
			return nil
		case recovery.Alone:
			if !s.waitAlone() {
				s.lose(step.Message)
			}
			return nil
		case recovery.End:
			s.assigned.record(&step.Event)
			s.over = true
			return nil
		case recovery.Wait:
			if step.Tried {
				s.memory.Attempts++
			}
			s.assigned.record(step.Event)
			s.progress.show(step.Code, step.Message)
			waitAs(s, t, step)
			return nil
		}
	}
	return nil
}

// lose ends the stream here, as another node's, unless it is to end anyway.
func (s *Stream) lose(why string) {
	if s.ending() {
		return
	}
	e := recovery.Lost(why)
	s.assigned.record(&e)
	s.over = true
}

// open opens a pipe at a derived position.
func (s *Stream) open(sit *recovery.Situation, o recovery.Open) *watcher {
	spec := s.assigned.spec().Filter
	filter, err := s.logs.filters.get(s.assigned.link, spec)
	if err != nil {
		s.faulted(wire.FaultOf(err, false))
		return nil
	}
	s.expectOldRequests(s.cfg.lifetimes().Opening(o, s.memory))
	m, src, dst := sit.Task.Mapping, &s.logs.source, &s.logs.target
	s.memory.Unacked, s.memory.Misplaced, s.memory.Refused, s.memory.Kept = nil, nil, -1, nil
	o.Progress.TargetEpoch = dst.place.LeaderEpoch // under which the log was read: a later loss is told by where it ended
	skip := s.assigned.loopIDs()
	p := wire.Open(s.conns, src.Cluster, dst.Cluster, wire.Ends{
		Task: s.assigned.id, Turn: s.assigned.turn, Link: s.assigned.link, Topic: src.topic, TargetTopic: dst.topic, Number: src.partition,
		TopicID: src.place.TopicID, TargetTopicID: m.TargetTopicID, SourceLeader: src.place.Leader, TargetLeader: dst.place.Leader,
		SourceEpoch: src.place.LeaderEpoch, Meter: wire.Meter{Limit: s.limit, Share: s.share, Copied: s.counts.of(s.assigned.link, src.topic)},
	}, pipe.Start{
		Mapping: *m, Skip: skip, Position: o.Position, Progress: o.Progress, TargetEpoch: dst.place.LeaderEpoch,
		Expiration: sit.Expiration, Guarded: o.Guarded, OldRequests: s.memory.OldRequests, Seen: s.seen, MaxOpened: s.logs.maxOpened, MaxBatch: s.memory.Fits, Singly: s.memory.Singly,
		Filter: filter,
	})
	var counted *counts
	if filter != nil {
		counted = s.counts
	}
	s.progress.opened(p, o, m.Version, counted, topicOf{s.assigned.link, src.topic})
	s.assigned.record(o.Event)
	return &watcher{
		assigned: s.assigned, every: s.cfg.LookupEvery, logs: s.logs, filler: s.filler, progress: s.progress, pause: s.pause, partition: p, mapping: m, skip: skip, filter: spec,
	}
}

// steadyAfter is how long after its position was derived a pipe counts as
// having gone well: what ends it then is a new matter.
const steadyAfter = 10 * time.Second

// close takes the pipe off and keeps what it knew.
func (s *Stream) close() recovery.Fault {
	before := s.progress.memory(s.memory)
	r := s.progress.close()
	s.memory = r.Remember(before)
	if time.Since(s.seen) > steadyAfter {
		s.memory.Attempts = 0
	}
	s.expectOldRequests(s.cfg.lifetimes().Ended(r.Fault, r.InFlight))
	return r.Fault
}
