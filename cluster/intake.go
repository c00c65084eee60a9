package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/transport"
)

// welcome is the answer to a node that was taken in.
type welcome struct {
	Members *members `json:"members,omitempty"` // whom it may listen to; nodes of before feature level 5 do not say
}

// handleJoin takes a node in, as one without a vote. On a follower it passes
// the request on: what a member says of a node is taken for true.
func (r *roster) handleJoin(ctx context.Context, j joining) (welcome, error) {
	if err := r.speaksForItself(ctx, j.Node); err != nil {
		return welcome{}, remoteError(err)
	}
	if peer, remote := transport.PeerFrom(ctx); remote && peer.ServerID == j.ID {
		j.received(&r.cfg, peer)
	}
	ctx, cancel := context.WithTimeout(ctx, r.t.propose)
	defer cancel()
	leader, err := r.consensus.leader()
	if err != nil {
		return welcome{}, remoteError(err)
	}
	if leader.ServerID != r.self.ServerID {
		var answer welcome
		err := r.calls.Call(ctx, leader, pathJoin, j, &answer)
		return answer, err
	}
	if r.consensus.leading.Load() == nil {
		return welcome{}, remoteError(ErrNoLeader)
	}
	if err := r.add(ctx, j); err != nil {
		return welcome{}, remoteError(err)
	}
	if !r.consensus.facts.View().NamesMembers() {
		return welcome{}, nil // it could not be told of later ones
	}
	return welcome{r.door.word()}, nil
}

// speaksForItself refuses a node that asks for another one, where it is no
// member.
func (r *roster) speaksForItself(ctx context.Context, node fsm.Node) error {
	peer, remote := transport.PeerFrom(ctx)
	switch {
	case !remote, peer.ServerID == node.ID && peer.Name == node.Name && peer.Advertise == node.Addr:
		return nil
	case peer.ServerID != node.ID && r.door.knows(peer):
		return nil
	}
	return fmt.Errorf("the node %s at %s asks to take in the node %s at %s: a node asks for itself", peer.Name, peer.From, node.Name, node.Addr)
}

// add takes a node into the facts and into Raft's configuration.
func (r *roster) add(ctx context.Context, j joining) error {
	if err := r.change.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for another change of members: %w", err)
	}
	defer r.change.Release(1)
	err := r.addNode(ctx, j)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrAmbiguous) {
		r.tellRefusal(j, err)
	}
	return err
}

// How often the refusal of a node that goes on asking is an event, and of how
// many it is remembered.
const (
	tellRefusalEvery = time.Minute
	mostRefused      = 256
)

// tellRefusal makes an event of a refused join. The caller holds change.
func (r *roster) tellRefusal(j joining, why error) {
	host, _, _ := net.SplitHostPort(cmp.Or(j.From, j.Addr))
	now := time.Now()
	maps.DeleteFunc(r.refused, func(_ string, at time.Time) bool { return now.Sub(at) >= tellRefusalEvery })
	who := j.Name + " " + host
	if _, told := r.refused[who]; told || len(r.refused) >= mostRefused || !r.consensus.facts.View().NamesMembers() {
		return
	}
	r.refused[who] = now
	r.record(fsm.Event{Code: fsm.CodeJoinRefused, Message: why.Error(), Who: "node " + j.Name, Client: host, Part: -1, From: -1, To: -1})
}

// addNode is add without the event. The caller holds change.
func (r *roster) addNode(ctx context.Context, j joining) error {
	v := r.consensus.facts.View()
	put := &fsm.NodePut{Node: j.Node, At: r.nowMillis()}
	deed, err := r.suits(ctx, v, j)
	if err != nil || deed == "" {
		return err
	}
	if v.Node(j.ID) == nil {
		right, token, err := admission(v, j, put.At)
		if err != nil {
			return err
		}
		deed, put.Token = deed+", "+right, token
	}
	if err := r.removeFormer(ctx, j.Node); err != nil {
		return err
	}
	r.log.Info("taking in a node", "node", j.Name, "id", j.ID, "address", j.Addr)
	if !v.NamesMembers() {
		put.Node.Key = ""
	}
	if v.HasActs() {
		put.Act = &fsm.Act{Who: "node " + j.Name, Client: cmp.Or(j.From, j.Addr), Node: r.cfg.Name, Did: []fsm.Deed{{Text: deed}}, At: put.At}
	}
	// The facts first: nobody listens to a server that they do not hold. One that
	// comes no further leaves them again (align).
	if err := putNode(ctx, r.consensus, put); err != nil {
		return err
	}
	c := r.consensus.raft.Load()
	err = c.ask(func() raft.Future {
		return c.AddNonvoter(raft.ServerID(j.ID), raft.ServerAddress(j.Addr), 0, r.t.rpc)
	}).wait(ctx)
	if err != nil {
		return fmt.Errorf("adding node: %w", err)
	}
	return nil
}

// suits says what taking a node in does, for the event, or why it cannot be as it
// is, whoever allows it; empty: it is in already.
func (r *roster) suits(ctx context.Context, v *fsm.View, j joining) (deed string, err error) {
	if v.Node(r.self.ServerID) == nil && j.ID != r.self.ServerID || commonFeature(v, r.consensus.servers()) > v.Feature {
		return "", fmt.Errorf("%w: the feature level is about to rise", ErrNoLeader)
	}
	have := v.Node(j.ID)
	if ban := v.Bans.On(j.Name, j.Key); ban != nil && j.Proven {
		return "", banned(ban) // whoever passed it on did not know yet
	}
	if have != nil && have.Name != j.Name {
		return "", fmt.Errorf("the data dir is that of the node %s, and a node keeps its name: let it leave as %s, then start %s with an empty data dir", have.Name, have.Name, j.Name)
	}
	if j.Feature < v.Feature {
		return "", fmt.Errorf("node %s knows feature level %d, the cluster is at %d already: start it with a newer version of sluice", j.Name, j.Feature, v.Feature)
	}
	for _, s := range r.consensus.servers() {
		if string(s.ID) != j.ID {
			continue
		}
		if string(s.Address) != j.Addr {
			return fmt.Sprintf("node %s moves from %s to %s", j.Name, s.Address, j.Addr), r.checkMoved(ctx, j.Node, string(s.Address))
		}
		if have != nil {
			return "", nil
		}
	}
	return "node " + j.Name + " joins the cluster", nil
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
		if err := r.remove(ctx, &fsm.NodeRemove{ID: id}); err != nil {
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
