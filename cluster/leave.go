package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/transport"
)

// ErrLastNode: a cluster cannot be left by its only node.
var ErrLastNode = errors.New("the only node of a cluster cannot leave it")

// departure asks a leader to remove a node.
type departure struct {
	ID     string `json:"id"`
	Leaves bool   `json:"leaves"` // by its own will, drained
}

// leavePoll is how often a leaving node looks whether it is drained.
const leavePoll = 100 * time.Millisecond

// Leave drains this node's tasks through hand-overs, hands over leadership,
// removes the node from the cluster and ends Run with nil. Until ctx ends it
// waits for the drain; on an error the node is a member still, but gets no
// tasks until it is started again.
func (n *Node) Leave(ctx context.Context) error {
	switch {
	case n.raft.Load() == nil:
		return ErrNoLeader
	case len(n.servers()) < 2:
		return ErrLastNode
	}
	n.leaving.Store(true)
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
		if owned == 0 && n.running.Load() == 0 {
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

// depart lets the leader remove this node. The answer may be lost, because
// Raft ends the connections of a removed server: not being a member any more
// counts as success.
func (n *Node) depart(ctx context.Context) error {
	for {
		leader, err := n.leader()
		if err == nil {
			err = n.clients.calls.Call(ctx, leader, pathRemove, departure{ID: n.self.ServerID, Leaves: true}, nil)
		}
		if err == nil || !n.isMember(n.self.ServerID) {
			return nil
		}
		select {
		case <-time.After(leavePoll):
		case <-ctx.Done():
			return fmt.Errorf("asking to be removed: %w", err)
		}
	}
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
	n.log.Info("removing a node", "id", d.ID, "leaves", leaves)
	return struct{}{}, remoteError(n.drop(ctx, d.ID))
}
