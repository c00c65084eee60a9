package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/task"
	"sluice/transport"
)

// Node is one member of a Sluice cluster. Its methods may be called by any
// goroutine; before Run has found a cluster they say that there is no leader.
type Node struct {
	*local
	tr      *transport.Transport
	clients clients
	machine *machine
	parts   // what the parts of a node share
}

// clients call other nodes. Each kind of call has its own connections, so that
// neither reports nor confirmations wait behind a burst of proposals.
type clients struct{ calls, confirms, reports *transport.Client }

func (c clients) close() {
	c.calls.Close()
	c.confirms.Close()
	c.reports.Close()
}

// parts is the shared state of a node's parts.
type parts struct {
	raft     atomic.Pointer[consensus] // nil before a cluster was found
	leading  atomic.Pointer[term]      // nil: not leader, or not ready to act as one
	began    time.Time                 // of this process
	founding *founding
	lease    lease
	verifier verifier
	table    *table
	progress *progressSink
	events   *eventSink
	gossip   *gossip

	reconciler *reconciler
	leaving    atomic.Bool
	left       atomic.Bool
	signals
}

// signals wake the parts; each has room for one.
type signals struct {
	kickLead, kickReport, kickGossip trigger
	probes                           chan string // ServerIDs to look after
	stopping                         chan error
	leadOnce                         sync.Mutex // one lead at a time
	membership                       sync.Mutex // one change of Raft's configuration at a time
}

// New makes a node over a transport that presents the data dir's identity (see
// OpenIdentity). It starts nothing.
func New(cfg Config, tr *transport.Transport, log *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking node configuration: %w", err)
	}
	identity, err := OpenIdentity(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	self := tr.Self()
	if self.ServerID != identity.ServerID {
		return nil, fmt.Errorf("the transport presents server id %s, the data dir holds %s", self.ServerID, identity.ServerID)
	}
	tr.SetClusterID(identity.ClusterID)
	n := &Node{local: &local{cfg: cfg, t: cfg.Profile.timing(), self: self, log: log}, tr: tr}
	n.clients = clients{calls: tr.Client(), confirms: tr.Client(), reports: tr.Client()}
	if cfg.hooks.timing != nil {
		cfg.hooks.timing(&n.t)
	}
	n.signals = signals{
		kickLead: newTrigger(), kickReport: newTrigger(), kickGossip: newTrigger(), probes: make(chan string, 16), stopping: make(chan error, 1),
	}
	n.began = time.Now()
	n.machine = newMachine(n.stop)
	n.founding = &founding{identity: identity, asked: map[string]string{}}
	n.table = newTable()
	n.events = &eventSink{local: n.local, propose: n.Propose, wake: newTrigger()}
	n.progress = newProgressSink(n.local, n.machine.hub, n.Propose)
	n.reconciler = newReconciler(n.local, n.machine.hub, n.progress, func() bool { _, ok := n.LeaderAge(); return ok })
	n.gossip = &gossip{n: n}
	return n, nil
}

