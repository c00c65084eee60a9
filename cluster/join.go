package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/transport"
)

// ErrRemoved: a leader says that this node is no member any more.
var ErrRemoved = errors.New("this node was removed from the cluster; empty its data dir to let it join as a new one")

// Pace of finding a cluster.
const (
	askEvery     = 500 * time.Millisecond
	askSayEvery  = 15 * time.Second // what is missing is logged that often
	joinTryEvery = time.Second
)

// introduction is what a node that belongs to no cluster yet asks of every
// join peer, and the answer.
type introduction struct {
	ServerID  string   `json:"serverId"`
	Name      string   `json:"name"`
	Address   string   `json:"address"`
	ClusterID string   `json:"clusterId,omitempty"`
	Join      []string `json:"join,omitempty"` // whom else it asks
}

func (n *Node) introduce() introduction {
	return introduction{ServerID: n.self.ServerID, Name: n.cfg.Name, Address: n.self.Advertise, Join: n.cfg.Join}
}

func (n *Node) handleWhoami(_ context.Context, from introduction) (introduction, error) {
	return n.founding.answer(from, n.introduce()), nil
}

// establish finds the cluster that this node belongs to, or founds it: every
// join peer is asked, and only if each has answered and none has a cluster
// does the one with the lowest name begin one. With nobody to ask it begins
// its own.
func (n *Node) establish(ctx context.Context) (Identity, error) {
	n.founding.mu.Lock()
	id := n.founding.identity
	n.founding.mu.Unlock()
	if id.ClusterID != "" {
		return id, nil
	}
	more := map[string]bool{}
	var said time.Time
	for {
		asked := n.founding.addresses(n.cfg.Join, more, n.self.Advertise)
		answers, missing := n.askAll(ctx, asked)
		for _, a := range answers {
			if a.ClusterID != "" {
				n.log.Info("found the cluster", "cluster", a.ClusterID, "through", a.Name)
				return n.founding.adopt(a.ClusterID, n.commitIdentity)
			}
		}
		complete := len(missing) == 0 && !learn(more, answers, asked, n.self.Advertise)
		if complete && lowest(n.introduce(), answers) {
			id, founded, err := n.founding.found(asked, n.commitIdentity)
			if err != nil || founded {
				n.log.Info("founding a cluster", "cluster", id.ClusterID, "peers", len(answers))
				return id, err
			}
		}
		if time.Since(said) > askSayEvery {
			said = time.Now()
			n.log.Info("no cluster yet: every join peer must answer before one is founded", "silent", missing, "answered", len(answers))
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return id, ctx.Err()
		}
	}
}

// learn adds addresses that peers ask and this node has not; it reports
// whether there were any.
func learn(more map[string]bool, answers []introduction, asked []string, self string) bool {
	news := false
	for _, a := range answers {
		for _, address := range a.Join {
			if address != self && !slices.Contains(asked, address) {
				more[address], news = true, true
			}
		}
	}
	return news
}

// lowest says whether self founds: its name, or at equal names its ServerID,
// is before all others.
func lowest(self introduction, answers []introduction) bool {
	for _, a := range answers {
		if cmp.Or(strings.Compare(a.Name, self.Name), strings.Compare(a.ServerID, self.ServerID)) < 0 {
			return false
		}
	}
	return true
}

// askAll asks all at once; missing lists who did not answer. An address that
// turns out to be this node itself counts as answered.
func (n *Node) askAll(ctx context.Context, addresses []string) (answers []introduction, missing []string) {
	var mu sync.Mutex
	var group errgroup.Group
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	for _, address := range addresses {
		group.Go(func() error {
			var a introduction
			err := n.clients.calls.Call(ctx, transport.Target{Address: address}, pathWhoami, n.introduce(), &a)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				n.log.Debug("asking a join peer", "address", address, "error", err)
				missing = append(missing, address)
			case a.ServerID != n.self.ServerID:
				answers = append(answers, a)
			}
			return nil
		})
	}
	_ = group.Wait()
	slices.Sort(missing)
	return answers, missing
}

// commitIdentity makes an identity last and shows it to peers.
func (n *Node) commitIdentity(id Identity) error {
	if err := saveIdentity(n.cfg.DataDir, id); err != nil {
		return err
	}
	n.tr.SetClusterID(id.ClusterID)
	return nil
}

// record is what the facts should hold of this node.
func (n *Node) record() fsm.Node {
	return fsm.Node{
		ID: n.self.ServerID, Name: n.cfg.Name, Datacenter: n.cfg.Datacenter,
		Addr: n.self.Advertise, HTTP: n.cfg.HTTP, Feature: fsm.FeatureLevel,
	}
}

