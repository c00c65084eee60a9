package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"sluice/fsm"
	"sluice/task"
	"sluice/transport"
)

// Node is one member of a Sluice cluster: its parts, and the order in which
// they begin and end. Its methods may be called by any goroutine; before Run
// has found a cluster they say that there is no leader.
//
// Each part has its own state and lock. A lock of a part is held over calls
// into another one in two places only: the roster's while a change of the
// membership is committed, and the reconciler's over those of the progress
// sink and of runners.
type Node struct {
	*local
	tr         *transport.Transport
	clients    clients
	founder    *founder
	consensus  *consensus
	ownership  *ownership
	liveness   *liveness
	roster     *roster
	membership *membership
	leadership *leadership
	reconciler *reconciler
	progress   *progressSink
	events     *eventSink
	reporter   *reporter
	gossip     *gossip
	stopping   chan error // why Run is to end
}

// clients call other nodes. Each kind of call has its own connections, so that
// neither reports nor confirmations wait behind a burst of proposals.
type clients struct{ calls, confirms, reports *transport.Client }

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
	l := &local{cfg: cfg, t: cfg.Profile.timing(), self: self, log: log, began: time.Now()}
	if cfg.hooks.timing != nil {
		cfg.hooks.timing(&l.t)
	}
	n := &Node{local: l, tr: tr, stopping: make(chan error, 1)}
	n.clients = clients{calls: tr.Client(), confirms: tr.Client(), reports: tr.Client()}
	n.join(identity)
	return n, nil
}

// join makes the parts, each after those that it uses.
func (n *Node) join(identity Identity) {
	l, calls := n.local, n.clients.calls
	n.founder = newFounder(l, calls, identity, n.saveIdentity)
	n.consensus = newConsensus(l, calls, n.stop)
	facts, propose := n.consensus.facts, n.consensus.propose
	n.ownership = &ownership{local: l, facts: facts, leaders: n.consensus, confirms: n.clients.confirms}
	n.liveness = newLiveness(l, n.tr, n.consensus)
	door := &door{local: l, consensus: n.consensus, liveness: n.liveness, keep: n.founder.keep, review: n.tr.Review, maySay: n.tr.MaySay}
	door.held.Store(identity.Members)
	n.tr.Guard(door.judge)
	n.progress = newProgressSink(l, facts, propose)
	n.events = &eventSink{local: l, propose: propose, wake: newTrigger()}
	n.reconciler = newReconciler(l, facts, n.progress, func() bool { _, ok := n.ownership.leaderAge(); return ok })
	n.roster = &roster{
		local: l, consensus: n.consensus, liveness: n.liveness, door: door, tr: n.tr, calls: calls, change: semaphore.NewWeighted(1),
		record: n.events.record, refused: map[string]time.Time{},
	}
	next := &succession{local: l, consensus: n.consensus, liveness: n.liveness, calls: calls, record: n.events.record}
	n.membership = &membership{
		local: l, consensus: n.consensus, ownership: n.ownership, liveness: n.liveness, next: next, running: n.reconciler.running.Load, calls: calls,
		taken: door.taken, key: n.tr.Certificates().Key, stop: n.stop,
	}
	n.reporter = &reporter{
		local: l, consensus: n.consensus, ownership: n.ownership, liveness: n.liveness, door: door, tasks: n.reconciler,
		calls: n.clients.reports, removed: n.membership.removed, wake: newTrigger(), told: tasksTold{states: map[fsm.TaskID]task.Status{}},
	}
	n.leadership = &leadership{
		local: l, consensus: n.consensus, roster: n.roster, liveness: n.liveness, report: n.reporter.wake, record: n.events.record,
	}
	n.gossip = &gossip{
		local: l, tr: n.tr, members: n.consensus, hint: n.liveness.hint, left: n.membership.left.Load, wake: newTrigger(),
	}
}

// saveIdentity makes an identity last and shows it to peers.
func (n *Node) saveIdentity(id Identity) error {
	err := saveIdentity(n.cfg.DataDir, id)
	if err == nil {
		n.tr.SetClusterID(id.ClusterID)
	}
	return err
}

