package stream

import (
	"context"
	"errors"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/recovery"
	"sluice/replication/wire"
	"sluice/task"
)

// proposeTimeout bounds the commit of a command.
const proposeTimeout = 10 * time.Second

// gather answers what a step asks for; not nil: it could not.
func (s *Stream) gather(sit *recovery.Situation, g recovery.Gather) *recovery.Fault {
	err := s.answer(sit, g)
	if err == nil {
		return nil
	}
	f := wire.FaultOf(err, false)
	return &f
}

func (s *Stream) answer(sit *recovery.Situation, g recovery.Gather) (err error) {
	m := sit.Task.Mapping
	switch g.What {
	case recovery.NeedPlaces:
		if sit.Task.Stop == nil && s.memory.Attempts == 0 { // what is wrong stays to be seen
			s.progress.show(fsm.CodeStarting, "")
		}
		sit.Places, err = s.logs.find(s.ctx)
	case recovery.NeedLog:
		sit.Expiration = s.logs.target.ProducerExpiry(s.ctx, s.logs.target.place.Leader)
		sit.Log, err = s.logs.readTarget(s.ctx, m, s.pause)
		s.seen = time.Now()
	case recovery.NeedSource:
		sit.Source, err = s.logs.readSource(s.ctx)
	case recovery.NeedProducer:
		sit.ProducerID, err = s.linkProducer()
	case recovery.NeedNewID:
		var id int64
		id, err = s.logs.newProducer(s.ctx)
		sit.NewID = &id
	case recovery.NeedOwner:
		sit.Owner = s.owner()
	case recovery.NeedOldRequests:
		err = s.waitForOldRequests()
		s.waited(sit)
	case recovery.NeedEpochEnd:
		var end int64
		end, err = s.logs.epochEnd(s.ctx, sit.Memory.Last.SourceEpoch)
		sit.EpochEnd = &end
	case recovery.NeedDifference:
		var at int64
		at, err = s.logs.firstDifference(s.ctx, m, g.From, g.At)
		sit.Difference = &at
	case recovery.NeedOurs:
		sit.Ours, err = s.logs.ours(s.ctx, m, g.From, sit.Log.LogEnd)
	}
	return err
}

// waited brings the situation up to date: checkpoints went on meanwhile.
func (s *Stream) waited(sit *recovery.Situation) {
	sit.Waited, sit.Log, sit.Now = !s.memory.OldRequests, nil, s.r.nowMs()
	sit.Memory = s.progress.memory(s.memory)
	if t := s.task(); t != nil {
		sit.Task = t.Copy
	}
}

// owner asks a leader whether this node still owns the stream.
func (s *Stream) owner() recovery.Ownership {
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
	defer cancel()
	switch err := s.r.ctl.ConfirmOwner(ctx, s.id, s.turn); {
	case err == nil:
		return recovery.OwnerConfirmed
	case errors.Is(err, task.ErrNotOwner):
		return recovery.OwnerLost
	}
	return recovery.OwnerUnknown
}

// linkProducer returns the link's producer id at the target, asking for one
// when there is none yet; the first that is committed wins.
func (s *Stream) linkProducer() (int64, error) {
	if l := s.r.ctl.View().Link(s.link); l != nil && l.ProducerID < 0 {
		id, err := s.logs.newProducer(s.ctx)
		if err != nil {
			return -1, err
		}
		if _, err := s.propose(&fsm.LinkProducer{Link: s.link, ProducerID: id, Prev: -1}); err != nil {
			return -1, err
		}
	}
	l := s.r.ctl.View().Link(s.link)
	switch {
	case l == nil:
		return -1, recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the link is gone")
	case l.ProducerID < 0:
		return -1, recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the link has no producer id yet")
	}
	return l.ProducerID, nil
}

// propose commits a command; a failure without an answer is tried later.
func (s *Stream) propose(c fsm.Command) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(s.ctx, proposeTimeout)
	defer cancel()
	res, err := s.r.ctl.Propose(ctx, c)
	if err != nil {
		return res, recovery.Faulty(recovery.Retry, fsm.CodeWaiting, "the cluster did not commit: "+err.Error())
	}
	return res, nil
}

// commit puts a mapping into the facts, before any batch that rests on it, and
// begins a new situation from there. Its Task is nil when the stream is not
// this node's any more.
func (s *Stream) commit(sit *recovery.Situation, c recovery.Commit) *recovery.Fault {
	now := s.r.nowMs()
	if e := c.Event; e != nil {
		e.First, e.Last, e.Node = now, now, s.r.cfg.Name
	}
	s.tell(c.Tell)
	res, err := s.propose(&fsm.MappingPut{Task: s.id, Turn: s.turn, Mapping: c.Mapping, Progress: c.Progress, Event: c.Event, At: now})
	if err == nil && res.Refused == fsm.RefusedInvalid {
		err = recovery.Faulty(recovery.Retry, fsm.CodeStarting, res.Message)
	}
	if err != nil {
		f := wire.FaultOf(err, false)
		return &f
	}
	// Refused as stale or not, what counts is what the View says now.
	t := s.task()
	if t == nil || t.Copy.Mapping == nil {
		sit.Task = nil
		return nil
	}
	if sit.Task.Stop != nil {
		s.memory.Attempts = 0
	}
	s.memory.Unacked, s.memory.Misplaced = nil, nil
	s.progress.committed(t.Copy)
	places := sit.Places
	*sit = s.situation(t)
	sit.Places = places
	return nil
}

// halt stops the stream with a reason, as a fact that outlives this owner.
func (s *Stream) halt(f recovery.Fault) {
	now := s.r.nowMs()
	_, err := s.propose(&fsm.TaskStop{
		Task: s.id, Turn: s.turn, Version: s.progress.memory(s.memory).Version,
		Stop:  fsm.Stop{Code: f.Code, From: f.Range.From, To: f.Range.To, Target: !f.Source, Message: f.Message, At: now},
		Event: &fsm.Event{Code: f.Code, From: f.Range.From, To: f.Range.To, Message: f.Message, Node: s.r.cfg.Name, First: now, Last: now},
	})
	s.progress.show(f.Code, f.Message)
	if err != nil {
		s.pause(recovery.Backoff(s.memory.Attempts))
	}
}

// newProducer asks the target for an unused producer id.
func (l *logs) newProducer(ctx context.Context) (id int64, err error) {
	err = l.target.call(ctx, func(ctx context.Context, b kafka.Broker) (err error) {
		id, _, err = b.InitProducerID(ctx)
		return err
	})
	return id, err
}
