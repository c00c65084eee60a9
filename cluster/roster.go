package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/semaphore"

	"sluice/fsm"
	"sluice/transport"
)

// roster changes who belongs to the cluster, in Raft's configuration and in the
// facts alike. Only a leader's does; any other node's passes requests on.
type roster struct {
	*local
	consensus *consensus
	liveness  *liveness
	door      *door
	tr        *transport.Transport
	calls     *transport.Client
	change    *semaphore.Weighted // of 1: held until a change is committed; who waits for it ends with its context
	record    func(fsm.Event)
	refused   map[string]time.Time // when the refusal of a node was last told; under change
}

// putNode writes a node's record into the facts; a refusal is an error.
func putNode(ctx context.Context, c *consensus, put *fsm.NodePut) error {
	result, err := c.propose(ctx, put)
	if err == nil && result.Refused != fsm.RefusedNot {
		err = errors.New(result.Message)
	}
	return err
}

// remove takes a server out of Raft's configuration and out of the facts. The
// caller holds change.
func (r *roster) remove(ctx context.Context, m *fsm.NodeRemove) error {
	id := m.ID
	c := r.consensus.raft.Load()
	err := c.ask(func() raft.Future { return c.RemoveServer(raft.ServerID(id), 0, r.t.rpc) }).wait(ctx)
	if err != nil {
		return fmt.Errorf("taking node %s out of Raft: %w", r.consensus.nameOf(id), err)
	}
	m.At = r.nowMillis()
	if _, err := r.consensus.propose(ctx, m); err != nil {
		return fmt.Errorf("removing node %s: %w", r.consensus.nameOf(id), err)
	}
	return nil
}

// ban bans the certificate of a node that is taken out: it may be in other
// hands. Without certificates there is nothing to ban.
func (r *roster) ban(out *fsm.NodeRemove) {
	v := r.consensus.facts.View()
	node := v.Node(out.ID)
	if out.Ban = node != nil && v.NamesMembers() && r.tr.Certificates().Key() != ""; !out.Ban || out.Act == nil {
		return
	}
	act := *out.Act
	act.Did = append(slices.Clip(act.Did), fsm.Deed{Text: "ban the certificate of node " + node.Name})
	out.Act = &act
}

// enfranchise gives a member a vote. The caller holds change.
func (r *roster) enfranchise(ctx context.Context, id raft.ServerID) error {
	name, s := r.consensus.nameOf(string(id)), r.consensus.server(string(id))
	if s == nil {
		return nil
	}
	r.log.Info("giving a vote to node", "node", name, "id", id, "address", s.Address)
	ctx, cancel := context.WithTimeout(ctx, r.t.propose)
	defer cancel()
	c := r.consensus.raft.Load()
	if err := c.ask(func() raft.Future { return c.AddVoter(id, s.Address, 0, r.t.rpc) }).wait(ctx); err != nil {
		return fmt.Errorf("giving node %s a vote: %w", name, err)
	}
	return nil
}

// disenfranchise takes a member's vote; it stays a member. The caller holds
// change.
func (r *roster) disenfranchise(ctx context.Context, id raft.ServerID) error {
	ctx, cancel := context.WithTimeout(ctx, r.t.propose)
	defer cancel()
	c := r.consensus.raft.Load()
	if err := c.ask(func() raft.Future { return c.DemoteVoter(id, 0, r.t.rpc) }).wait(ctx); err != nil {
		return fmt.Errorf("taking the vote of node %s: %w", r.consensus.nameOf(string(id)), err)
	}
	return nil
}

// align removes from the facts who is no member of Raft: a removal that ended
// between the two, or a node's own word that came after its removal. It does
// nothing while a change is under way.
func (r *roster) align(ctx context.Context, v *fsm.View) error {
	for _, node := range v.Nodes {
		if r.consensus.isMember(node.ID) || !r.change.TryAcquire(1) {
			continue
		}
		var err error
		if !r.consensus.isMember(node.ID) { // no change of members is under way
			err = r.consensus.commit(ctx, &fsm.NodeRemove{ID: node.ID, At: r.nowMillis()})
		}
		r.change.Release(1)
		if err != nil {
			return fmt.Errorf("removing node %s from the facts: %w", node.ID, err)
		}
	}
	return nil
}

// removal asks a leader to remove a node.
type removal struct {
	ID     string   `json:"id"`
	Leaves bool     `json:"leaves"`        // by its own will, drained
	Act    *fsm.Act `json:"act,omitempty"` // who wants it; nil: unknown
}

// What a leader is asked to do with nodes.
const (
	pathJoin   = "/join"   // takes an fsm.Node
	pathRemove = "/remove" // takes a removal
)

// request asks the leader to remove a dead node, named or by ServerID.
func (r *roster) request(ctx context.Context, nameOrID string, act *fsm.Act) error {
	id, err := r.consensus.named(nameOrID)
	if err != nil {
		return err
	}
	leader, err := r.consensus.leader()
	if err != nil {
		return err
	}
	if leader.ServerID == r.self.ServerID {
		_, err = r.handleRemove(ctx, removal{ID: id, Act: act})
		return err
	}
	return classify(r.calls.Call(ctx, leader, pathRemove, removal{ID: id, Act: act}, nil))
}

// handleRemove removes a node on the leader: a dead one, or one that leaves
// where the others can do without it.
func (r *roster) handleRemove(ctx context.Context, m removal) (struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, r.t.propose)
	defer cancel()
	t := r.consensus.leading.Load()
	if t == nil {
		return struct{}{}, remoteError(ErrNoLeader)
	}
	peer, remote := transport.PeerFrom(ctx)
	leaves := m.Leaves && remote && peer.ServerID == m.ID
	switch life := r.liveness.life(m.ID, t.since); {
	case m.ID == r.self.ServerID:
		return struct{}{}, remoteError(errors.New("a leader cannot remove itself; let it leave"))
	case !leaves && life != LifeDead:
		return struct{}{}, remoteError(fmt.Errorf("node %s is %s; let it leave by itself (`sluice cluster leave` there)", m.ID, life))
	}
	if err := r.change.Acquire(ctx, 1); err != nil {
		return struct{}{}, remoteError(fmt.Errorf("waiting for another change of members: %w", err))
	}
	defer r.change.Release(1)
	if err := r.liveness.quorumWithout(m.ID, t.since, r.consensus.nameOf); err != nil && leaves {
		return struct{}{}, remoteError(err)
	}
	r.log.Info("removing a node", "node", r.consensus.nameOf(m.ID), "id", m.ID, "leaves", leaves)
	out := &fsm.NodeRemove{ID: m.ID, Act: m.Act}
	if !leaves {
		r.ban(out)
	}
	return struct{}{}, remoteError(r.remove(ctx, out))
}
