package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/task"
)

// verifyAgain is the pace of asking Raft again whether it leads, while the
// answers that count are under way.
const verifyAgain = 50 * time.Millisecond

// confirmedIndex proves leadership and returns the index of the last command
// that was committed when it was called: whoever has applied it knows every
// change of before. The proof is a quorum of appends or heartbeats sent after
// the call and acknowledged. Raft counts nodes without a vote too, so that its
// own answer may come long before. Errors wrap ErrNoLeader.
func (n *Node) confirmedIndex(ctx context.Context) (uint64, error) {
	term, c := n.leading.Load(), n.raft.Load()
	if term == nil || c == nil {
		return 0, ErrNoLeader
	}
	asked := time.Now()
	index := c.lastCommand(c.CommitIndex(), n.View().Index)
	voters := votersOf(n.servers())
	for ctx.Err() == nil {
		if err := c.ask(c.VerifyLeader).wait(ctx); err != nil {
			return 0, fmt.Errorf("%w: verifying leadership: %w", ErrNoLeader, err)
		}
		if n.leading.Load() != term {
			return 0, ErrNoLeader
		}
		if c.peers.acknowledged(ctx, asked, others(voters, n.self.ServerID), len(voters)/2) {
			return index, nil
		}
	}
	return 0, fmt.Errorf("%w: no quorum answered", ErrNoLeader)
}

func votersOf(servers []raft.Server) []raft.ServerID {
	var ids []raft.ServerID
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func others(ids []raft.ServerID, self string) []raft.ServerID {
	var out []raft.ServerID
	for _, id := range ids {
		if string(id) != self {
			out = append(out, id)
		}
	}
	return out
}

// verifier lets callers that ask at the same time share one confirmation: who
// comes while one is under way waits for the next, which begins after it came.
type verifier struct {
	mu   sync.Mutex
	next *verification
	busy bool
}

type verification struct {
	done  chan struct{}
	index uint64
	err   error
}

// confirm is confirmedIndex, shared.
func (n *Node) confirm(ctx context.Context) (uint64, error) {
	v := &n.verifier
	v.mu.Lock()
	if v.next == nil {
		v.next = &verification{done: make(chan struct{})}
	}
	mine := v.next
	if !v.busy {
		v.busy = true
		go n.verifyLoop()
	}
	v.mu.Unlock()
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrNoLeader, ctx.Err())
	}
}

func (n *Node) verifyLoop() {
	v := &n.verifier
	for {
		v.mu.Lock()
		current := v.next
		v.next = nil
		v.busy = current != nil
		v.mu.Unlock()
		if current == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), n.t.rpc)
		current.index, current.err = n.confirmedIndex(ctx)
		cancel()
		close(current.done)
	}
}

// claim asks whether a node owns a task at a turn.
type claim struct {
	Task fsm.TaskID `json:"task"`
	Turn uint64     `json:"turn"`
	Node string     `json:"node"`
}

// ConfirmOwner asks a leader, now, whether this node owns the task at this
// turn: nil, task.ErrNotOwner, or task.ErrUnknown when none could be asked.
func (n *Node) ConfirmOwner(ctx context.Context, id fsm.TaskID, turn uint64) error {
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	c := claim{Task: id, Turn: turn, Node: n.self.ServerID}
	leader, err := n.leader()
	if err != nil {
		return fmt.Errorf("%w: %w", task.ErrUnknown, err)
	}
	var owns bool
	if leader.ServerID == n.self.ServerID {
		owns, err = n.handleConfirm(ctx, c)
	} else {
		err = n.clients.confirms.Call(ctx, leader, pathConfirm, c, &owns)
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
func (n *Node) handleConfirm(ctx context.Context, c claim) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	index, err := n.confirm(ctx)
	if err == nil {
		err = n.WaitIndex(ctx, index)
	}
	if err != nil {
		return false, remoteError(errors.Join(ErrNoLeader, err))
	}
	t := n.View().Task(c.Task)
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

// LeaderAge returns how long ago a leader had confirmed the facts of this
// node's View; false: none has since this process began.
func (n *Node) LeaderAge() (time.Duration, bool) {
	g, ok := n.lease.at(n.View().Index)
	if !ok {
		return 0, false
	}
	return g.age(time.Now(), n.cfg.Wall()), true
}

// Lease returns the age of the latest confirmation that this node owns the
// task at this turn. An unguarded stream writes only while it is younger than
// Profile.DeadAfter, and asks straight before each write. False: the node does
// not own it, or no leader has confirmed anything yet.
func (n *Node) Lease(id fsm.TaskID, turn uint64) (age time.Duration, ok bool) {
	g, ok := n.lease.at(n.View().Index)
	if !ok {
		return 0, false
	}
	// Read after the grant: what it promises holds for this View or a later one.
	t := n.View().Task(id)
	if t == nil || t.Turn != turn || t.Owner != n.self.ServerID {
		return 0, false
	}
	return g.age(time.Now(), n.cfg.Wall()), true
}
