package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/task"
	"sluice/transport"
)

var _ task.Control = (*Node)(nil)

// Self returns this node's identity.
func (n *Node) Self() transport.Identity { return n.tr.Self() }

// View returns the latest facts that this node knows; it never changes.
func (n *Node) View() *fsm.View { return n.consensus.facts.View() }

// Watch returns a channel that is closed when a View later than one loaded
// after the call exists.
func (n *Node) Watch() <-chan struct{} { return n.consensus.facts.watch() }

// WaitIndex waits until this node's View has reached an index.
func (n *Node) WaitIndex(ctx context.Context, index uint64) error {
	return n.consensus.facts.wait(ctx, index)
}

// Propose commits a command and returns what the FSM answered, on any node. It
// tries again while the command surely was not taken, for at most the
// profile's propose time; errors are ErrNoLeader, ErrAmbiguous and ErrLevel,
// wrapped, or that this node or the leader cannot read the command. A refusal
// by the FSM is not an error: it stands in the result. When it returns without
// an error this node's View holds the result: who decides again sees what it
// did.
func (n *Node) Propose(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	return n.consensus.propose(ctx, cmd)
}

// Order proposes what somebody asks for who waits for the answer: as Propose,
// but without a quorum it fails at once, and when that is lost meanwhile. A node
// that has just begun is given the profile's propose time to hear of a leader.
func (n *Node) Order(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	return withQuorum(ctx, n.ownership, func(ctx context.Context) (fsm.Result, error) { return n.consensus.propose(ctx, cmd) })
}

// Confirm returns an index that holds all that was committed before the call,
// as a leader says who proves that it leads. Without a quorum it fails as Order
// does, with ErrNoLeader.
func (n *Node) Confirm(ctx context.Context) (uint64, error) {
	return withQuorum(ctx, n.ownership, n.consensus.confirmed)
}

// withQuorum does what somebody waits for, and cuts it short once there is no
// quorum.
func withQuorum[T any](ctx context.Context, o *ownership, do func(context.Context) (T, error)) (none T, err error) {
	if o.quorumFor() <= 0 {
		return none, fmt.Errorf("%w: %w", ErrNoLeader, errNoQuorum)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel(nil)
	watch.Go(func() { cancel(o.untilNoQuorum(ctx)) })
	return do(ctx)
}

// ConfirmOwner implements task.Facts: nil, task.ErrNotOwner or task.ErrUnknown.
func (n *Node) ConfirmOwner(ctx context.Context, id fsm.TaskID, turn uint64) error {
	return n.ownership.confirm(ctx, id, turn)
}

// Lease implements task.Facts. An unguarded stream writes only while it is
// younger than Profile.DeadAfter, and asks straight before each write.
func (n *Node) Lease(id fsm.TaskID, turn uint64) (age time.Duration, ok bool) {
	return n.ownership.leaseOf(id, turn)
}

// Quorum reports that a leader confirmed this node's facts less than
// Profile.DeadAfter ago: changes are possible.
func (n *Node) Quorum() bool { return n.ownership.quorum() }

// Record implements task.Reports; it returns at once. Node and the times are
// filled in where they are empty.
func (n *Node) Record(e fsm.Event) { n.events.record(e) }

// Progress implements task.Reports; it returns at once. Only the last item of a
// task is kept, with the segments of all. Without a quorum items wait.
func (n *Node) Progress(item fsm.ProgressItem) { n.progress.put(item) }

// Leave returns when it is sure that this node leaves, or with an error
// (ErrNoLeader, ErrLastNode, ErrQuorum, ErrLeaving, the context's). finish
// drains this node's tasks through hand-overs, hands over leadership, removes
// the node from the cluster and ends Run with nil. It fails only when its
// context ends: then the node is a member still and takes part again. act says
// who wants it, nil: unknown.
func (n *Node) Leave(ctx context.Context, act *fsm.Act) (finish func(context.Context) error, err error) {
	return n.membership.finishLeaving, n.membership.beginLeaving(ctx, act)
}

// TransferLeadership hands leadership to a voter, named or by ServerID, or where
// none is named to the one that is best off, through whichever node is asked. It
// returns who led and who leads, once that one has proven it: the same where it
// led before. act says who wants it, nil: unknown. Without a quorum it fails at
// once, with ErrNoLeader.
func (n *Node) TransferLeadership(ctx context.Context, nameOrID string, act *fsm.Act) (from, to string, err error) {
	_, err = withQuorum(ctx, n.ownership, func(ctx context.Context) (none struct{}, err error) {
		from, to, err = n.membership.next.request(ctx, nameOrID, act)
		return none, err
	})
	return from, to, err
}

// Remove takes a dead node, named or by ServerID, out of the cluster. A node
// that is alive is refused: it leaves by itself.
func (n *Node) Remove(ctx context.Context, nameOrID string, act *fsm.Act) error {
	return n.roster.request(ctx, nameOrID, act)
}
