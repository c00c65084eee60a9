package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/transport"
	"sluice/words"
)

// Errors of belonging to a cluster.
var (
	// ErrRemoved: a leader says that this node is no member any more.
	ErrRemoved = errors.New("this node was removed from the cluster; empty its data dir to let it join as a new one")
	// ErrLastNode: a cluster cannot be left by its only node.
	ErrLastNode = errors.New("the only node of a cluster cannot leave it")
	// ErrLeaving: it leaves already.
	ErrLeaving = errors.New("this node is leaving the cluster already")
)

const (
	joinTryEvery = time.Second
	leavePoll    = 100 * time.Millisecond // how often a leaving node looks whether it is drained
)

// membership is this node's own way into the cluster and out of it. Its loop
// asks to be taken in and keeps the facts about this node current; leaving runs
// on the goroutine of its caller.
type membership struct {
	*local
	consensus *consensus
	ownership *ownership
	liveness  *liveness
	next      *succession
	running   func() int64  // tasks on this node
	key       func() string // of its certificate
	calls     *transport.Client
	taken     func(*members) error // this node was taken in
	stop      func(error)          // ends the node; nil is no reason
	leaving   atomic.Bool
	left      atomic.Bool
	refused   atomic.Pointer[[]string] // why it is not taken in, in sentences; nil: it is
}

// record is what the facts should hold of this node.
func (m *membership) record() fsm.Node {
	key := ""
	if m.consensus.facts.View().NamesMembers() {
		key = m.key()
	}
	return fsm.Node{
		Key: key, ID: m.self.ServerID, Name: m.cfg.Name, Datacenter: m.cfg.Datacenter,
		Addr: m.self.Advertise, HTTP: m.cfg.HTTP, Feature: cmp.Or(m.cfg.hooks.level, fsm.FeatureLevel),
	}
}

// run asks to be taken in until Raft's configuration holds this node, then
// keeps the facts about it current, until ctx ends. Why it is not taken in is
// logged once in a minute.
func (m *membership) run(ctx context.Context) error {
	var logged time.Time
	for {
		err := m.ensure(ctx)
		if err != nil && time.Since(logged) > causeLogEvery {
			logged = time.Now()
			m.log.Warn("this node is not taken into the cluster yet; it is tried again", "error", err)
		}
		if sleep(ctx, joinTryEvery) != nil {
			return nil //nolint:nilerr // ctx has ended
		}
	}
}

func (m *membership) ensure(ctx context.Context) error {
	switch {
	case m.consensus.raft.Load().State() == raft.Shutdown: // it does so when its removal is committed
		if !m.leaving.Load() {
			m.stop(ErrRemoved)
		}
		return nil
	case m.moved():
		return m.ask(ctx, slices.Concat(m.whereMembersAre(), m.cfg.Join))
	case m.consensus.isMember(m.self.ServerID):
		if text := m.nameHeld(); text != "" {
			m.refused.Store(&[]string{text})
			return errors.New(text)
		}
		m.refused.Store(nil)
		return m.register(ctx)
	case m.leaving.Load():
		return nil // it is on its way out
	}
	return m.ask(ctx, m.cfg.Join)
}

// moved says that Raft's configuration holds this node at another address.
func (m *membership) moved() bool {
	return slices.ContainsFunc(m.consensus.servers(), func(s raft.Server) bool {
		return string(s.ID) == m.self.ServerID && string(s.Address) != m.self.Advertise
	})
}

// whereMembersAre lists their addresses, the leader's first, which this node
// itself may be.
func (m *membership) whereMembersAre() []string {
	var out []string
	if leader, err := m.consensus.leader(); err == nil {
		out = append(out, leader.Address)
	}
	for _, s := range m.consensus.servers() {
		if string(s.ID) != m.self.ServerID {
			out = append(out, string(s.Address))
		}
	}
	return out
}

// nameHeld says that this member was given the name of another one since; it
// keeps its former one then. Empty: it was not.
func (m *membership) nameHeld() string {
	v := m.consensus.facts.View()
	for _, n := range v.Nodes {
		if n.Name == m.cfg.Name && n.ID != m.self.ServerID {
			return fmt.Sprintf("the name %s in node.yaml is that of the node at %s; this one stays %s: give it another name", n.Name, n.Addr, m.consensus.nameOf(m.self.ServerID))
		}
	}
	return ""
}

// ask asks to be taken in, or to be known at a new address, at each of the
// addresses until one has an answer of the leader.
func (m *membership) ask(ctx context.Context, addresses []string) error {
	var why []string
	for _, address := range addresses {
		if address == m.self.Advertise && m.consensus.leading.Load() == nil {
			continue
		}
		var answer welcome
		err := m.call(ctx, transport.Target{Address: address}, pathJoin, joining{Node: m.record(), Token: m.cfg.Token}, &answer)
		if err == nil {
			err = m.taken(answer.Members)
		}
		if err == nil {
			m.refused.Store(nil)
			return nil
		}
		text := transport.Explain(address, err)
		if final := verdict(err); final != nil {
			m.stop(final)
			return nil
		}
		if isRefused(err) {
			why = []string{text} // the others would pass on the same
			break
		}
		why = append(why, text)
	}
	if len(why) == 0 {
		return nil
	}
	m.refused.Store(new(prefixed("this node is not taken in: ", why)))
	return errors.New(strings.Join(why, "; "))
}