// Run joins or founds the cluster and takes part in it, running tasks with the
// runners, until ctx ends (nil), the node has left (nil), was removed
// (ErrRemoved), or met a command that it cannot read (fsm.ErrUnknown,
// fsm.ErrCorrupt). transport.Run must run beside it and outlive it.
func (n *Node) Run(ctx context.Context, runners map[fsm.Kind]task.Runner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	services, stopServices := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServices()
	group, services := errgroup.WithContext(services)
	group.Go(func() error { return n.tr.ServeRPC(services, n.handler()) })
	group.Go(func() error { // ends the node when a part fails or asks for it
		select {
		case err := <-n.stopping:
			cancel(err)
			return nil
		case <-services.Done():
			cancel(nil)
			return nil
		}
	})
	err := n.live(ctx, services, group, runners)
	stopServices()
	n.clients.close()
	err = errors.Join(err, group.Wait())
	if n.left.Load() {
		return errors.Join(err, forget(n.cfg.DataDir))
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// live is the node's life between its servers' begin and end.
func (n *Node) live(ctx, services context.Context, group *errgroup.Group, runners map[fsm.Kind]task.Runner) error {
	identity, err := n.establish(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	c, err := n.startRaft(identity)
	if err != nil {
		return err
	}
	n.raft.Store(c)
	parts, stopParts := context.WithCancel(services)
	defer stopParts()
	var inner errgroup.Group
	for _, part := range []func(context.Context) error{
		func(ctx context.Context) error { return n.watchLeadership(ctx, c) },
		func(ctx context.Context) error { return n.watchdog(ctx, c) },
		(&reporter{n: n, busy: map[string]bool{}}).run,
		n.watchLeader, n.watchLost, n.joinLoop, n.progress.run, n.events.run, n.gossip.run,
	} {
		inner.Go(func() error {
			err := part(parts)
			if err != nil {
				n.stop(err)
			}
			return err
		})
	}
	err = n.reconciler.run(ctx, runners) // until ctx ends; then every task has stopped
	n.sayGoodbye(services, c)
	stopParts()
	err = errors.Join(err, inner.Wait())
	return errors.Join(err, c.close())
}

// sayGoodbye commits what the tasks handed in and recorded last and gives
// leadership away, all if it can be done quickly.
func (n *Node) sayGoodbye(ctx context.Context, c *consensus) {
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	n.progress.flush(ctx, true)
	n.events.flush(ctx)
	if c.State() == raft.Leader && len(votersOf(n.servers())) > 1 {
		if err := c.ask(c.LeadershipTransfer).wait(ctx); err != nil {
			n.log.Debug("handing over leadership", "error", err)
		}
	}
}

// watchLeader reports at once when the leader changes, so that a new one knows
// the living, and looks after the peers that others ask about.
func (n *Node) watchLeader(ctx context.Context) error {
	c := n.raft.Load()
	observed := make(chan raft.Observation, 8)
	observer := raft.NewObserver(observed, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	c.RegisterObserver(observer)
	defer c.DeregisterObserver(observer)
	for {
		select {
		case o := <-observed:
			if l := o.Data.(raft.LeaderObservation); l.LeaderID != "" {
				n.log.Info("leader", "id", l.LeaderID)
				n.kickReport.fire()
				n.kickGossip.fire()
			}
		case id := <-n.probes:
			n.probe(ctx, id)
		case <-ctx.Done():
			return nil
		}
	}
}

// View returns the latest facts that this node knows; it never changes.
func (n *Node) View() *fsm.View { return n.machine.hub.View() }

// Watch returns a channel that is closed when a View later than one loaded
// after the call exists.
func (n *Node) Watch() <-chan struct{} { return n.machine.hub.watch() }

// Self returns this node's identity.
func (n *Node) Self() transport.Identity { return n.tr.Self() }

// WaitIndex waits until this node's View has reached an index.
func (n *Node) WaitIndex(ctx context.Context, index uint64) error {
	return n.machine.hub.wait(ctx, index)
}

// Record notes an event of this node; it returns at once. Node and the times
// are filled in where they are empty.
func (n *Node) Record(e fsm.Event) { n.events.record(e) }

// Progress hands in how far a task's owner got. It returns at once; only the
// last item of a task is kept, with the segments of all. Without a quorum
// items wait.
func (n *Node) Progress(item fsm.ProgressItem) { n.progress.put(item) }

// stop ends Run; the first reason counts, nil is none.
func (n *Node) stop(err error) {
	select {
	case n.stopping <- err:
	default:
	}
}

// noMember ends a node that was a member and is none any more.
func (n *Node) noMember(why string) {
	if n.isMember(n.self.ServerID) && !n.leaving.Load() {
		n.stop(fmt.Errorf("%w (%s)", ErrRemoved, why))
	}
}

// probeSoon asks for a look at a node.
func (n *Node) probeSoon(id string) {
	select {
	case n.probes <- id:
	default:
	}
}
