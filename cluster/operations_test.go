package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
)

// releases is the target of a link in a test: it counts who gives the claim up.
type releases struct {
	mu    sync.Mutex
	down  bool
	tried []int // nodes
	done  []int
	cut   int // acts that were ended by their context
}

func (r *releases) get() (tried, done []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tried), slices.Clone(r.done)
}

// act is the act of node n. While the target is down it hangs for a while, as
// a dial does.
func (r *releases) act(s *sim, n *simNode) Act {
	return func(ctx context.Context, v *fsm.View, o *fsm.Operation) error {
		s.world.mu.Lock()
		for id, on := range s.world.running {
			if len(on) > 0 {
				s.t.Errorf("%s is released while task %d runs", o.Name, id)
			}
		}
		s.world.mu.Unlock()
		r.mu.Lock()
		down := r.down
		r.tried = append(r.tried, n.i)
		r.mu.Unlock()
		if down {
			if sleep(ctx, 5*time.Second) != nil {
				r.mu.Lock()
				r.cut++
				r.mu.Unlock()
				return ctx.Err()
			}
			return errors.New("eu is down")
		}
		r.mu.Lock()
		r.done = append(r.done, n.i)
		r.mu.Unlock()
		return nil
	}
}

// operate runs the operations of node i until it is killed or the test ends.
func (s *sim) operate(r *releases, i int) (stop func()) {
	n := s.nodes[i]
	ops := NewOperations(n.Node, map[ActOf]Act{{fsm.OperationDeleteLink, fsm.StepReleasing}: r.act(s, n)}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- ops.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// operating starts three nodes with a link of ten tasks, all of them running,
// and gives what ends each node's operations.
func (s *sim) operating(r *releases, level uint32) map[int]func() {
	s.t.Helper()
	s.cfg.hooks.level = level
	s.trio()
	s.addTasks(9)
	s.until("all run", 10*time.Second, func() bool { return s.balanced(10, 1, 2, 3) })
	s.until("the level", 10*time.Second, func() bool { return s.leader().View().Feature == level })
	stops := map[int]func(){}
	for i := range s.nodes {
		stops[i] = s.operate(r, i)
	}
	return stops
}

func (s *sim) deleteLink() {
	s.t.Helper()
	s.propose(s.leader(), &fsm.Objects{DeleteLinks: []string{"l"}, At: time.Now().UnixMilli()})
}

// gone waits until nothing is left of the link on any node.
func (s *sim) gone(limit time.Duration) time.Duration {
	s.t.Helper()
	return s.until("the link is gone", limit, func() bool {
		for _, n := range s.nodes {
			if v := n.View(); len(v.Links) > 0 || v.TaskCount() > 0 {
				return false
			}
		}
		return true
	})
}

func TestDeletionOfALink(t *testing.T) {
	for _, level := range []uint32{1, 2} {
		t.Run(fmt.Sprintf("level %d", level), func(t *testing.T) {
			runSim(t, func(s *sim) {
				r := &releases{}
				for _, stop := range s.operating(r, level) {
					defer stop()
				}
				s.deleteLink()
				if took := s.gone(time.Minute); took > 5*time.Second {
					s.t.Errorf("took %v", took)
				}
				if _, done := r.get(); len(done) != 1 || done[0] != s.leader().i {
					s.t.Errorf("released by %v, the leader is %d", done, s.leader().i)
				}
				s.equal()
				o := s.leader().View().Operation(1)
				if level < 2 {
					if o != nil || len(s.leader().View().Operations) != 0 {
						s.t.Errorf("%+v below its level", o)
					}
					return
				}
				if o.State != fsm.OperationDone || o.Message != "link l is deleted; the target keeps its data" || o.Finished < o.Started {
					s.t.Errorf("%+v", o)
				}
			})
		})
	}
}

// TestDeletionWhoseTargetIsDown: it waits for the target for half a minute,
// over leaders where the facts hold the operation, and says what is left.
func TestDeletionWhoseTargetIsDown(t *testing.T) {
	for _, level := range []uint32{1, 2} {
		t.Run(fmt.Sprintf("level %d", level), func(t *testing.T) {
			runSim(t, func(s *sim) {
				r := &releases{down: true}
				stops := s.operating(r, level)
				defer func() {
					for _, stop := range stops {
						stop()
					}
				}()
				s.deleteLink()
				began := time.Now()
				s.until("it is tried", time.Minute, func() bool { tried, _ := r.get(); return len(tried) > 1 })
				first := s.leader()
				if o := first.View().Operation(1); level == 2 && (o.Step != fsm.StepReleasing || o.Message != "eu is down") {
					s.t.Errorf("%+v", o)
				}
				stops[first.i]()
				s.kill(first.i)
				s.gone(2 * time.Minute)
				took := time.Since(began)
				if limit := 30 * time.Second; took < limit || level == 2 && took > limit+10*time.Second {
					s.t.Errorf("took %v", took)
				}
				if tried, done := r.get(); len(done) != 0 || !slices.Contains(tried, first.i) || !slices.Contains(tried, s.leader().i) {
					s.t.Errorf("tried by %v, done by %v", tried, done)
				}
				if r.cut == 0 {
					s.t.Error("the killed leader went on with its act")
				}
				want := "link l is deleted, but its claim still stands at Kafka cluster eu (topic __sluice): eu is down"
				s.until("it is told", 10*time.Second, func() bool {
					return slices.ContainsFunc(s.leader().View().LinkEvents(0).All(), func(e *fsm.Event) bool {
						return e.Code == fsm.CodeUnreachable && e.Message == want && e.Part == -1 && e.Node == s.leader().cfg.Name
					})
				})
				if o := s.leader().View().Operation(1); level == 2 && (o.State != fsm.OperationDone || o.Message != want) {
					s.t.Errorf("%+v", o)
				}
			})
		})
	}
}

// TestDeletionAcrossTheRiseOfTheLevel: one that began without an operation
// ends as one.
func TestDeletionAcrossTheRiseOfTheLevel(t *testing.T) {
	runSim(t, func(s *sim) {
		r := &releases{down: true}
		for _, stop := range s.operating(r, 1) {
			defer stop()
		}
		s.deleteLink()
		s.until("it is tried", time.Minute, func() bool { tried, _ := r.get(); return len(tried) > 0 })
		s.propose(s.leader(), &fsm.FeatureRaise{Level: 2})
		r.mu.Lock()
		r.down = false
		r.mu.Unlock()
		s.gone(time.Minute)
		s.until("it is done", 10*time.Second, func() bool { o := s.leader().View().Operation(1); return o != nil && o.State == fsm.OperationDone })
		if o := s.leader().View().Operation(1); o.Started == 0 || o.Message != "link l is deleted; the target keeps its data" {
			s.t.Errorf("%+v", o)
		}
	})
}

// TestCommandAboveTheLevel: it is refused before it reaches the log, and the
// nodes that are too old are named.
func TestCommandAboveTheLevel(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.hooks.level = 1
		for i := range 3 {
			s.start(i+1, 1, 2, 3)
		}
		three := func() bool { return s.nodes[1].View().ClusterID != "" && len(s.nodes[1].View().Nodes) == 3 }
		s.until("three nodes", time.Minute, three)
		s.until("three voters", time.Minute, func() bool { return len(votersOf(s.nodes[2].consensus.servers())) == 3 })
		s.kill(1)
		s.cfg.hooks.level = 0
		s.start(1, 1, 2, 3)
		s.until("one of them is newer", time.Minute, func() bool { return three() && len(s.nodes[1].View().Behind(2)) == 2 })
		step := &fsm.OperationStep{Operation: 1, State: fsm.OperationRunning}
		before := s.nodes[1].View().Index
		_, err := s.nodes[1].Propose(s.t.Context(), step)
		if want := "a node is too old: feature level 2 is needed, and not known to n2, n3 yet"; !errors.Is(err, ErrLevel) || err.Error() != want {
			s.t.Errorf("%v, want %s", err, want)
		}
		_, err = s.nodes[1].Propose(s.t.Context(), &fsm.Objects{By: "n1"})
		if !errors.Is(err, ErrLevel) {
			s.t.Errorf("a field above the level: %v", err)
		}
		if r := s.propose(s.nodes[1], &fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us"}}}); r.Index <= before {
			s.t.Errorf("%+v after index %d", r, before)
		}
	})
}

