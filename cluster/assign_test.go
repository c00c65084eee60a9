package cluster

import (
	"testing"
	"time"

	"sluice/fsm"
)

// balanced reports that every task runs on one node, and none of the nodes
// listed is without.
func (s *sim) balanced(tasks int, nodes ...int) bool {
	by, elsewhere := s.world.on(tasks)
	if elsewhere != 0 {
		return false
	}
	sum := 0
	for _, i := range nodes {
		if by[i] == 0 {
			return false
		}
		sum += by[i]
	}
	return sum == tasks
}

func TestTasksAreAssignedAndSurviveTheirOwner(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		const tasks = 30 // and the link's sync task
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(tasks, 1, 2, 3) })
		victim := s.follower().i
		s.kill(victim)
		took := s.until("reassigned", 5*time.Second, func() bool { return s.world.settled(tasks) })
		if took > time.Second {
			s.t.Errorf("a closed connection and a refused dial were not enough: %v", took)
		}
		s.until("the death is an event", 5*time.Second, func() bool { return hasEvent(s.leader().View(), fsm.CodeNodeDead) })
		s.start(victim, 1, 2, 3)
		s.until("it takes part again", time.Minute, func() bool { return s.balanced(tasks, 1, 2, 3) })
		s.equal()
	})
}

func hasEvent(v *fsm.View, code fsm.Code) bool {
	for _, ring := range v.Events {
		for _, e := range ring.All() {
			if e.Code == code {
				return true
			}
		}
	}
	return false
}

func TestLeadersDeath(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		const tasks = 30
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(tasks, 1, 2, 3) })
		s.kill(s.leader().i)
		if took := s.until("reassigned", 10*time.Second, func() bool { return s.world.settled(tasks) }); took > 5*time.Second {
			s.t.Errorf("took %v", took)
		}
		s.until("the death is an event", 5*time.Second, func() bool { return hasEvent(s.leader().View(), fsm.CodeNodeDead) })
		s.equal()
	})
}

// TestCutOffNode: silence is death after T. The node goes on with what it
// runs, and stops when it learns that others own it.
func TestCutOffNode(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		const tasks = 30
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(tasks, 1, 2, 3) })
		lost := s.follower()
		before, _ := s.world.on(tasks)
		s.isolate(lost.i)
		start := time.Now()
		s.until("others own all", 10*time.Second, func() bool {
			l := s.leader()
			if l == nil {
				return false
			}
			for task := range l.View().Tasks {
				if task.Owner == lost.self.ServerID {
					return false
				}
			}
			return true
		})
		if took := time.Since(start); took < 2*time.Second || took > 5*time.Second {
			s.t.Errorf("silence became death after %v", took)
		}
		if age, ok := lost.ownership.leaderAge(); !ok || age < 2*time.Second {
			s.t.Errorf("the cut-off node's lease is %v old, %v", age, ok)
		}
		time.Sleep(30 * time.Second)
		if by, _ := s.world.on(tasks); by[lost.i] != 0 || lost.reconciler.running.Load() != int64(before[lost.i]) {
			s.t.Errorf("the cut-off node runs %d tasks, before %v", lost.reconciler.running.Load(), before)
		}
		s.rejoin(lost.i)
		s.until("it lets go and takes part again", time.Minute, func() bool { return s.balanced(tasks, 1, 2, 3) })
		s.equal()
	})
}

// TestOneWayCuts: a node that is heard but does not hear, and one that hears
// but is not heard, lose their tasks once and get tasks back after healing.
func TestOneWayCuts(t *testing.T) {
	for _, deaf := range []bool{true, false} {
		runSim(t, func(s *sim) {
			s.trio()
			s.addTasks(29)
			const tasks = 30
			s.until("assigned", 5*time.Second, func() bool { return s.balanced(tasks, 1, 2, 3) })
			lost := s.follower()
			for i := 1; i <= 3; i++ {
				if i == lost.i {
					continue
				}
				if deaf {
					s.net.Cut(ipOf(i), lost.ip)
				} else {
					s.net.Cut(lost.ip, ipOf(i))
				}
			}
			time.Sleep(20 * time.Second)
			l := s.leader()
			if l == nil {
				s.t.Fatal("the cut cost the others their leader")
			}
			turns := map[fsm.TaskID]uint64{}
			for task := range l.View().Tasks {
				turns[task.ID] = task.Turn
				if task.Owner == lost.self.ServerID {
					s.t.Errorf("deaf %v: task %d still belongs to the node", deaf, task.ID)
				}
			}
			time.Sleep(time.Minute)
			for task := range l.View().Tasks {
				if task.Turn != turns[task.ID] {
					s.t.Errorf("deaf %v: task %d changed hands again", deaf, task.ID)
				}
			}
			for i := 1; i <= 3; i++ {
				s.net.HealBoth(lost.ip, ipOf(i))
			}
			s.until("it takes part again", time.Minute, func() bool { return s.balanced(tasks, 1, 2, 3) })
			s.equal()
		})
	}
}

func TestPauseIsConfirmedByTheOwner(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		r := s.propose(s.follower(), &fsm.LinkState{Link: 1, State: fsm.StatePaused, At: 1})
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			by, _ := s.world.on(30)
			for i, n := range s.nodes {
				if n.reconciler.reconciled.Load() >= r.Index && by[i] > 0 {
					s.t.Fatalf("node %d says that it has stopped everything and runs %d tasks", i, by[i])
				}
			}
		}
		s.until("every node has carried it out", 5*time.Second, func() bool {
			for _, n := range s.nodes {
				for _, m := range n.Members() {
					if m.Reconciled < r.Index {
						return false
					}
				}
			}
			return true
		})
		if by, _ := s.world.on(30); len(by) != 0 {
			s.t.Errorf("paused, and still running: %v", by)
		}
		if got := s.world.drained(); got != 30 {
			s.t.Errorf("%d tasks were drained", got)
		}
		s.propose(s.leader(), &fsm.LinkState{Link: 1, State: fsm.StateRunning, At: 2})
		s.until("running", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
	})
}
