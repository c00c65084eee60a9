package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

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
	tr        *transport.Transport
	calls     *transport.Client
	change    *semaphore.Weighted // of 1: held until a change is committed; who waits for it ends with its context
}

// handleJoin takes a node in, as one without a vote. On a follower it passes
// the request on.
func (r *roster) handleJoin(ctx context.Context, node fsm.Node) (struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, r.t.propose)
	defer cancel()
	leader, err := r.consensus.leader()
	if err != nil {
		return struct{}{}, remoteError(err)
	}
	if leader.ServerID != r.self.ServerID {
		return struct{}{}, r.calls.Call(ctx, leader, pathJoin, node, nil)
	}
	if r.consensus.leading.Load() == nil {
		return struct{}{}, remoteError(ErrNoLeader)
	}
	return struct{}{}, remoteError(r.add(ctx, node))
}

// add takes a node into Raft's configuration and into the facts.
func (r *roster) add(ctx context.Context, node fsm.Node) error {
	if err := r.change.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for another change of members: %w", err)
	}
	defer r.change.Release(1)
	deed := "node " + node.Name + " joins the cluster"
	for _, s := range r.consensus.servers() {
		if string(s.ID) != node.ID {
			continue
		}
		if string(s.Address) == node.Addr {
			return nil
		}
		if err := r.checkMoved(ctx, node, string(s.Address)); err != nil {
			return err
		}
		deed = fmt.Sprintf("node %s moves from %s to %s", node.Name, s.Address, node.Addr)
	}
	if level := r.consensus.facts.View().Feature; node.Feature < level {
		return fmt.Errorf("node %s knows feature level %d, the cluster is at %d already: start it with a newer version of sluice", node.Name, node.Feature, level)
	}
	if err := r.removeFormer(ctx, node); err != nil {
		return err
	}
	r.log.Info("taking in a node", "node", node.Name, "id", node.ID, "address", node.Addr)
	c := r.consensus.raft.Load()
	err := c.ask(func() raft.Future {
		return c.AddNonvoter(raft.ServerID(node.ID), raft.ServerAddress(node.Addr), 0, r.t.rpc)
	}).wait(ctx)
	if err != nil {
		return fmt.Errorf("adding node: %w", err)
	}
	put := &fsm.NodePut{Node: node, At: r.nowMillis()}
	if r.consensus.facts.View().HasActs() {
		put.Act = &fsm.Act{
			Who: "node " + node.Name, Client: node.Addr, Node: r.cfg.Name, Did: []fsm.Deed{{Text: deed}}, At: put.At,
		}
	}
	return putNode(ctx, r.consensus, put)
}

// putNode writes a node's record into the facts; a refusal is an error.
func putNode(ctx context.Context, c *consensus, put *fsm.NodePut) error {
	result, err := c.propose(ctx, put)
	if err == nil && result.Refused != fsm.RefusedNot {
		err = errors.New(result.Message)
	}
	return err
}

// removeFormer removes the former node of an address or a name, after proof
// that it is gone for ever: its data dir was wiped when another ServerID
// answers at its address.
func (r *roster) removeFormer(ctx context.Context, node fsm.Node) error {
	former := map[string]string{} // id -> address
	for _, s := range r.consensus.servers() {
		if string(s.Address) == node.Addr && string(s.ID) != node.ID {
			former[string(s.ID)] = string(s.Address)
		}
	}
	for _, v := range r.consensus.facts.View().Nodes {
		if (v.Name == node.Name || v.Addr == node.Addr) && v.ID != node.ID {
			former[v.ID] = v.Addr
		}
	}
	for _, id := range slices.Sorted(maps.Keys(former)) {
		if former[id] != node.Addr {
			return r.nameTaken(node.Name, id, former[id])
		}
		if id == r.self.ServerID {
			return fmt.Errorf("the address %s is that of the leader, the node %s: give each node an address of its own (peer.advertise in node.yaml)", node.Addr, r.cfg.Name)
		}
		conn, err := r.tr.Dial(ctx, transport.KindRPC, transport.Target{Address: former[id], ServerID: id})
		if err == nil {
			conn.Close()
			return fmt.Errorf("the address %s is that of the node %s, which is alive: give each node an address of its own (peer.advertise in node.yaml)", node.Addr, r.consensus.nameOf(id))
		}
		if !errors.Is(err, transport.ErrWrongServer) {
			return fmt.Errorf("the address %s is that of the node %s, and nothing proves it gone: %w", node.Addr, r.consensus.nameOf(id), err)
		}
		r.log.Info("a node came back without its data: removing its former self", "node", node.Name, "former", id)
		if err := r.remove(ctx, removal{ID: id}); err != nil {
			return err
		}
	}
	return nil
}

