package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"sluice/balance/work"
	"sluice/fsm"
)

// Pace of the leader's decisions.
const (
	assignBatch = 256 // assignments of one command, about 20 KB
)

// leadership acts for the cluster while this node leads: it keeps the facts
// about the cluster current, judges who lives, gives votes and assigns tasks.
// Its loop owns a goroutine per term and waits for them; two never act at once.
type leadership struct {
	*local
	consensus *consensus
	roster    *roster
	liveness  *liveness
	report    trigger // fired when a term begins: reports are wanted at once
	record    func(fsm.Event)

	acting sync.Mutex // held by the term that acts
}

// run drains Raft's notifications, which block Raft when nobody does, and runs
// lead for each time that this node is leader.
func (l *leadership) run(ctx context.Context, r *raftNode) error {
	var group errgroup.Group
	end := func() {}
	defer func() {
		end()
		_ = group.Wait()
	}()
	for {
		select {
		case leading := <-r.notify:
			end()
			r.transport.releaseAppends()
			if !leading {
				l.log.Info("no longer leader")
				end = func() {}
				continue
			}
			termCtx, cancel := context.WithCancel(ctx)
			end = cancel
			group.Go(func() error {
				defer cancel()
				l.lead(termCtx, r)
				return nil
			})
		case <-ctx.Done():
			return nil
		}
	}
}

