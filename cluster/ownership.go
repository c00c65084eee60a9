package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/task"
	"sluice/transport"
)

// ownership answers whether a task is this node's: now, by asking a leader, and
// lately, by what leaders have confirmed to this node's reports.
type ownership struct {
	*local
	facts    *hub
	leaders  leaders
	confirms *transport.Client
	lease    lease
}

// leaders is how a leader is found, and how it proves that it leads.
type leaders interface {
	leader() (transport.Target, error)
	confirm(context.Context) (uint64, error)
}

// claim asks whether a node owns a task at a turn.
type claim struct {
	Task fsm.TaskID `json:"task"`
	Turn uint64     `json:"turn"`
	Node string     `json:"node"`
}

// pathConfirm takes a claim.
const pathConfirm = "/confirm"

// confirm asks a leader, now; see task.Facts.
func (o *ownership) confirm(ctx context.Context, id fsm.TaskID, turn uint64) error {
	ctx, cancel := context.WithTimeout(ctx, o.t.rpc)
	defer cancel()
	c := claim{Task: id, Turn: turn, Node: o.self.ServerID}
	leader, err := o.leaders.leader()
	if err != nil {
		return fmt.Errorf("%w: %w", task.ErrUnknown, err)
	}
	var owns bool
	if leader.ServerID == o.self.ServerID {
		owns, err = o.handleConfirm(ctx, c)
	} else {
		err = o.confirms.Call(ctx, leader, pathConfirm, c, &owns)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", task.ErrUnknown, err)
	case !owns:
		return fmt.Errorf("%w: task %d, turn %d", task.ErrNotOwner, id, turn)
	}
	return nil
}

// handleConfirm answers on the leader, from a View that holds everything
// committed before the question.
func (o *ownership) handleConfirm(ctx context.Context, c claim) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, o.t.rpc)
	defer cancel()
	index, err := o.leaders.confirm(ctx)
	if err == nil {
		err = o.facts.wait(ctx, index)
	}
	if err != nil {
		return false, remoteError(errors.Join(ErrNoLeader, err))
	}
	t := o.facts.View().Task(c.Task)
	return t != nil && t.Turn == c.Turn && t.Owner == c.Node, nil
}

// lease remembers what leaders have confirmed to this node: that at the moment
// of asking, everything committed was at or below an index.
type lease struct {
	mu      sync.Mutex
	pending []grant // ascending by index; their index may be ahead of the View
	held    grant   // the latest whose index the View has reached
	any     bool
}

type grant struct {
	index uint64
	sent  time.Time // with monotonic reading
	wall  time.Time
}

// maxGrants bounds grants that wait for the View.
const maxGrants = 64

// add notes a leader's answer to what was asked at sent and wall.
func (l *lease) add(g grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == maxGrants {
		l.pending = l.pending[1:]
	}
	l.pending = append(l.pending, g)
}

// at returns the latest grant that holds for a View of that index.
func (l *lease) at(index uint64) (grant, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.pending[:0]
	for _, g := range l.pending {
		switch {
		case g.index > index:
			kept = append(kept, g)
		case !l.any || g.sent.After(l.held.sent):
			l.held, l.any = g, true
		}
	}
	l.pending = kept
	return l.held, l.any
}

// age is the worse of what the two clocks say: the monotonic one stands still
// while a machine is suspended, the wall clock may be set back.
func (g grant) age(now, wall time.Time) time.Duration {
	return max(now.Sub(g.sent), wall.Sub(g.wall))
}

// leaderAge returns how long ago a leader had confirmed the facts of this
// node's View; false: none has since this process began.
func (o *ownership) leaderAge() (time.Duration, bool) {
	g, ok := o.lease.at(o.facts.View().Index)
	if !ok {
		return 0, false
	}
	return g.age(time.Now(), o.cfg.Wall()), true
}

// quorum reports that changes are possible: a leader confirmed this node's
// facts less than Profile.DeadAfter ago.
func (o *ownership) quorum() bool {
	age, ok := o.leaderAge()
	return ok && age < o.t.dead
}

// errNoQuorum is why nobody waits for a leader any longer.
var errNoQuorum = errors.New("no leader has confirmed this node's facts lately")

// quorumFor is how long there is a quorum yet if nothing is heard of it any
// more; 0 and less: there is none.
func (o *ownership) quorumFor() time.Duration {
	age, ok := o.leaderAge()
	if !ok {
		return o.t.propose - time.Since(o.began)
	}
	return o.t.dead - age
}

// untilNoQuorum waits until there is none, or fails with the context's error.
func (o *ownership) untilNoQuorum(ctx context.Context) error {
	for {
		left := o.quorumFor()
		if left <= 0 {
			return errNoQuorum
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// leaseOf is the age of the latest confirmation for a task; see task.Facts.
func (o *ownership) leaseOf(id fsm.TaskID, turn uint64) (age time.Duration, ok bool) {
	g, ok := o.lease.at(o.facts.View().Index)
	if !ok {
		return 0, false
	}
	// Read after the grant: what it promises holds for this View or a later one.
	t := o.facts.View().Task(id)
	if t == nil || t.Turn != turn || t.Owner != o.self.ServerID {
		return 0, false
	}
	return g.age(time.Now(), o.cfg.Wall()), true
}
