package cluster

import (
	"context"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/task"
)

// Pace of reconciling.
const (
	reconcileMinimum = 10 * time.Millisecond // Views that follow one another quickly are taken together
	reconcileTick    = time.Second
	restartAfter     = time.Second // a task that ended by itself
	drainLimit       = 5 * time.Second
)

// slot is one task on this node.
type slot struct {
	turn     uint64
	running  task.Running
	cancel   context.CancelFunc
	draining bool
	ended    time.Time // it was Done by itself; zero: it runs
}

// reconciler makes what runs on this node what the facts say. Level-triggered:
// it compares all of it each time, so a missed change does no harm. Its slots
// belong to run; reports read them under mu.
type reconciler struct {
	n       *Node
	runners map[fsm.Kind]task.Runner
	wake    chan struct{} // a task is done

	mu    sync.Mutex
	slots map[fsm.TaskID]*slot
}

func newReconciler(n *Node, runners map[fsm.Kind]task.Runner) *reconciler {
	return &reconciler{n: n, runners: runners, wake: make(chan struct{}, 1), slots: map[fsm.TaskID]*slot{}}
}

// run reconciles until ctx ends, then drains everything.
func (r *reconciler) run(ctx context.Context) error {
	tasks, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	tick := time.NewTicker(reconcileTick)
	defer tick.Stop()
	for {
		changed := r.n.machine.hub.watch()
		r.pass(tasks)
		select {
		case <-changed:
		case <-r.wake:
		case <-r.n.kickReconcile:
		case <-tick.C:
		case <-ctx.Done():
			return r.drainAll(cancel)
		}
		select {
		case <-time.After(reconcileMinimum):
		case <-ctx.Done():
			return r.drainAll(cancel)
		}
	}
}

// pass compares a View with what runs. Nothing is started before a leader has
// confirmed the facts to this process: they may be those of an old snapshot.
func (r *reconciler) pass(ctx context.Context) {
	_, confirmed := r.n.LeaderAge()
	v := r.n.View() // not older than what was confirmed
	r.mu.Lock()
	defer r.mu.Unlock()
	settled := true
	for id, s := range r.slots {
		if !r.keep(v, id, s) {
			settled = false
		}
	}
	if confirmed {
		for t := range v.Tasks {
			if t.Owner == r.n.self.ServerID && r.slots[t.ID] == nil {
				r.begin(ctx, v, t)
			}
		}
	}
	r.n.running.Store(int64(len(r.slots)))
	if settled {
		r.n.reconciled.Store(v.Index)
	}
}

// keep brings one slot in line. It reports false while the slot must stop and
// has not yet.
func (r *reconciler) keep(v *fsm.View, id fsm.TaskID, s *slot) bool {
	t := v.Task(id)
	ours := t != nil && t.Owner == r.n.self.ServerID && t.Turn == s.turn
	if !ours {
		s.cancel()
	}
	wanted := ours && v.Active(t)
	select {
	case <-s.running.Done():
		s.cancel()
		r.n.progress.ended(id)
		switch {
		case ours && t.Next != "":
			r.n.progress.release(t)
			delete(r.slots, id)
		case wanted && !s.draining && s.ended.IsZero():
			s.ended = time.Now()
		case wanted && !s.draining && time.Since(s.ended) < restartAfter:
		default:
			delete(r.slots, id)
		}
		return true
	default:
	}
	switch {
	case !ours:
		return false
	case !wanted:
		s.running.Drain()
		s.draining = true
		return false
	case t.Next != "" && !s.draining:
		s.running.Drain()
		s.draining = true
	}
	return true
}

// begin starts a task, or releases it when it is to be handed over and never
// ran here.
func (r *reconciler) begin(ctx context.Context, v *fsm.View, t *fsm.Task) {
	if t.Next != "" {
		r.n.progress.release(t)
		return
	}
	runner := r.runners[t.Kind]
	if runner == nil || !v.Active(t) {
		return
	}
	if mappingVersion(t) > 0 && t.Copy.Mapping.Phase == fsm.PhaseTranslated && r.n.progress.unsaved(t) {
		return // it could not tell where it stopped; the commit comes back here
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &slot{turn: t.Turn, cancel: cancel, running: runner.Start(ctx, t)}
	r.slots[t.ID] = s
	done := s.running.Done()
	r.n.tasks.Go(func() error {
		<-done
		cancel()
		r.n.kick(r.wake)
		return nil
	})
}

// drainAll stops every task in order, and at once those that take too long.
func (r *reconciler) drainAll(cancel context.CancelFunc) error {
	r.mu.Lock()
	var left []task.Running
	for _, s := range r.slots {
		s.running.Drain()
		left = append(left, s.running)
	}
	r.mu.Unlock()
	limit := time.AfterFunc(drainLimit, cancel)
	defer limit.Stop()
	for _, running := range left {
		<-running.Done()
	}
	cancel()
	r.n.running.Store(0)
	return r.n.tasks.Wait()
}

// statuses asks every running task for its state.
func (r *reconciler) statuses() map[fsm.TaskID]task.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[fsm.TaskID]task.Status, len(r.slots))
	for id, s := range r.slots {
		out[id] = s.running.Status()
	}
	return out
}
