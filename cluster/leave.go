package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/transport"
)

// Errors of leaving.
var (
	// ErrLastNode: a cluster cannot be left by its only node.
	ErrLastNode = errors.New("the only node of a cluster cannot leave it")
	// ErrLeaving: it leaves already.
	ErrLeaving = errors.New("this node is leaving the cluster already")
	// ErrQuorum: those who would remain could change nothing any more.
	ErrQuorum = errors.New("too few voters would remain alive")
)

// departure asks a leader to remove a node.
type departure struct {
	ID     string `json:"id"`
	Leaves bool   `json:"leaves"` // by its own will, drained
}

// leavePoll is how often a leaving node looks whether it is drained.
const leavePoll = 100 * time.Millisecond

// Leave drains this node's tasks through hand-overs, hands over leadership,
// removes the node from the cluster and ends Run with nil. Until ctx ends it
// waits for the drain; on an error the node is a member still and takes part
// again.
func (n *Node) Leave(ctx context.Context) error {
	switch {
	case n.raft.Load() == nil:
		return ErrNoLeader
	case len(n.servers()) < 2:
		return ErrLastNode
	}
	if err := n.spared(ctx); err != nil {
		return err
	}
	if !n.leaving.CompareAndSwap(false, true) {
		return ErrLeaving
	}
	defer func() { n.leaving.Store(n.left.Load()) }()
	node := n.record()
	node.Leaving = true
	if _, err := n.Propose(ctx, &fsm.NodePut{Node: node, At: n.nowMillis()}); err != nil {
		return fmt.Errorf("announcing to leave: %w", err)
	}
	for _, step := range []func(context.Context) error{n.drained, n.yield, n.depart} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("leaving the cluster: %w", err)
		}
	}
	n.log.Info("left the cluster")
	n.left.Store(true)
	n.stop(nil)
	return nil
}

// drained waits until the facts give this node no task and none runs here.
func (n *Node) drained(ctx context.Context) error {
	for {
		owned := 0
		for t := range n.View().Tasks {
			if t.Owner == n.self.ServerID {
				owned++
			}
		}
		if owned == 0 && n.reconciler.running.Load() == 0 {
			return nil
		}
		select {
		case <-time.After(leavePoll):
		case <-ctx.Done():
			return fmt.Errorf("%d tasks are not handed over yet: %w", owned, ctx.Err())
		}
	}
}

// yield hands leadership to another node if this one holds it.
func (n *Node) yield(ctx context.Context) error {
	for {
		leader, err := n.leader()
		if err == nil && leader.ServerID != n.self.ServerID {
			return nil
		}
		if err == nil {
			c := n.raft.Load()
			if err := c.ask(c.LeadershipTransfer).wait(ctx); err != nil {
				n.log.Warn("handing over leadership", "error", err)
			}
		}
		select {
		case <-time.After(leavePoll):
		case <-ctx.Done():
			return fmt.Errorf("handing over leadership: %w", ctx.Err())
		}
	}
}

// spared waits for a round of reports at most until the cluster can do without
// this node: when it has just begun, or a leader has, some are yet to come.
func (n *Node) spared(ctx context.Context) error {
	for begun := time.Now(); ; {
		err := n.spare(n.self.ServerID, n.began)
		if err == nil || time.Since(begun) > listening {
			return err
		}
		select {
		case <-time.After(leavePoll):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// spare says whether the cluster can do without a voter, as far as reports
// heard since then tell: of those who remain a majority must be alive, or
// nothing, not even the removal, is ever committed again.
func (n *Node) spare(id string, since time.Time) error {
	voters := votersOf(n.servers())
	rest := others(voters, id)
	if len(rest) == len(voters) {
		return nil
	}
	now, alive := time.Now(), 0
	var missing []string
	for _, voter := range rest {
		v := string(voter)
		if v == n.self.ServerID || judge(now, since, n.table.get(v), n.t) == LifeAlive {
			alive++
		} else {
			missing = append(missing, n.nameOf(v))
		}
	}
	if alive > len(rest)/2 {
		return nil
	}
	if len(rest) == 0 {
		return fmt.Errorf("%w: no other node votes yet; a new one does after some healthy seconds (`sluice cluster members`)", ErrQuorum)
	}
	return fmt.Errorf("%w: %d of %d, without %s; bring these back or take them out first (`sluice cluster remove`)",
		ErrQuorum, alive, len(rest), strings.Join(missing, ", "))
}

func (n *Node) nameOf(id string) string {
	if node := n.View().Node(id); node != nil {
		return node.Name
	}
	return id
}

// depart lets the leader remove this node. Only a leader's answer counts: what
// this node has in its log of its removal is perhaps never committed. Once it
// is, nobody tells this node who leads, so it asks them all.
func (n *Node) depart(ctx context.Context) error {
	members := n.servers()
	for {
		err := n.askToGo(ctx, members)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(leavePoll):
		case <-ctx.Done():
			return fmt.Errorf("asking to be removed: %w", err)
		}
	}
}

// askToGo asks the leader, if one is known, else every other member.
func (n *Node) askToGo(ctx context.Context, members []raft.Server) error {
	var targets []transport.Target
	if leader, err := n.leader(); err == nil {
		targets = append(targets, leader)
	} else {
		for _, s := range members {
			targets = append(targets, transport.Target{Address: string(s.Address), ServerID: string(s.ID)})
		}
	}
	err := ErrNoLeader
	for _, to := range targets {
		if to.ServerID == n.self.ServerID {
			continue
		}
		callCtx, cancel := context.WithTimeout(ctx, n.t.propose)
		err = n.clients.calls.Call(callCtx, to, pathRemove, departure{ID: n.self.ServerID, Leaves: true}, nil)
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// Remove takes a dead node, named or by ServerID, out of the cluster. A node
// that is alive is refused: it leaves by itself.
func (n *Node) Remove(ctx context.Context, nameOrID string) error {
	id := ""
	for _, node := range n.View().Nodes {
		if node.ID == nameOrID || node.Name == nameOrID {
			id = node.ID
		}
	}
	if id == "" && n.isMember(nameOrID) {
		id = nameOrID
	}
	if id == "" {
		return fmt.Errorf("no node %s", nameOrID)
	}
	leader, err := n.leader()
	if err != nil {
		return err
	}
	if leader.ServerID == n.self.ServerID {
		_, err = n.handleRemove(ctx, departure{ID: id})
		return err
	}
	return classify(n.clients.calls.Call(ctx, leader, pathRemove, departure{ID: id}, nil))
}

func (n *Node) handleRemove(ctx context.Context, d departure) (struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, n.t.propose)
	defer cancel()
	t := n.leading.Load()
	if t == nil {
		return struct{}{}, remoteError(ErrNoLeader)
	}
	peer, remote := transport.PeerFrom(ctx)
	leaves := d.Leaves && remote && peer.ServerID == d.ID
	switch life := judge(time.Now(), t.since, n.table.get(d.ID), n.t); {
	case d.ID == n.self.ServerID:
		return struct{}{}, remoteError(errors.New("a leader cannot remove itself; let it leave"))
	case !leaves && life != LifeDead:
		return struct{}{}, remoteError(fmt.Errorf("node %s is %s; let it leave by itself (`sluice cluster leave` there)", d.ID, life))
	}
	n.membership.Lock()
	defer n.membership.Unlock()
	if err := n.spare(d.ID, t.since); err != nil && leaves {
		return struct{}{}, remoteError(err)
	}
	n.log.Info("removing a node", "id", d.ID, "leaves", leaves)
	return struct{}{}, remoteError(n.drop(ctx, d.ID))
}