// routes are what other nodes may ask this one for: members, where nothing else
// is said.
func (n *Node) routes() map[string]route {
	return map[string]route{
		pathWhoami:   {handler: transport.Handle(n.founder.handleWhoami), anyone: true},
		pathJoin:     {handler: transport.Handle(n.roster.handleJoin), anyone: true},
		pathRemove:   {handler: transport.Handle(n.roster.handleRemove)},
		pathTransfer: {handler: transport.Handle(n.membership.next.handleTransfer)},
		pathPropose:  {handler: transport.Handle(n.consensus.handlePropose)},
		pathIndex:    {handler: transport.Handle(n.consensus.handleIndex)},
		pathConfirm:  {handler: transport.Handle(n.ownership.handleConfirm)},
		pathReport:   {handler: transport.Handle(n.reporter.handleReport)},
	}
}

// Run joins or founds the cluster and takes part in it, running tasks with the
// runners, until ctx ends (nil), the node has left (nil), was removed
// (ErrRemoved), has no right to its name (ErrNameTaken) or to its data dir
// (ErrCopied), or met a command that it cannot read (fsm.ErrUnknown,
// fsm.ErrCorrupt). transport.Run must run beside it and outlive it.
//
// It waits for every goroutine that it has started. The server for other nodes
// begins first and ends last; between are the parts' loops, and innermost the
// reconciler, whose tasks drain while all others still run.
func (n *Node) Run(ctx context.Context, runners map[fsm.Kind]task.Runner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	services, stopServices := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServices()
	group, services := errgroup.WithContext(services)
	group.Go(func() error { return n.tr.ServeRPC(services, n.roster.door.gate(n.routes())) })
	group.Go(func() error { // ends the node when a part fails or asks for it
		select {
		case err := <-n.stopping:
			cancel(err)
		case <-services.Done():
			cancel(nil)
		}
		return nil
	})
	group.Go(func() error { return n.founder.watchTwin(services, n.tr.Twin(), n.ownership.quorum, n.stop) })
	err := n.live(ctx, services, runners)
	stopServices()
	n.clients.calls.Close()
	n.clients.confirms.Close()
	n.clients.reports.Close()
	err = errors.Join(err, group.Wait())
	if n.membership.left.Load() {
		return errors.Join(err, wipeIdentity(n.cfg.DataDir))
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// live is the node's life between its server's begin and end.
func (n *Node) live(ctx, services context.Context, runners map[fsm.Kind]task.Runner) error {
	identity, err := n.founder.establish(ctx)
	if err == nil {
		identity, err = n.founder.settle(ctx, identity)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	r, err := openRaft(n.local, n.tr, n.consensus, n.consensus.machine, identity)
	if err != nil {
		return err
	}
	if err := n.founder.begun(); err != nil {
		return errors.Join(err, r.close())
	}
	n.consensus.raft.Store(r)
	parts, stopParts := context.WithCancel(services)
	defer stopParts()
	var loops errgroup.Group
	for _, loop := range []func(context.Context) error{
		func(ctx context.Context) error { return n.leadership.run(ctx, r) },
		func(ctx context.Context) error {
			return r.watchLeader(ctx, func() { n.reporter.wake.fire(); n.gossip.wake.fire() })
		},
		(&watchdog{local: n.local, raft: r}).run,
		n.reporter.run, n.liveness.run, n.roster.door.run, n.membership.run, n.progress.run, n.events.run, n.gossip.run,
	} {
		loops.Go(func() error {
			err := loop(parts)
			if err != nil {
				n.stop(err)
			}
			return err
		})
	}
	err = n.reconciler.run(ctx, runners) // until ctx ends; then every task has stopped
	n.handOver(services, r)
	stopParts()
	return errors.Join(err, loops.Wait(), r.close())
}

// handOver commits what the tasks handed in and recorded last and gives
// leadership away, all if it can be done quickly.
func (n *Node) handOver(ctx context.Context, r *raftNode) {
	ctx, cancel := context.WithTimeout(ctx, n.t.rpc)
	defer cancel()
	n.progress.flush(ctx, true)
	n.events.flush(ctx)
	if r.State() == raft.Leader && len(votersOf(n.consensus.servers())) > 1 {
		if err := n.membership.next.handOver(ctx, ""); err != nil {
			n.log.Debug("handing over leadership", "error", err)
		}
	}
}

// stop ends Run; the first reason counts, nil is none.
func (n *Node) stop(err error) {
	select {
	case n.stopping <- err:
	default:
	}
}
