package stream

import (
	"cmp"
	"context"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

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
		s.memory.Looked = s.assigned.now()
	case recovery.NeedLog:
		sit.Expiration = s.logs.target.ProducerExpiry(s.ctx, s.logs.target.place.Leader)
		sit.Log, err = s.logs.readTarget(s.ctx, recovery.Basis(sit), s.pause)
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
		sit.Owner = s.assigned.owner(s.ctx)
	case recovery.NeedOldRequests:
		err = s.waitForOldRequests(sit.Log)
		s.waited(sit)
	case recovery.NeedEpochEnd:
		var end int64
		end, err = s.logs.source.epochEnd(s.ctx, g.Epoch)
		sit.EpochEnd = &end
	case recovery.NeedDifference:
		var at int64
		ctx, cancel := untilDrained(s.ctx, s.drain)
		defer cancel()
		at, err = s.logs.firstDifference(ctx, cmp.Or(g.Mapping, m), g.From, g.At, s.progress.tell)
		sit.Difference = &at
	case recovery.NeedOurs:
		ctx, cancel := untilDrained(s.ctx, s.drain)
		defer cancel()
		sit.Ours, err = s.logs.ours(ctx, m, g.From, sit.Log.LogEnd, s.progress.tell)
	case recovery.NeedFence:
		if s.filler, err = s.logs.openFiller(s.ctx, sit.Spec); err == nil {
			s.memory.Fenced(sit.Log.LogEnd)
			sit.Memory.Fenced(sit.Log.LogEnd)
			sit.Gaps.Fenced, sit.Log, sit.Owner = true, nil, recovery.OwnerUnasked
		}
	case recovery.NeedKept:
		var end int64
		end, err = s.logs.target.epochEnd(s.ctx, g.Epoch)
		sit.Gaps.Kept = &end
	case recovery.NeedData:
		ctx, cancel := untilDrained(s.ctx, s.drain)
		defer cancel()
		sit.Gaps.Data, err = s.logs.lastData(ctx, m, g, sit.Log, s.progress.tell)
	case recovery.NeedAhead:
		ctx, cancel := untilDrained(s.ctx, s.drain)
		defer cancel()
		sit.Gaps.Ahead, err = s.logs.ahead(ctx, g.From, s.assigned.loopIDs(), s.progress.tell)
	case recovery.NeedTrim:
		if err = s.logs.target.call(s.ctx, func(ctx context.Context, b kafka.Broker) error {
			return b.DeleteRecords(ctx, s.logs.target.topic, s.logs.target.partition, g.From)
		}); err == nil {
			sit.Log = nil
		}
	case recovery.NeedAlignment:
		ctx, cancel := untilDrained(s.ctx, s.drain)
		defer cancel()
		sit.Aligned, err = s.logs.align(ctx, g.Known, sit, s.assigned.loopIDs(), s.progress.tell)
	}
	return err
}

// untilDrained is a context that ends when the stream is to end: for what may
// take long.
func untilDrained(ctx context.Context, drain <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-over }
}

// waited brings the situation up to date: checkpoints went on meanwhile.
func (s *Stream) waited(sit *recovery.Situation) {
	sit.Gaps = recovery.Gaps{Fills: sit.Gaps.Fills}
	sit.Waited, sit.Log, sit.Now = !s.memory.OldRequests, nil, s.assigned.now()
	sit.Memory = s.progress.memory(s.memory)
	if t := s.assigned.task(); t != nil {
		sit.Task = t.Copy
	}
}

// linkProducer returns the link's producer id at the target, asking for one
// when there is none yet; the first that is committed wins.
func (s *Stream) linkProducer() (int64, error) {
	if l := s.assigned.ctl.View().Link(s.assigned.link); l != nil && l.ProducerID < 0 {
		id, err := s.logs.newProducer(s.ctx)
		if err != nil {
			return -1, err
		}
		if _, err := s.assigned.propose(s.ctx, &fsm.LinkProducer{Link: s.assigned.link, ProducerID: id, Prev: -1}); err != nil {
			return -1, err
		}
	}
	l := s.assigned.ctl.View().Link(s.assigned.link)
	switch {
	case l == nil:
		return -1, recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the link is gone")
	case l.ProducerID < 0:
		return -1, recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the link has no producer id yet")
	}
	return l.ProducerID, nil
}

// commit puts a mapping into the facts, before any batch that rests on it, and
// begins a new situation from there. Its Task is nil when the stream is not
// this node's any more.
func (s *Stream) commit(sit *recovery.Situation, c recovery.Commit) *recovery.Fault {
	now := s.assigned.now()
	if e := c.Event; e != nil {
		e.First, e.Last, e.Node = now, now, s.assigned.name
	}
	s.assigned.record(c.Tell)
	res, err := s.assigned.propose(s.ctx, &fsm.MappingPut{Task: s.assigned.id, Turn: s.assigned.turn, Mapping: c.Mapping, Progress: c.Progress, Event: c.Event, At: now})
	if err == nil && res.Refused == fsm.RefusedInvalid {
		err = recovery.Faulty(recovery.Retry, fsm.CodeStarting, res.Message)
	}
	if err != nil {
		f := wire.FaultOf(err, false)
		return &f
	}
	// Refused as stale or not, what counts is what the View says now.
	t := s.assigned.task()
	if t == nil || t.Copy.Mapping == nil {
		sit.Task = nil
		return nil
	}
	if sit.Task.Stop != nil {
		s.memory.Attempts = 0
	}
	s.memory.Unacked, s.memory.Misplaced, s.memory.Kept = nil, nil, nil
	s.progress.committed(t.Copy)
	before, first := *sit, sit.Task.Mapping == nil
	*sit = s.situation(t)
	sit.Places = before.Places
	if first && t.Copy.Mapping.Version == c.Mapping.Version && t.Copy.Mapping.ProducerID == c.Mapping.ProducerID {
		sit.Log, sit.Expiration = before.Log, before.Expiration // nothing can have been sent under a mapping that was not there
	}
	return nil
}

// halt stops the stream with a reason, as a fact that outlives this owner.
func (s *Stream) halt(f recovery.Fault) {
	now := s.assigned.now()
	stop := &fsm.TaskStop{
		Task: s.assigned.id, Turn: s.assigned.turn, Version: s.progress.memory(s.memory).Version,
		Stop:  fsm.Stop{Code: f.Code, From: f.Range.From, To: f.Range.To, Target: !f.Source, Message: f.Message, At: now},
		Event: &fsm.Event{Code: f.Code, From: f.Range.From, To: f.Range.To, Message: f.Message, Node: s.assigned.name, First: now, Last: now},
	}
	s.counts.ask(stop)
	_, err := s.assigned.propose(s.ctx, stop)
	s.counts.settle(s.assigned.ctl.View(), s.assigned.id, err == nil)
	s.progress.show(f.Code, f.Message)
	if err != nil {
		s.memory.Attempts++
		s.pause(recovery.Backoff(s.memory.Attempts))
	}
}
