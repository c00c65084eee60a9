package stream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/wire"
	"sluice/task"
)

// Stream runs one copy task: one goroutine, which owns all but progress.
type Stream struct {
	r    *Runner
	id   fsm.TaskID
	turn uint64
	link fsm.LinkID
	log  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	drain  chan struct{} // closed: finish what is in flight, then end
	once   sync.Once
	done   chan struct{}

	logs     *logs
	progress *progress

	mapping  *fsm.Mapping    // of the pipe that is open
	skip     map[int64]bool  // producer ids that it does not copy
	memory   recovery.Memory // but for what progress holds of it
	fault    *recovery.Fault // what ended the last pipe; nil: nothing to be decided about
	oldUntil time.Time       // until then an old request may be appended, where memory says that there are any
	seen     time.Time       // when the target's log was last read
	held     heldBack
	over     bool // it is another node's now
}

var _ task.Running = (*Stream)(nil)

func newStream(ctx context.Context, r *Runner, t *fsm.Task) *Stream {
	s := &Stream{
		r: r, id: t.ID, turn: t.Turn, link: t.Link, log: r.log,
		drain: make(chan struct{}), done: make(chan struct{}),
		progress: newProgress(t), memory: recovery.Memory{Refused: -1},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	key := t.Copy.Stream
	if l := r.ctl.View().Link(t.Link); l != nil {
		s.logs = &logs{
			source: side{Cluster: r.catalog.Cluster(l.Spec.Source), topic: key.Topic, partition: key.Partition, isSource: true},
			target: side{Cluster: r.catalog.Cluster(l.Spec.Target), topic: key.TargetTopic, partition: key.Partition}, maxOpened: int(r.cfg.Memory / 4),
		}
		s.log = r.log.With("link", l.Spec.Name, "topic", key.Topic, "partition", key.Partition)
	}
	if t.Copy.Mapping != nil { // an earlier owner wrote under it, or this node before it started again
		s.expectOldRequests(r.cfg.Lease + r.cfg.Lifetime)
	}
	return s
}

// Task returns the id of the stream's task.
func (s *Stream) Task() fsm.TaskID { return s.id }

// Done implements task.Running.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Drain implements task.Running: it asks the stream to finish what is in
// flight, hand in its last progress, and end.
func (s *Stream) Drain() { s.once.Do(func() { close(s.drain) }) }

func (s *Stream) ending() bool {
	select {
	case <-s.drain:
		return true
	default:
		return s.ctx.Err() != nil || s.over
	}
}

// task is the stream's task as the View has it now; nil when it is not this
// stream's any more.
func (s *Stream) task() *fsm.Task {
	t := s.r.ctl.View().Task(s.id)
	if t == nil || t.Turn != s.turn || t.Owner != s.r.cfg.Node {
		return nil
	}
	return t
}

func (s *Stream) spec() *fsm.LinkSpec {
	if l := s.r.ctl.View().Link(s.link); l != nil {
		return &l.Spec
	}
	return &fsm.LinkSpec{}
}

// run opens pipe after pipe until the stream is stopped, drained or lost.
func (s *Stream) run() {
	defer close(s.done)
	defer s.report()
	defer s.cancel()
	if s.logs == nil {
		return // the link is gone
	}
	for !s.ending() {
		t := s.task()
		if t == nil {
			return
		}
		if p := s.recover(t); p != nil {
			s.watch(p)
		}
	}
}

// recover goes from step to step until a pipe is open; nil: it has waited, or
// the stream is over.
func (s *Stream) recover(t *fsm.Task) *wire.Partition {
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
			s.record(step.Event)
			s.over = true
			return nil
		case recovery.Wait:
			s.tell(step.Event)
			s.progress.show(step.Code, step.Message)
			s.pause(step.For)
			return nil
		}
	}
	return nil
}

// situation is what this node knows; nothing is gathered yet.
func (s *Stream) situation(t *fsm.Task) recovery.Situation {
	sit := recovery.Situation{
		Task: t.Copy, Spec: s.spec(), Memory: s.progress.memory(s.memory), Fault: s.fault, Now: s.r.nowMs(), ProducerID: -1,
	}
	if l := s.r.ctl.View().Link(s.link); l != nil {
		sit.ProducerID = l.ProducerID
	}
	return sit
}

// report hands in what may be checkpointed.
func (s *Stream) report() { s.progress.report(s.r.ctl, s.id, s.turn) }

// faulted notes what the next round is about.
func (s *Stream) faulted(f recovery.Fault) {
	s.fault = &f
	s.memory.Attempts++
	s.log.Debug("stream has a fault", "kind", f.Kind, "fault", f.Error(), "attempts", s.memory.Attempts)
}

// expectOldRequests: a request may still be appended within d. Should that
// matter, it is waited for.
func (s *Stream) expectOldRequests(d time.Duration) {
	s.memory.OldRequests = true
	if until := time.Now().Add(d); until.After(s.oldUntil) {
		s.oldUntil = until
	}
}

// open opens a pipe at a derived position.
func (s *Stream) open(sit *recovery.Situation, o recovery.Open) *wire.Partition {
	cfg := &s.r.cfg
	if o.Guarded && s.memory.OldRequests {
		// A guarded stream goes on at once, but should it turn unguarded, a
		// broker may by then still hold a whole window of earlier requests, one
		// behind the other.
		s.expectOldRequests(cfg.Lease + pipe.Window*cfg.Timeout)
	}
	m, src, dst := sit.Task.Mapping, &s.logs.source, &s.logs.target
	s.mapping, s.skip = m, s.r.ctl.View().LoopIDs(sit.Spec)
	s.memory.Unacked, s.memory.Misplaced, s.memory.Refused = nil, nil, -1
	p := wire.Open(s.r.conns, src.Cluster, dst.Cluster, wire.Ends{
		Task: s.id, Turn: s.turn, Link: s.link, Topic: src.topic, TargetTopic: dst.topic, Number: src.partition,
		TopicID: src.place.TopicID, TargetTopicID: m.TargetTopicID, SourceLeader: src.place.Leader, TargetLeader: dst.place.Leader,
		SourceEpoch: src.place.LeaderEpoch, Limit: s.r.limiter(s.link),
	}, pipe.Start{
		Mapping: *m, Skip: s.skip, Position: o.Position, Progress: o.Progress, TargetEpoch: dst.place.LeaderEpoch,
		Expiration: sit.Expiration, Guarded: o.Guarded, OldRequests: s.memory.OldRequests, Seen: s.seen, MaxOpened: s.logs.maxOpened,
	})
	s.progress.opened(p, o, m.Version)
	s.tell(o.Event)
	return p
}

// tell records an event about this stream that a step asks for.
func (s *Stream) tell(e *fsm.Event) {
	if e != nil {
		s.record(*e)
	}
}

func (s *Stream) record(e fsm.Event) {
	now := s.r.nowMs()
	e.Link, e.Task, e.Topic, e.Part = s.link, s.id, s.logs.source.topic, s.logs.source.partition
	e.Node, e.First, e.Last = s.r.cfg.Name, now, now
	s.r.ctl.Record(e)
}

// lose ends the stream on this node.
func (s *Stream) lose(why string) {
	s.record(fsm.Event{Code: fsm.CodeLostRace, From: -1, To: -1, Message: "another node owns the stream now: " + why})
	s.over = true
}

// pause waits, or less when the stream is to end.
func (s *Stream) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.drain:
	case <-s.ctx.Done():
	}
}
