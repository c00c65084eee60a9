package cluster

import (
	"cmp"
	"context"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/task"
)

// world sees which node runs which task, and checks that no turn of a task
// ever runs on two nodes.
type world struct {
	t       *testing.T
	mu      sync.Mutex
	running map[fsm.TaskID]map[*simNode]*fakeTask
	turns   map[turnKey]*simNode
	starts  int
	drains  int
	drain   time.Duration // how long a task takes to drain, 0: 30 ms
}

type turnKey struct {
	task fsm.TaskID
	turn uint64
}

func newWorld(t *testing.T) *world {
	return &world{t: t, running: map[fsm.TaskID]map[*simNode]*fakeTask{}, turns: map[turnKey]*simNode{}}
}

func (w *world) runner(n *simNode) task.Runner { return &fakeRunner{w, n} }

type fakeRunner struct {
	w *world
	n *simNode
}

// Start implements task.Runner.
func (r *fakeRunner) Start(ctx context.Context, t *fsm.Task) task.Running {
	f := &fakeTask{w: r.w, n: r.n, task: t, drain: make(chan struct{}), done: make(chan struct{})}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	go f.run(ctx)
	if r.n.dead.Load() {
		return f
	}
	key := turnKey{t.ID, t.Turn}
	if other := r.w.turns[key]; other != nil && other.i != r.n.i {
		r.w.t.Errorf("task %d turn %d ran on node %d and on node %d", t.ID, t.Turn, other.i, r.n.i)
	}
	r.w.turns[key] = r.n
	if r.w.running[t.ID] == nil {
		r.w.running[t.ID] = map[*simNode]*fakeTask{}
	}
	r.w.running[t.ID][r.n] = f
	r.w.starts++
	return f
}

type fakeTask struct {
	w     *world
	n     *simNode
	task  *fsm.Task
	once  sync.Once
	drain chan struct{}
	done  chan struct{}
}

func (f *fakeTask) run(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-f.drain:
		select {
		case <-time.After(cmp.Or(f.w.drain, 30*time.Millisecond)): // what is under way
			f.n.Progress(fsm.ProgressItem{Task: f.task.ID, Turn: f.task.Turn, Progress: fsm.Progress{Records: 7}})
		case <-ctx.Done():
		}
	}
	f.w.mu.Lock()
	delete(f.w.running[f.task.ID], f.n)
	f.w.mu.Unlock()
	close(f.done)
}

// Drain implements task.Running.
func (f *fakeTask) Drain() {
	f.once.Do(func() {
		f.w.mu.Lock()
		f.w.drains++
		f.w.mu.Unlock()
		close(f.drain)
	})
}

// Done implements task.Running.
func (f *fakeTask) Done() <-chan struct{} { return f.done }

// Status implements task.Running.
func (f *fakeTask) Status() task.Status {
	return task.Status{State: fsm.CodeCopying, Lag: task.Lag{Records: 3, Millis: -1}, Rate: 1000}
}

// kill forgets what a killed process ran.
func (w *world) kill(n *simNode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, on := range w.running {
		delete(on, n)
	}
}

// on counts tasks that run on exactly one node, by node number; elsewhere is
// the number of those that run on none or on several.
func (w *world) on(tasks int) (by map[int]int, elsewhere int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	by = map[int]int{}
	single := 0
	for _, on := range w.running {
		if len(on) == 1 {
			single++
			for n := range on {
				by[n.i]++
			}
		}
	}
	return by, tasks - single
}

// drained counts the tasks that were asked to stop in order.
func (w *world) drained() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drains
}

// settled reports that every one of so many tasks runs on exactly one of the
// nodes.
func (w *world) settled(tasks int) bool {
	_, elsewhere := w.on(tasks)
	return elsewhere == 0
}
