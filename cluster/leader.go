package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"sluice/balance/work"
	"sluice/fsm"
)

// Pace of the leader's decisions.
const (
	leaderTick  = 250 * time.Millisecond // lives are judged
	planMinimum = 100 * time.Millisecond // between two plans
	planMaximum = time.Second            // rates alone are looked at that often
	assignBatch = 256                    // assignments of one command, about 20 KB
)

// term is this node's time as leader. It begins when everything committed
// before has been applied here.
type term struct {
	number uint64
	since  time.Time
}

// watchLeadership drains Raft's notifications, which block Raft when nobody
// does, and runs lead for each time that this node is leader.
func (n *Node) watchLeadership(ctx context.Context, c *consensus) error {
	var group errgroup.Group
	end := func() {}
	defer func() {
		end()
		_ = group.Wait()
	}()
	for {
		select {
		case leading := <-c.notify:
			end()
			c.peers.letGo()
			if !leading {
				n.log.Info("no longer leader")
				end = func() {}
				continue
			}
			termCtx, cancel := context.WithCancel(ctx)
			end = cancel
			group.Go(func() error {
				defer cancel()
				n.lead(termCtx, c)
				return nil
			})
		case <-ctx.Done():
			return nil
		}
	}
}

// lead acts as leader until ctx, the term, ends. Two leads never overlap.
func (n *Node) lead(ctx context.Context, c *consensus) {
	n.leadOnce.Lock()
	defer n.leadOnce.Unlock()
	for {
		err := c.ask(func() raft.Future { return c.Barrier(n.t.propose) }).wait(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil || c.State() != raft.Leader {
			return
		}
		n.log.Warn("catching up as leader", "error", err)
		select { // while leadership is handed on, a barrier fails at once
		case <-time.After(leavePoll):
		case <-ctx.Done():
			return
		}
	}
	t := &term{number: c.CurrentTerm(), since: time.Now()}
	n.leading.Store(t)
	defer n.leading.Store(nil)
	n.log.Info("leading", "term", t.number, "index", n.View().Index)
	n.kickReport.fire()
	l := &leaderLoop{n: n, c: c, term: t, healthy: map[raft.ServerID]time.Time{}, lives: map[string]Life{}}
	l.run(ctx)
}

// leaderLoop is the state of one term. All of it is used by one goroutine.
type leaderLoop struct {
	n       *Node
	c       *consensus
	term    *term
	healthy map[raft.ServerID]time.Time // since when a non-voter is alive and caught up
	lives   map[string]Life
	members int       // of the last look at the configuration
	since   time.Time // since when this node listens to reports
	looked  time.Time // when lives were last judged
	planned time.Time // the last plan
	index   uint64    // of the View of the last plan
	due     bool      // lives have changed since
}

func (l *leaderLoop) run(ctx context.Context) {
	tick := time.NewTicker(leaderTick)
	defer tick.Stop()
	for {
		changed := l.n.machine.hub.watch()
		l.step(ctx)
		var wait <-chan time.Time
		if l.behind() {
			wait = time.After(time.Until(l.planned.Add(planMinimum)))
			changed = nil
		}
		select {
		case <-wait:
		case <-changed:
		case <-l.n.kickLead:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// behind reports that the View has changed since the last plan.
func (l *leaderLoop) behind() bool { return l.n.View().Index != l.index }

// step decides once. Failures are logged and met again at the next step.
func (l *leaderLoop) step(ctx context.Context) {
	v := l.n.View()
	for _, err := range []error{l.facts(ctx, v), l.forget(ctx, v), l.judge(v), l.promote(ctx), l.plan(ctx)} {
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoLeader) {
			l.n.log.Warn("acting as leader", "error", err)
		}
	}
}

// facts sets what the cluster must know of itself: its id, and the feature
// level that every member knows.
func (l *leaderLoop) facts(ctx context.Context, v *fsm.View) error {
	if v.ClusterID == "" {
		_, err := l.commit(ctx, &fsm.ClusterInit{ClusterID: l.n.tr.Self().ClusterID, At: l.n.nowMillis()})
		return err
	}
	if level := commonFeature(v, l.n.servers()); level > v.Feature {
		l.n.log.Info("raising the feature level", "from", v.Feature, "to", level)
		_, err := l.commit(ctx, &fsm.FeatureRaise{Level: level})
		return err
	}
	return nil
}

// forget removes from the facts who is no member of Raft: a removal that ended
// between the two, or a node's own word that came after its removal.
func (l *leaderLoop) forget(ctx context.Context, v *fsm.View) error {
	for _, node := range v.Nodes {
		if l.n.isMember(node.ID) || !l.n.membership.TryLock() {
			continue
		}
		var err error
		if !l.n.isMember(node.ID) { // no change of members is under way
			_, err = l.commit(ctx, &fsm.NodeRemove{ID: node.ID, At: l.n.nowMillis()})
		}
		l.n.membership.Unlock()
		if err != nil {
			return fmt.Errorf("forgetting node %s: %w", node.ID, err)
		}
	}
	return nil
}

// commonFeature is the highest level that every member says it knows, 0 when
// one of them has not said yet.
func commonFeature(v *fsm.View, servers []raft.Server) uint32 {
	level := uint32(0)
	for i, s := range servers {
		node := v.Node(string(s.ID))
		if node == nil {
			return 0
		}
		if i == 0 || node.Feature < level {
			level = node.Feature
		}
	}
	return level
}

// judge looks at every node's life and notes what has changed. A death is an
// event; at the begin of a term only that of a node whose tasks are yet to be
// moved, because earlier ones are events already.
func (l *leaderLoop) judge(v *fsm.View) error {
	now := time.Now()
	l.noticePause(now)
	servers := l.n.servers()
	if len(servers) != l.members {
		l.members = len(servers)
		l.c.peers.letGo() // appends to a removed server are held for nobody
	}
	for _, node := range v.Nodes {
		life := LifeAlive
		if node.ID != l.n.self.ServerID {
			r := l.n.table.get(node.ID)
			life = judge(now, l.since, r, l.n.t)
			if life == LifeSilent && now.Sub(r.At) > l.n.t.silent {
				l.n.probeSoon(node.ID)
			}
		}
		was, known := l.lives[node.ID]
		if was == life {
			continue
		}
		l.lives[node.ID], l.due = life, true
		if life == LifeDead {
			l.n.log.Warn("node is dead", "node", node.Name, "id", node.ID)
			if known || owns(v, node.ID) {
				l.n.Record(fsm.Event{Node: node.Name, Code: fsm.CodeNodeDead, Message: node.Name + " is dead", From: -1, To: -1})
			}
		} else if known {
			l.n.log.Info("node is "+string(life), "node", node.Name, "id", node.ID)
		}
	}
	l.n.table.keep(func(id string) bool { return v.Node(id) != nil || l.n.isMember(id) })
	return nil
}

// noticePause begins to listen anew when this process was stopped or suspended
// for long: the reports of that time are not lost, they are yet to be read.
func (l *leaderLoop) noticePause(now time.Time) {
	if l.looked.IsZero() {
		l.since = l.term.since
	} else if now.Sub(l.looked) > l.n.t.silent {
		l.since = now
	}
	l.looked = now
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
	v := l.n.View()
	since := now.Sub(l.planned)
	if !l.due && (since < planMinimum || (v.Index == l.index && since < planMaximum)) {
		return nil
	}
	l.planned, l.index, l.due = now, v.Index, false
	in := work.Inputs{Now: l.n.nowMillis(), Rates: l.n.table.smoothed(v)}
	for _, node := range v.Nodes {
		switch l.lives[node.ID] {
		case LifeAlive:
			in.Alive = append(in.Alive, node.ID)
		case LifeDead:
			in.Dead = append(in.Dead, node.ID)
		}
	}
	items := work.Plan(v, in)
	if len(items) == 0 {
		return nil
	}
	l.n.log.Info("assigning tasks", "count", len(items), "took", time.Since(now))
	return l.assign(ctx, items)
}

// assign commits assignments in batches, all under way at once.
func (l *leaderLoop) assign(ctx context.Context, items []fsm.Assignment) error {
	ctx, cancel := context.WithTimeout(ctx, l.n.t.propose)
	defer cancel()
	var answers []*question
	for from := 0; from < len(items); from += assignBatch {
		batch := items[from:min(from+assignBatch, len(items))]
		data, err := fsm.Encode(&fsm.Assign{Items: batch, At: l.n.nowMillis()})
		if err != nil {
			return err
		}
		answers = append(answers, l.c.ask(func() raft.Future { return l.c.Apply(data, l.n.t.rpc) }))
	}
	for _, a := range answers {
		if err := a.wait(ctx); err != nil {
			l.due = true
			return fmt.Errorf("assigning tasks: %w", commitError(err))
		}
	}
	return nil
}

func (l *leaderLoop) commit(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	data, err := fsm.Encode(cmd)
	if err != nil {
		return fsm.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.n.t.propose)
	defer cancel()
	return l.n.commit(ctx, data)
}

// promotionLag is how far behind the leader a healthy non-voter may be, in
// entries.
const promotionLag = 1000

// promote gives the vote to non-voters that have been well for long enough.
func (l *leaderLoop) promote(ctx context.Context) error {
	now := time.Now()
	servers := l.n.servers()
	for _, s := range servers {
		r := l.n.table.get(string(s.ID))
		well := l.lives[string(s.ID)] == LifeAlive && r.Index+promotionLag >= l.n.View().Index
		if s.Suffrage == raft.Voter || !well {
			delete(l.healthy, s.ID)
		} else if _, ok := l.healthy[s.ID]; !ok {
			l.healthy[s.ID] = now
		}
	}
	chosen := promotable(now, servers, l.healthy, l.n.cfg.MaxVoters, l.n.cfg.PromoteAfter)
	for _, s := range servers {
		if !slices.Contains(chosen, s.ID) {
			continue
		}
		if err := l.vote(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (l *leaderLoop) vote(ctx context.Context, s raft.Server) error {
	l.n.log.Info("giving a vote to node", "id", s.ID, "address", s.Address)
	ctx, cancel := context.WithTimeout(ctx, l.n.t.propose)
	defer cancel()
	l.n.membership.Lock()
	defer l.n.membership.Unlock()
	if err := l.c.ask(func() raft.Future { return l.c.AddVoter(s.ID, s.Address, 0, l.n.t.rpc) }).wait(ctx); err != nil {
		return fmt.Errorf("promoting %s: %w", s.ID, err)
	}
	return nil
}

// foundingAfter is the health that is asked of the second and third voter of
// a cluster when both are there: until they vote, one death stops everything.
const foundingAfter = 2 * time.Second

// promotable picks the non-voters to promote: the one that has been healthy
// longest, if there is room and it was healthy for long enough, or the first
// two companions of a single voter together, since two voters would bear no
// death at all. Ties go to the lower id.
func promotable(now time.Time, servers []raft.Server, healthy map[raft.ServerID]time.Time, maxVoters int, after time.Duration) []raft.ServerID {
	var ready []raft.ServerID
	voters := 0
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters++
		} else if since, ok := healthy[s.ID]; ok && now.Sub(since) >= min(after, foundingAfter) {
			ready = append(ready, s.ID)
		}
	}
	slices.SortFunc(ready, func(a, b raft.ServerID) int {
		return cmp.Or(healthy[a].Compare(healthy[b]), cmp.Compare(a, b))
	})
	if voters == 1 && len(ready) >= 2 && maxVoters >= 3 {
		return ready[:2]
	}
	if len(ready) == 0 || voters >= maxVoters || now.Sub(healthy[ready[0]]) < after {
		return nil
	}
	return ready[:1]
}
