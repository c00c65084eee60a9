package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"sluice/transport"
)

// consensus is this node's part in what the nodes agree on: it publishes the
// facts, proposes changes of them, and says who belongs to the cluster, who
// leads, and whether that is proven. It has no loop; Raft's goroutines end with
// its raftNode.
type consensus struct {
	*local
	facts    *hub
	machine  *machine
	calls    *transport.Client
	raft     atomic.Pointer[raftNode] // nil before a cluster was found
	leading  atomic.Pointer[term]     // set by leadership; nil: not leader, or not ready to act as one
	verifier                          // confirm is proveLeadership, shared by those who ask at the same time
}

// term is this node's time as leader. It begins when everything committed
// before has been applied here.
type term struct {
	number uint64
	since  time.Time
}

// newConsensus makes one that has no Raft yet; fail hears why the facts of this
// node can be trusted no more.
func newConsensus(l *local, calls *transport.Client, fail func(error)) *consensus {
	c := &consensus{local: l, calls: calls, machine: newMachine(fail)}
	c.facts = c.machine.hub
	c.verify = func() (uint64, error) {
		ctx, cancel := context.WithTimeout(context.Background(), c.t.rpc)
		defer cancel()
		return c.proveLeadership(ctx)
	}
	return c
}

// servers returns the latest membership that this node knows.
func (c *consensus) servers() []raft.Server {
	r := c.raft.Load()
	if r == nil {
		return nil
	}
	return r.GetConfiguration().Configuration().Servers
}

func (c *consensus) isMember(id string) bool { return c.server(id) != nil }

// server finds a member by its ServerID; nil: there is none.
func (c *consensus) server(id string) *raft.Server {
	servers := c.servers()
	if i := slices.IndexFunc(servers, func(s raft.Server) bool { return string(s.ID) == id }); i >= 0 {
		return &servers[i]
	}
	return nil
}

// named finds the ServerID of a member that somebody calls by its name or by
// that.
func (c *consensus) named(nameOrID string) (string, error) {
	for _, node := range c.facts.View().Nodes {
		if node.ID == nameOrID || node.Name == nameOrID {
			return node.ID, nil
		}
	}
	if c.isMember(nameOrID) {
		return nameOrID, nil
	}
	return "", fmt.Errorf("there is no node %s; see `sluice cluster members`", nameOrID)
}

// targetOf finds where a server is dialled, from Raft's configuration.
func (c *consensus) targetOf(id string) (transport.Target, error) {
	if id == c.self.ServerID {
		return transport.Target{Address: c.self.Advertise, ServerID: id}, nil
	}
	for _, s := range c.servers() {
		if string(s.ID) == id {
			return transport.Target{Address: string(s.Address), ServerID: id}, nil
		}
	}
	return transport.Target{}, fmt.Errorf("node %s is no member of the cluster any more", c.nameOf(id))
}

// unwritable reports that Raft's last write to the data dir failed.
func (c *consensus) unwritable() bool {
	r := c.raft.Load()
	if r == nil {
		return false
	}
	why, _ := r.disk.state()
	return why != ""
}

// nameOf words a ServerID for a person.
func (c *consensus) nameOf(id string) string {
	if node := c.facts.View().Node(id); node != nil {
		return node.Name
	}
	return id
}

// ServerAddr implements raft.ServerAddressProvider: every dial names the
// server that it means.
func (c *consensus) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	to, err := c.targetOf(string(id))
	return raft.ServerAddress(to.String()), err
}

// leader returns where the leader is, if this node knows one.
func (c *consensus) leader() (transport.Target, error) {
	r := c.raft.Load()
	if r == nil {
		return transport.Target{}, ErrNoLeader
	}
	_, id := r.LeaderWithID()
	if id == "" {
		return transport.Target{}, ErrNoLeader
	}
	return c.targetOf(string(id))
}

// proveLeadership returns the index of the last command that was committed when
// it was called: whoever has applied it knows every change of before. The proof is a quorum of appends or heartbeats sent after the call
// and acknowledged. Raft counts nodes without a vote too, so that its own
// answer may come long before. Errors wrap ErrNoLeader.
func (c *consensus) proveLeadership(ctx context.Context) (uint64, error) {
	term, r := c.leading.Load(), c.raft.Load()
	if term == nil || r == nil {
		return 0, ErrNoLeader
	}
	asked := time.Now()
	index := r.lastCommand(r.CommitIndex(), c.facts.View().Index)
	voters := votersOf(c.servers())
	for ctx.Err() == nil {
		if err := r.ask(r.VerifyLeader).wait(ctx); err != nil {
			return 0, fmt.Errorf("%w: verifying leadership: %w", ErrNoLeader, err)
		}
		if c.leading.Load() != term {
			return 0, ErrNoLeader
		}
		if r.transport.acknowledged(ctx, asked, others(voters, c.self.ServerID), len(voters)/2) {
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

// verifier lets callers that ask at the same time share one verification: who
// comes while one is under way waits for the next, which begins after it came.
// A goroutine runs as long as somebody waits.
type verifier struct {
	verify func() (uint64, error)

	mu   sync.Mutex
	next *verification
	busy bool
}

type verification struct {
	done  chan struct{}
	index uint64
	err   error
}

func (v *verifier) confirm(ctx context.Context) (uint64, error) {
	v.mu.Lock()
	if v.next == nil {
		v.next = &verification{done: make(chan struct{})}
	}
	mine := v.next
	if !v.busy {
		v.busy = true
		go v.run()
	}
	v.mu.Unlock()
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrNoLeader, ctx.Err())
	}
}

func (v *verifier) run() {
	for {
		v.mu.Lock()
		current := v.next
		v.next = nil
		v.busy = current != nil
		v.mu.Unlock()
		if current == nil {
			return
		}
		current.index, current.err = v.verify()
		close(current.done)
	}
}
