package cluster

import (
	"fmt"
	"testing"
	"time"

	"sluice/fsm"
)

// owned returns a copy task of a node.
func (s *sim) owned(n *simNode) *fsm.Task {
	s.t.Helper()
	for task := range n.View().Tasks {
		if task.Owner == n.self.ServerID && task.Kind == fsm.KindCopy {
			return task
		}
	}
	s.t.Fatalf("node %d owns nothing", n.i)
	return nil
}

// mapped gives a task a mapping, so that progress counts.
func (s *sim) mapped(n *simNode, task *fsm.Task) {
	s.t.Helper()
	s.propose(n, &fsm.MappingPut{Task: task.ID, Turn: task.Turn, Mapping: fsm.Mapping{
		Version: 1, Generation: 1, Phase: fsm.PhaseTranslated, Segments: []fsm.Segment{{}},
	}})
}

func item(task *fsm.Task, records int64, segments ...fsm.Segment) fsm.ProgressItem {
	return fsm.ProgressItem{
		Task: task.ID, Turn: task.Turn, Version: 1, Segments: segments,
		Progress: fsm.Progress{Source: records, Target: records, Records: records},
	}
}

func TestPaceOfProgress(t *testing.T) {
	for _, c := range []struct {
		perSecond    int64
		commits, max uint64
	}{{100, 5, 8}, {100_000, 25, 32}} {
		t.Run(fmt.Sprint(c.perSecond), func(t *testing.T) {
			runSim(t, func(s *sim) {
				s.start(1)
				s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
				s.addTasks(1)
				s.until("assigned", 5*time.Second, func() bool { return s.world.settled(2) })
				n := s.nodes[1]
				task := s.owned(n)
				s.mapped(n, task)
				before := n.View().Index
				for tenth := range int64(300) {
					n.Progress(item(task, tenth*c.perSecond/10))
					time.Sleep(100 * time.Millisecond)
				}
				canaries := uint64(6)
				if got := n.View().Index - before - canaries; got < c.commits-1 || got > c.max {
					s.t.Errorf("%d commits in 30 seconds", got)
				}
				s.until("the last one is in", 6*time.Second, func() bool { return n.View().Task(task.ID).Copy.Progress.Records == 299*c.perSecond/10 })
			})
		})
	}
}

// TestProgressWaitsForAQuorum: nothing is lost meanwhile, segments neither.
func TestProgressWaitsForAQuorum(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		task := s.owned(n)
		s.mapped(n, task)
		s.net.CutBoth(ipOf(1), ipOf(2))
		s.net.CutBoth(ipOf(1), ipOf(3))
		s.net.CutBoth(ipOf(2), ipOf(3))
		var want []fsm.Segment
		for i := range int64(30) {
			seg := fsm.Segment{Source: 10 * (i + 1), Target: 9 * (i + 1)}
			want = append(want, seg)
			n.Progress(item(task, 10*(i+1), seg))
			n.Record(fsm.Event{Code: fsm.CodeNewSegment, Link: 1, Part: int32(i), Message: "x", From: -1, To: -1})
			time.Sleep(time.Second)
		}
		for i := 1; i <= 3; i++ {
			s.rejoin(i)
		}
		s.until("all of it is there", time.Minute, func() bool {
			got := n.View().Task(task.ID)
			return got.Copy.Progress.Source == 300 && len(got.Copy.Mapping.Segments) == 1+len(want)
		})
		s.until("and the events", time.Minute, func() bool {
			ring := n.View().LinkEvents(1)
			count := 0
			for _, e := range ring.All() {
				if e.Code == fsm.CodeNewSegment {
					count++
				}
			}
			return count == 30
		})
		s.equal()
	})
}

// TestLastEventsAreTold: what a node records until its tasks have stopped is
// committed before it ends.
func TestLastEventsAreTold(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(3)
		s.until("assigned", 5*time.Second, func() bool { return s.world.settled(4) })
		n := s.follower()
		const count = 2*eventBatch + 1
		for i := range count {
			n.Record(fsm.Event{Code: fsm.CodeTakeover, Link: 1, From: -1, To: -1, Message: fmt.Sprint(i)})
		}
		n.stop()
		if err := <-n.done; err != nil {
			s.t.Error(err)
		}
		delete(s.nodes, n.i)
		told := 0
		for _, e := range s.leader().View().LinkEvents(1).All() {
			if e.Code == fsm.CodeTakeover {
				told += int(e.Count)
			}
		}
		if told != count {
			s.t.Errorf("%d of %d events are told", told, count)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	runSim(t, func(s *sim) {
		n := s.start(1, 2) // its peer is silent: no leader
		for range eventBuffer + 5 {
			n.Record(fsm.Event{Code: fsm.CodeTakeover})
		}
		if waiting, dropped := n.events.state(); waiting != eventBuffer || dropped != 5 {
			s.t.Errorf("%d wait, %d dropped", waiting, dropped)
		}
	})
}