func TestReadable(t *testing.T) {
	step := &fsm.OperationStep{}
	behind := &fsm.View{Feature: 1, Nodes: []fsm.Node{{Name: "n1", Feature: 2}}}
	if err := readable(behind, step); !errors.Is(err, ErrLevel) || err.Error() != "a node is too old: feature level 2 is needed, and the leader has not raised it from 1 yet" {
		t.Error(err)
	}
	if err := readable(behind, &fsm.Barrier{}); err != nil {
		t.Error(err)
	}
	if err := readable(&fsm.View{Feature: 2}, step); err != nil {
		t.Error(err)
	}
}

// TestTooOldToJoin: a node that could not read what the facts hold is told so,
// and is not taken in.
func TestTooOldToJoin(t *testing.T) {
	runSim(t, func(s *sim) {
		s.start(1, 1)
		s.until("the level", time.Minute, func() bool { return s.nodes[1].View().Feature == fsm.FeatureLevel })
		_, err := s.nodes[1].roster.handleJoin(s.t.Context(), joining{Node: fsm.Node{ID: "old", Name: "n2", Addr: "10.0.0.2:7400", Feature: 1}})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("node n2 knows feature level 1, the cluster is at %d already", fsm.FeatureLevel)) {
			s.t.Errorf("%v", err)
		}
		if len(s.nodes[1].consensus.servers()) != 1 {
			s.t.Errorf("taken in: %v", s.nodes[1].consensus.servers())
		}
	})
}
