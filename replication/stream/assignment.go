package stream

import (
	"context"
	"errors"
	"time"

	"sluice/fsm"
	"sluice/replication/recovery"
	"sluice/task"
)

// assignment is a copy task as this node was given it, and what it may ask of
// the control plane for it.
type assignment struct {
	ctl       task.Control
	node      string       // this node's ServerID
	name      string       // and its name, for events
	now       func() int64 // the wall clock in unix ms
	id        fsm.TaskID
	turn      uint64
	link      fsm.LinkID
	topic     string // of the source
	partition int32
}

// task is the task as the View has it now; nil when it is not this node's at
// this turn any more.
func (a *assignment) task() *fsm.Task {
	t := a.ctl.View().Task(a.id)
	if t == nil || t.Turn != a.turn || t.Owner != a.node {
		return nil
	}
	return t
}

// spec is that of the link, empty when it is gone.
func (a *assignment) spec() *fsm.LinkSpec {
	if l := a.ctl.View().Link(a.link); l != nil {
		return &l.Spec
	}
	return &fsm.LinkSpec{}
}

// loopIDs are the producer ids whose batches the stream does not copy.
func (a *assignment) loopIDs() map[int64]bool { return a.ctl.View().LoopIDs(a.spec()) }

// Time limits of what a leader is asked.
const (
	proposeTimeout = 10 * time.Second
	ownerTimeout   = 2 * time.Second
)

// owner asks a leader whether this node still owns the stream.
func (a *assignment) owner(ctx context.Context) recovery.Ownership {
	ctx, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	switch err := a.ctl.ConfirmOwner(ctx, a.id, a.turn); {
	case err == nil:
		return recovery.OwnerConfirmed
	case errors.Is(err, task.ErrNotOwner):
		return recovery.OwnerLost
	}
	return recovery.OwnerUnknown
}

// propose commits a command; a failure without an answer is tried later.
func (a *assignment) propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	res, err := a.ctl.Propose(ctx, c)
	if err != nil {
		return res, recovery.Faulty(recovery.Retry, fsm.CodeWaiting, "the Sluice cluster does not take a change that the stream waits for (`sluice cluster members`): "+err.Error())
	}
	return res, nil
}

// lift takes the stream's stop away, as an operator's retry does.
func (a *assignment) lift(ctx context.Context) error {
	_, err := a.propose(ctx, &fsm.TaskOrder{
		Link: a.link, Topic: a.topic, Partition: a.partition, Order: fsm.OrderRetry, At: a.now(), Seen: a.ctl.View().Seen(),
	})
	return err
}

// record tells an event about the stream; nil: none.
func (a *assignment) record(e *fsm.Event) {
	if e == nil {
		return
	}
	now := a.now()
	e.Link, e.Task, e.Topic, e.Part, e.Node, e.First, e.Last = a.link, a.id, a.topic, a.partition, a.name, now, now
	a.ctl.Record(*e)
}
