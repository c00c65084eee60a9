package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/task"
)

// audit watches the whole run for what must never be: a turn of a task that
// runs on two nodes, and facts that differ at the same index.
type audit struct {
	s     *sim
	mu    sync.Mutex
	turns map[turnKey]int // node that ran it
	facts map[factsKey][sha256.Size]byte
	last  map[int]uint64 // by node: index looked at
}

type turnKey struct {
	sluice string // id of the Sluice cluster
	task   fsm.TaskID
	turn   uint64
}

type factsKey struct {
	sluice string
	index  uint64
}

func newAudit(s *sim) *audit {
	return &audit{s: s, turns: map[turnKey]int{}, facts: map[factsKey][sha256.Size]byte{}, last: map[int]uint64{}}
}

// auditRunner notes who runs what.
type auditRunner struct {
	task.Runner
	audit *audit
	n     *simNode
}

// Start implements task.Runner.
func (r *auditRunner) Start(ctx context.Context, t *fsm.Task) task.Running {
	if !r.n.dead.Load() {
		a := r.audit
		a.mu.Lock()
		key := turnKey{r.n.cluster.View().ClusterID, t.ID, t.Turn}
		if other, ok := a.turns[key]; ok && other != r.n.i {
			a.s.t.Errorf("task %d turn %d ran on node %d and on node %d", t.ID, t.Turn, other, r.n.i)
		}
		a.turns[key] = r.n.i
		a.mu.Unlock()
	}
	return r.Runner.Start(ctx, t)
}

// look compares every node's facts with what any node had at that index.
func (a *audit) look() {
	for i, n := range a.s.nodes {
		v := n.cluster.View()
		if v.Index == a.last[i] {
			continue
		}
		a.last[i] = v.Index
		sum := a.sum(v)
		at := factsKey{v.ClusterID, v.Index}
		if old, ok := a.facts[at]; ok && old != sum {
			a.s.t.Errorf("node %d: facts differ from another node's at index %d", i, v.Index)
		}
		a.facts[at] = sum
	}
}

func (a *audit) sum(v *fsm.View) [sha256.Size]byte {
	var buf bytes.Buffer
	if err := fsm.WriteSnapshot(&buf, v); err != nil {
		a.s.t.Fatal(err)
	}
	return sha256.Sum256(buf.Bytes())
}

// equal waits until all nodes are at the same index, with equal facts.
func (a *audit) equal() {
	a.s.t.Helper()
	var views []*fsm.View
	a.s.until("equal index", time.Minute, func() bool {
		views = nil
		seen := map[uint64]bool{}
		for _, n := range a.s.nodes {
			v := n.cluster.View()
			views, seen[v.Index] = append(views, v), true
		}
		return len(seen) == 1
	})
	sums := map[[sha256.Size]byte]bool{}
	for _, v := range views {
		sums[a.sum(v)] = true
	}
	if len(sums) != 1 {
		a.s.t.Error("facts differ at the same index")
	}
}

// events yields every event of the facts.
func (a *audit) events(f func(*fsm.Event)) {
	v := a.s.view()
	for _, ring := range v.Events {
		for _, ev := range ring.All() {
			f(ev)
		}
	}
}

// harmless are the events that a fault may leave where nothing is lost.
var harmless = map[fsm.Code]bool{
	fsm.CodeTakeover: true, fsm.CodeHandover: true, fsm.CodeLostRace: true, fsm.CodeUnreachable: true, fsm.CodeTopicAdded: true,
	fsm.CodeResolved: true,
}

// calm checks that no stream stands and nothing worse than a takeover was told.
func (a *audit) calm() {
	a.s.t.Helper()
	for t := range a.s.view().Tasks {
		if t.Kind == fsm.KindCopy && t.Copy.Stop != nil {
			a.s.t.Errorf("task %d %s/%d stands: %+v", t.ID, t.Copy.Stream.Topic, t.Copy.Stream.Partition, *t.Copy.Stop)
		}
	}
	a.events(func(ev *fsm.Event) {
		if ev.Link != 0 && !harmless[ev.Code] {
			a.s.t.Errorf("event %+v", *ev)
		}
	})
}