// checkMoved refuses a member that asks from a new address while its former one
// may be alive: one of the two would be a copy.
func (r *roster) checkMoved(ctx context.Context, node fsm.Node, former string) error {
	t := r.consensus.leading.Load()
	if t == nil {
		return ErrNoLeader
	}
	if node.ID == r.self.ServerID {
		return nil
	}
	conn, err := r.tr.Dial(ctx, transport.KindRPC, transport.Target{Address: former, ServerID: node.ID})
	if err == nil {
		conn.Close()
		return fmt.Errorf("the node %s is alive at %s: stop it there before it runs at %s; if one of the two is a copy, remove the data dir of that one", node.Name, former, node.Addr)
	}
	if gone := transport.IsRefused(err) || errors.Is(err, transport.ErrWrongServer); !gone && r.liveness.life(node.ID, t.since) != LifeDead {
		return fmt.Errorf("the node %s was heard at %s a moment ago: %w", node.Name, former, err)
	}
	return nil
}

// nameTaken refuses a node whose name another one has, at another address.
func (r *roster) nameTaken(name, id, address string) error {
	life := LifeAlive
	if t := r.consensus.leading.Load(); t != nil && id != r.self.ServerID {
		life = r.liveness.life(id, t.since)
	}
	if life == LifeAlive {
		return fmt.Errorf("%w: %s is the node at %s, which is alive; give this one another name in its node.yaml and start it again", ErrNameTaken, name, address)
	}
	return fmt.Errorf("the name %s belongs to the node at %s, which is %s: if that one is gone for good, take it out with `sluice cluster remove %s`; if not, give this one another name in its node.yaml",
		name, address, life, name)
}

// remove takes a server out of Raft's configuration and out of the facts. The
// caller holds change.
func (r *roster) remove(ctx context.Context, m removal) error {
	id := m.ID
	c := r.consensus.raft.Load()
	err := c.ask(func() raft.Future { return c.RemoveServer(raft.ServerID(id), 0, r.t.rpc) }).wait(ctx)
	if err != nil {
		return fmt.Errorf("taking node %s out of Raft: %w", r.consensus.nameOf(id), err)
	}
	if _, err := r.consensus.propose(ctx, &fsm.NodeRemove{ID: id, Act: m.Act, At: r.nowMillis()}); err != nil {
		return fmt.Errorf("removing node %s: %w", r.consensus.nameOf(id), err)
	}
	return nil
}

// promote gives a member the vote.
func (r *roster) promote(ctx context.Context, s raft.Server) error {
	r.log.Info("giving a vote to node", "node", r.consensus.nameOf(string(s.ID)), "id", s.ID, "address", s.Address)
	ctx, cancel := context.WithTimeout(ctx, r.t.propose)
	defer cancel()
	if err := r.change.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for another change of members: %w", err)
	}
	defer r.change.Release(1)
	c := r.consensus.raft.Load()
	if err := c.ask(func() raft.Future { return c.AddVoter(s.ID, s.Address, 0, r.t.rpc) }).wait(ctx); err != nil {
		return fmt.Errorf("giving node %s a vote: %w", r.consensus.nameOf(string(s.ID)), err)
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
	id := ""
	for _, node := range r.consensus.facts.View().Nodes {
		if node.ID == nameOrID || node.Name == nameOrID {
			id = node.ID
		}
	}
	if id == "" && r.consensus.isMember(nameOrID) {
		id = nameOrID
	}
	if id == "" {
		return fmt.Errorf("there is no node %s; see `sluice cluster members`", nameOrID)
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
	return struct{}{}, remoteError(r.remove(ctx, m))
}