// lead acts as leader until ctx, the term, ends.
func (l *leadership) lead(ctx context.Context, r *raftNode) {
	l.acting.Lock()
	defer l.acting.Unlock()
	for {
		err := r.ask(func() raft.Future { return r.Barrier(l.t.propose) }).wait(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil || r.State() != raft.Leader {
			return
		}
		l.log.Warn("this node leads and cannot yet commit; it is tried again", "error", err)
		if sleep(ctx, leavePoll) != nil { // while leadership is handed on, a barrier fails at once
			return
		}
	}
	t := &term{number: r.CurrentTerm(), since: time.Now()}
	l.consensus.leading.Store(t)
	defer l.consensus.leading.Store(nil)
	l.log.Info("leading", "term", t.number, "index", l.consensus.facts.View().Index)
	l.report.fire()
	loop := &leaderLoop{leadership: l, raft: r, term: t, healthy: map[raft.ServerID]time.Time{}, lives: map[string]Life{}}
	loop.run(ctx)
}

// leaderLoop is the state of one term. All of it is used by one goroutine.
type leaderLoop struct {
	*leadership
	raft    *raftNode
	term    *term
	healthy map[raft.ServerID]time.Time // since when a non-voter is alive and caught up
	lives   map[string]Life
	members int       // of the last look at the configuration
	since   time.Time // since when this node listens to reports
	judged  time.Time // when lives were last judged
	agenda  agenda
}

func (l *leaderLoop) run(ctx context.Context) {
	tick := time.NewTicker(leaderTick)
	defer tick.Stop()
	for {
		changed := l.consensus.facts.watch()
		l.step(ctx)
		var wait <-chan time.Time
		if l.behind() {
			wait = time.After(time.Until(l.agenda.looked.Add(planMinimum)))
			changed = nil
		}
		select {
		case <-wait:
		case <-changed:
		case <-l.liveness.changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// behind reports that the View has changed since the last plan.
func (l *leaderLoop) behind() bool { return l.consensus.facts.View().Index != l.agenda.index }

// step decides once. Failures are logged and met again at the next step.
func (l *leaderLoop) step(ctx context.Context) {
	v := l.consensus.facts.View()
	errs := []error{l.describe(ctx, v), l.roster.align(ctx, v)}
	l.judge(v)
	for _, err := range append(errs, l.suffrage(ctx), l.plan(ctx)) {
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoLeader) {
			l.log.Warn("a part of the leader's work failed; it is tried again", "error", err)
		}
	}
}

// describe sets what the cluster must know of itself: its id, and the feature
// level that every member knows.
func (l *leaderLoop) describe(ctx context.Context, v *fsm.View) error {
	if v.ClusterID == "" {
		return l.consensus.commit(ctx, &fsm.ClusterInit{ClusterID: l.raft.clusterID, At: l.nowMillis()})
	}
	if commonFeature(v, l.consensus.servers()) <= v.Feature || !l.roster.change.TryAcquire(1) {
		return nil
	}
	defer l.roster.change.Release(1) // nobody who is older comes in meanwhile
	if level := commonFeature(v, l.consensus.servers()); level > v.Feature {
		l.log.Info("raising the feature level", "from", v.Feature, "to", level)
		return l.consensus.commit(ctx, &fsm.FeatureRaise{Level: level})
	}
	return nil
}

// judge looks at every node's life and notes what has changed. A death is an
// event; at the begin of a term only that of a node whose tasks are yet to be
// moved, because earlier ones are events already.
func (l *leaderLoop) judge(v *fsm.View) {
	now := time.Now()
	l.detectPause(now)
	servers := l.consensus.servers()
	if len(servers) != l.members {
		l.members = len(servers)
		l.raft.transport.releaseAppends() // nobody waits for appends to a removed server
	}
	for _, node := range v.Nodes {
		life := LifeAlive
		if node.ID != l.self.ServerID {
			r := l.liveness.reports.get(node.ID)
			life = judge(now, l.since, r, l.t)
			if life == LifeSilent && now.Sub(r.At) > l.t.silent {
				l.liveness.hint(node.ID)
			}
		}
		was, known := l.lives[node.ID]
		if was == life {
			continue
		}
		l.lives[node.ID], l.agenda.due = life, true
		if life == LifeDead {
			l.log.Warn("node is dead", "node", node.Name, "id", node.ID)
			if known || owns(v, node.ID) {
				l.record(fsm.Event{Node: node.Name, Code: fsm.CodeNodeDead, Message: node.Name + " is dead", From: -1, To: -1})
			}
		} else if known {
			l.log.Info("node is "+string(life), "node", node.Name, "id", node.ID)
		}
	}
	l.liveness.reports.keep(func(id string) bool { return v.Node(id) != nil || l.consensus.isMember(id) })
}

// detectPause begins to listen anew when this process was stopped or suspended
// for long: the reports of that time are not lost, they are yet to be read.
func (l *leaderLoop) detectPause(now time.Time) {
	if l.judged.IsZero() {
		l.since = l.term.since
	} else if now.Sub(l.judged) > l.t.silent {
		l.since = now
	}
	l.judged = now
}

// owns reports whether a node has a task.
func owns(v *fsm.View, id string) bool {
	for t := range v.Tasks {
		if t.Owner == id {
			return true
		}
	}
	return false
}

// plan lets balance/work decide and commits what it says.
func (l *leaderLoop) plan(ctx context.Context) error {
	now := time.Now()
	v := l.consensus.facts.View()
	if !l.agenda.ripe(now, v.Index) {
		return nil
	}
	rates := l.liveness.reports.smoothed(v)
	if !l.agenda.take(now, v.Index, rates) {
		return nil
	}
	in := work.Inputs{Now: l.nowMillis(), Rates: rates}
	for _, node := range v.Nodes {
		switch l.lives[node.ID] {
		case LifeAlive:
			in.Alive = append(in.Alive, node.ID)
		case LifeDead:
			in.Dead = append(in.Dead, node.ID)
		case LifeSilent: // what it has stays there, and it gets no more
		}
	}
	items := work.Plan(v, in)
	if len(items) == 0 {
		return nil
	}
	l.log.Info("assigning tasks", "count", len(items), "took", time.Since(now))
	return l.assign(ctx, items)
}

// assign commits assignments in batches, all under way at once.
func (l *leaderLoop) assign(ctx context.Context, items []fsm.Assignment) error {
	ctx, cancel := context.WithTimeout(ctx, l.t.propose)
	defer cancel()
	var answers []question
	for from := 0; from < len(items); from += assignBatch {
		batch := items[from:min(from+assignBatch, len(items))]
		data, err := fsm.Encode(&fsm.Assign{Items: batch, At: l.nowMillis()})
		if err != nil {
			return err
		}
		answers = append(answers, l.raft.ask(func() raft.Future { return l.raft.Apply(data, l.t.rpc) }))
	}
	for _, a := range answers {
		if err := a.wait(ctx); err != nil {
			l.agenda.due = true
			return fmt.Errorf("assigning tasks: %w", appendError(err))
		}
	}
	return nil
}

// promotionLag is how far behind the leader a healthy non-voter may be, in
// entries.
const promotionLag = 1000

// suffrage gives votes to members that have been well for long enough, and takes
// those of members that are dead for long, or too many.
func (l *leaderLoop) suffrage(ctx context.Context) error {
	if !l.roster.change.TryAcquire(1) {
		return nil // it is looked at again
	}
	defer l.roster.change.Release(1)
	b := vote(l.cfg.suffrage(), l.seats(time.Now()))
	for _, id := range b.give {
		if err := l.roster.enfranchise(ctx, id); err != nil {
			return err
		}
	}
	if b.take == "" {
		return nil
	}
	if err := l.roster.disenfranchise(ctx, b.take); err != nil {
		return err
	}
	name := l.consensus.nameOf(string(b.take))
	l.log.Info("a node has no vote any more", "node", name, "id", b.take, "why", b.why)
	l.record(fsm.Event{
		Node: name, Code: fsm.CodeVoteTaken, From: -1, To: -1,
		Message: fmt.Sprintf("node %s has no vote any more: %s; it gets one again when it is well and there is room", name, b.why),
	})
	return nil
}

// seats describes the members now, as their last reports and lives tell.
func (l *leaderLoop) seats(now time.Time) []seat {
	v := l.consensus.facts.View()
	var out []seat
	for _, server := range l.consensus.servers() {
		id := string(server.ID)
		r, life := l.liveness.reports.get(id), l.lives[id]
		s := seat{
			id: server.ID, voter: server.Suffrage == raft.Voter, leader: id == l.self.ServerID, alive: life == LifeAlive, well: -1, dead: -1,
		}
		if node := v.Node(id); node != nil {
			s.datacenter = node.Datacenter
		}
		if life == LifeDead {
			heard := r.At
			if heard.IsZero() {
				heard = l.liveness.began
			}
			s.dead = max(now.Sub(heard), r.Deaf)
		}
		well := s.alive && r.Index+promotionLag >= v.Index && (r.Disk == nil || r.Disk.Why == "")
		if s.voter || !well {
			delete(l.healthy, server.ID)
		} else if since, ok := l.healthy[server.ID]; ok {
			s.well = now.Sub(since)
		} else {
			l.healthy[server.ID], s.well = now, 0
		}
		out = append(out, s)
	}
	return out
}
