package cluster

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/task"
)

// Pace of reconciling.
const (
	reconcileMinimum = 10 * time.Millisecond // Views that follow one another quickly are taken together
	reconcileTick    = time.Second           // while something is to be waited for
	restartAfter     = time.Second           // a task that ended by itself
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
// it compares all of it each time, so a missed change does no harm.
//
// Its slots belong to run; reports read them under mu, which is held over calls
// of runners (they do not block) and is taken before progress's. A goroutine
// per task waits for its end; run waits for all of them.
type reconciler struct {
	*local
	facts     *hub
	confirmed func() bool // a leader has confirmed the View to this process
	progress  *progressSink
	wake      trigger // a task is done, or a leader has confirmed facts
	tasks     errgroup.Group

	reconciled atomic.Uint64 // index whose stops (pauses, deletions, lost tasks) are carried out
	running    atomic.Int64  // slots

	mu    sync.Mutex
	slots map[fsm.TaskID]*slot
	taken takeovers
}

// takeovers counts the streams that this node got from another one.
type takeovers struct {
	seen  uint64 // index up to which they are counted, 0: nothing was confirmed yet
	count map[fsm.LinkID]int64
}

// look counts what has come with a View that a leader confirmed. What was this
// node's when it started was taken over by nobody.
func (k *takeovers) look(v *fsm.View, self string) {
	if k.seen > 0 {
		for t := range v.Tasks {
			if t.Kind == fsm.KindCopy && t.Owner == self && t.Turn > 1 && t.Since > k.seen {
				k.count[t.Link]++
			}
		}
	}
	k.seen = v.Index
}

func newReconciler(l *local, facts *hub, progress *progressSink, confirmed func() bool) *reconciler {
	return &reconciler{local: l, facts: facts, progress: progress, confirmed: confirmed, wake: newTrigger(), slots: map[fsm.TaskID]*slot{}, taken: takeovers{count: map[fsm.LinkID]int64{}}}
}

// run reconciles until ctx ends, then drains everything.
func (r *reconciler) run(ctx context.Context, runners map[fsm.Kind]task.Runner) error {
	tasks, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	tick := time.NewTicker(reconcileTick)
	defer tick.Stop()
	for {
		changed, again := r.facts.watch(), tick.C
		if r.pass(tasks, runners) {
			again = nil
		}
		select {
		case <-changed:
		case <-r.wake:
		case <-again:
		case <-ctx.Done():
			return r.drainAll(cancel)
		}
		if sleep(ctx, reconcileMinimum) != nil {
			return r.drainAll(cancel)
		}
	}
}

// pass compares a View with what runs. Nothing is started before a leader has
// confirmed the facts to this process: they may be those of an old snapshot.
// It reports that everything is as the View says: the next pass can wait until
// that changes, or a task ends.
func (r *reconciler) pass(ctx context.Context, runners map[fsm.Kind]task.Runner) (rests bool) {
	confirmed := r.confirmed()
	v := r.facts.View() // not older than what was confirmed
	r.mu.Lock()
	defer r.mu.Unlock()
	settled, rests := true, confirmed
	for id, s := range r.slots {
		if !r.keep(v, id, s) {
			settled = false
		}
		rests = rests && !s.draining && s.ended.IsZero()
	}
	if confirmed {
		r.taken.look(v, r.self.ServerID)
		for t := range v.Tasks {
			if t.Owner == r.self.ServerID && r.slots[t.ID] == nil {
				r.begin(ctx, v, t, runners[t.Kind])
				rests = rests && r.slots[t.ID] != nil
			}
		}
	}
	r.running.Store(int64(len(r.slots)))
	if settled {
		r.reconciled.Store(v.Index)
	}
	return rests && settled
}

// keep brings one slot in line. It reports false while the slot must stop and
// has not yet.
func (r *reconciler) keep(v *fsm.View, id fsm.TaskID, s *slot) bool {
	t := v.Task(id)
	ours := t != nil && t.Owner == r.self.ServerID && t.Turn == s.turn
	if !ours {
		s.cancel()
	}
	wanted := ours && v.Active(t)
	select {
	case <-s.running.Done():
		s.cancel()
		r.progress.ended(id)
		switch {
		case ours && t.Next != "":
			r.progress.release(t)
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
func (r *reconciler) begin(ctx context.Context, v *fsm.View, t *fsm.Task, runner task.Runner) {
	if t.Next != "" {
		r.progress.release(t)
		return
	}
	if runner == nil || !v.Active(t) {
		return
	}
	if mappingVersion(t) > 0 && t.Copy.Mapping.Phase == fsm.PhaseTranslated && r.progress.unsaved(t) {
		return // it could not tell where it stopped; the commit comes back here
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &slot{turn: t.Turn, cancel: cancel, running: runner.Start(ctx, t)}
	r.slots[t.ID] = s
	done := s.running.Done()
	r.tasks.Go(func() error {
		<-done
		cancel()
		r.wake.fire()
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
	r.running.Store(0)
	return r.tasks.Wait()
}

// statuses asks every running task for its state; into has no others
// afterwards.
func (r *reconciler) statuses(into map[fsm.TaskID]task.Status) {
	clear(into)
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, s := range r.slots {
		into[id] = s.running.Status()
	}
}

// takeovers are the streams that this node got from another one since it
// started, by link; of links that are gone they are forgotten.
func (r *reconciler) takeovers(v *fsm.View) map[fsm.LinkID]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.taken.count, func(id fsm.LinkID, _ int64) bool { return v.Link(id) == nil })
	return maps.Clone(r.taken.count)
}