// joinLoop asks to be taken in until Raft's configuration holds this node,
// then keeps the facts about it current.
func (n *Node) joinLoop(ctx context.Context) error {
	var said time.Time
	for {
		err := n.joinOnce(ctx)
		if err != nil && time.Since(said) > askSayEvery {
			said = time.Now()
			n.log.Warn("joining the cluster", "error", err)
		}
		select {
		case <-time.After(joinTryEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) joinOnce(ctx context.Context) error {
	if n.raft.Load().State() == raft.Shutdown { // it does so when its removal is committed
		if !n.leaving.Load() {
			n.stop(ErrRemoved)
		}
		return nil
	}
	if n.isMember(n.self.ServerID) {
		return n.register(ctx)
	}
	if n.leaving.Load() {
		return nil // it is on its way out
	}
	var errs []error
	for _, address := range n.cfg.Join {
		if address == n.self.Advertise {
			continue
		}
		callCtx, cancel := context.WithTimeout(ctx, n.t.propose)
		err := n.clients.calls.Call(callCtx, transport.Target{Address: address}, pathJoin, n.record(), nil)
		cancel()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// register proposes this node's own record when the facts hold another one. A
// node that began to leave and did not get to the end does not leave any more.
func (n *Node) register(ctx context.Context) error {
	want := n.record()
	have := n.View().Node(n.self.ServerID)
	if have != nil {
		want.Leaving = n.leaving.Load()
		if *have == want {
			return nil
		}
	}
	if _, ok := n.LeaderAge(); !ok {
		return nil // the View may be old
	}
	result, err := n.Propose(ctx, &fsm.NodePut{Node: want, At: n.nowMillis()})
	if err == nil && result.Refused != fsm.RefusedNot {
		err = errors.New(result.Message)
	}
	return err
}

// handleJoin takes a node in, as one without a vote. On a follower it passes
// the request on.
func (n *Node) handleJoin(ctx context.Context, node fsm.Node) (struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, n.t.propose)
	defer cancel()
	leader, err := n.leader()
	if err != nil {
		return struct{}{}, remoteError(err)
	}
	if leader.ServerID != n.self.ServerID {
		err := n.clients.calls.Call(ctx, leader, pathJoin, node, nil)
		return struct{}{}, err
	}
	if n.leading.Load() == nil {
		return struct{}{}, remoteError(ErrNoLeader)
	}
	return struct{}{}, remoteError(n.admit(ctx, node))
}

// admit adds a node to Raft's configuration and to the facts.
func (n *Node) admit(ctx context.Context, node fsm.Node) error {
	n.membership.Lock()
	defer n.membership.Unlock()
	for _, s := range n.servers() {
		if string(s.ID) == node.ID && string(s.Address) == node.Addr {
			return nil
		}
	}
	if err := n.clearName(ctx, node); err != nil {
		return err
	}
	c := n.raft.Load()
	n.log.Info("taking in a node", "node", node.Name, "id", node.ID, "address", node.Addr)
	err := c.ask(func() raft.Future {
		return c.AddNonvoter(raft.ServerID(node.ID), raft.ServerAddress(node.Addr), 0, n.t.rpc)
	}).wait(ctx)
	if err != nil {
		return fmt.Errorf("adding node: %w", err)
	}
	result, err := n.Propose(ctx, &fsm.NodePut{Node: node, At: n.nowMillis()})
	if err == nil && result.Refused != fsm.RefusedNot {
		err = errors.New(result.Message)
	}
	return err
}

// clearName removes the former node of an address or a name, after proof that
// it is gone for ever: its data dir was wiped when another ServerID answers at
// its address.
func (n *Node) clearName(ctx context.Context, node fsm.Node) error {
	former := map[string]string{} // id -> address
	for _, s := range n.servers() {
		if string(s.Address) == node.Addr && string(s.ID) != node.ID {
			former[string(s.ID)] = string(s.Address)
		}
	}
	for _, v := range n.View().Nodes {
		if (v.Name == node.Name || v.Addr == node.Addr) && v.ID != node.ID {
			former[v.ID] = v.Addr
		}
	}
	for _, id := range slices.Sorted(maps.Keys(former)) {
		if id == n.self.ServerID {
			return fmt.Errorf("the name %s or the address %s is the leader's own", node.Name, node.Addr)
		}
		if former[id] != node.Addr {
			return fmt.Errorf("the name %s belongs to the node %s at %s; if that is gone for ever, remove it first with `sluice cluster remove %s`",
				node.Name, id, former[id], node.Name)
		}
		conn, err := n.tr.Dial(ctx, transport.KindRPC, transport.Target{Address: former[id], ServerID: id})
		if err == nil {
			conn.Close()
			return fmt.Errorf("the address %s is that of the node %s, which is alive", node.Addr, id)
		}
		if !errors.Is(err, transport.ErrWrongServer) {
			return fmt.Errorf("the address %s is that of the node %s, and nothing proves it gone: %w", node.Addr, id, err)
		}
		n.log.Info("a node came back without its data: removing its former self", "node", node.Name, "former", id)
		if err := n.drop(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a server from Raft's configuration and from the facts. The
// caller holds membership.
func (n *Node) drop(ctx context.Context, id string) error {
	c := n.raft.Load()
	err := c.ask(func() raft.Future { return c.RemoveServer(raft.ServerID(id), 0, n.t.rpc) }).wait(ctx)
	if err != nil {
		return fmt.Errorf("removing server %s: %w", id, err)
	}
	if _, err := n.Propose(ctx, &fsm.NodeRemove{ID: id, At: n.nowMillis()}); err != nil {
		return fmt.Errorf("removing node %s: %w", id, err)
	}
	return nil
}