func prefixed(prefix string, texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = prefix + t
	}
	return out
}

func (m *membership) call(ctx context.Context, to transport.Target, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, m.t.propose)
	defer cancel()
	return m.calls.Call(ctx, to, path, in, out)
}

// register proposes this node's own record when the facts hold another one. A
// node that began to leave and did not get to the end does not leave any more.
func (m *membership) register(ctx context.Context) error {
	want := m.record()
	have := m.consensus.facts.View().Node(m.self.ServerID)
	if have != nil {
		want.Leaving = m.leaving.Load()
		if *have == want {
			return nil
		}
	}
	if _, ok := m.ownership.leaderAge(); !ok {
		return nil // the View may be old
	}
	return putNode(ctx, m.consensus, &fsm.NodePut{Node: want, At: m.nowMillis()})
}

// removed ends a node that was a member and is none any more.
func (m *membership) removed(why string) {
	if m.consensus.isMember(m.self.ServerID) && !m.leaving.Load() {
		m.stop(fmt.Errorf("%w (%s)", ErrRemoved, why))
	}
}

// beginLeaving says in the facts that this node leaves; finishLeaving goes on.
func (m *membership) beginLeaving(ctx context.Context, act *fsm.Act) error {
	switch {
	case m.consensus.raft.Load() == nil, m.ownership.quorumFor() <= 0:
		return ErrNoLeader
	case len(m.consensus.servers()) < 2:
		return ErrLastNode
	}
	if err := m.awaitQuorumWithout(ctx); err != nil {
		return err
	}
	if !m.leaving.CompareAndSwap(false, true) {
		return ErrLeaving
	}
	node := m.record()
	node.Leaving = true
	if _, err := m.consensus.propose(ctx, &fsm.NodePut{Node: node, Act: act, At: m.nowMillis()}); err != nil {
		m.leaving.Store(false)
		return fmt.Errorf("announcing to leave: %w", err)
	}
	return nil
}

// finishLeaving drains this node's tasks through hand-overs, hands over
// leadership, removes the node from the cluster and ends the node.
func (m *membership) finishLeaving(ctx context.Context) error {
	defer func() { m.leaving.Store(m.left.Load()) }()
	for _, step := range []func(context.Context) error{m.awaitDrained, m.handLeadershipOver, m.requestRemoval} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("leaving the cluster: %w", err)
		}
	}
	m.log.Info("left the cluster")
	m.left.Store(true)
	m.stop(nil)
	return nil
}

// awaitQuorumWithout waits for a round of reports at most until the cluster can
// do without this node: when it has just begun, or a leader has, some are yet
// to come.
func (m *membership) awaitQuorumWithout(ctx context.Context) error {
	var short error
	for begun := time.Now(); ; {
		short = m.liveness.quorumWithout(m.self.ServerID, m.liveness.began, m.consensus.nameOf)
		if short == nil || time.Since(begun) > listening {
			return short
		}
		if err := sleep(ctx, leavePoll); err != nil {
			return errors.Join(short, err)
		}
	}
}

// awaitDrained waits until the facts give this node no task and none runs here.
func (m *membership) awaitDrained(ctx context.Context) error {
	for {
		owned := 0
		for t := range m.consensus.facts.View().Tasks {
			if t.Owner == m.self.ServerID {
				owned++
			}
		}
		if owned == 0 && m.running() == 0 {
			return nil
		}
		if err := sleep(ctx, leavePoll); err != nil {
			return fmt.Errorf("%s %s not handed over yet: %w", words.Count(owned, "task"), words.Verb(owned, "is", "are"), err)
		}
	}
}

// handLeadershipOver gives it to another node if this one holds it.
func (m *membership) handLeadershipOver(ctx context.Context) error {
	for {
		leader, err := m.consensus.leader()
		if err == nil && leader.ServerID != m.self.ServerID {
			return nil
		}
		if err == nil {
			if err := m.next.handOver(ctx, ""); err != nil {
				m.log.Warn("leadership cannot be handed over; it is tried again", "error", err)
			}
		}
		if err := sleep(ctx, leavePoll); err != nil {
			return fmt.Errorf("handing over leadership: %w", err)
		}
	}
}

// requestRemoval lets the leader remove this node. Only a leader's answer
// counts: what this node has in its log of its removal is perhaps never
// committed. Once it is, nobody tells this node who leads, so it asks them all.
func (m *membership) requestRemoval(ctx context.Context) error {
	members := m.consensus.servers()
	for {
		err := m.requestRemovalOnce(ctx, members)
		if err == nil {
			return nil
		}
		if sleep(ctx, leavePoll) != nil {
			return fmt.Errorf("asking to be removed: %w", err)
		}
	}
}

// requestRemovalOnce asks the leader, if one is known, else every other member.
func (m *membership) requestRemovalOnce(ctx context.Context, members []raft.Server) error {
	var targets []transport.Target
	if leader, err := m.consensus.leader(); err == nil {
		targets = append(targets, leader)
	} else {
		for _, s := range members {
			targets = append(targets, transport.Target{Address: string(s.Address), ServerID: string(s.ID)})
		}
	}
	err := ErrNoLeader
	for _, to := range targets {
		if to.ServerID == m.self.ServerID {
			continue
		}
		err = m.call(ctx, to, pathRemove, removal{ID: m.self.ServerID, Leaves: true}, nil)
		if err == nil || isNoMember(err) { // it was done before
			return nil
		}
	}
	return err
}
