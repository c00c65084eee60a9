package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/transport"
)

func TestNobodyFoundsWhileAPeerIsSilent(t *testing.T) {
	runSim(t, func(s *sim) {
		s.start(1, 1, 2, 3)
		s.start(2, 1, 2, 3)
		time.Sleep(5 * time.Minute)
		for i, n := range s.nodes {
			if n.tr.Self().ClusterID != "" {
				s.t.Errorf("node %d founded a cluster without node 3", i)
			}
		}
		if _, err := s.nodes[1].Propose(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrNoLeader) {
			s.t.Errorf("propose: %v", err)
		}
		s.start(3, 1, 2, 3)
		s.until("one cluster", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 3 })
		s.equal()
	})
}

// TestFoundingWithOneSidedLists: lists need not agree, as long as they connect
// the nodes; all begin at the same moment.
func TestFoundingWithOneSidedLists(t *testing.T) {
	runSim(t, func(s *sim) {
		s.start(1)    // asks nobody... and so founds
		s.start(2, 1) // finds it
		s.until("two nodes", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 2 })
	})
	runSim(t, func(s *sim) {
		s.net.Delay(ipOf(1), ipOf(2), 30*time.Millisecond)
		s.start(2, 3) // a chain: 2 -> 3 -> 1 -> 3
		s.start(1, 3)
		s.start(3, 1)
		s.until("one cluster of three", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 3 })
		s.equal()
	})
}

func TestFoundingDecision(t *testing.T) {
	f := newFounder(&local{self: transport.Identity{ServerID: "b"}}, nil, Identity{ServerID: "b"}, func(Identity) error { return nil })
	ask := func(id, address string) introduction {
		a, err := f.handleWhoami(t.Context(), introduction{ServerID: id, Address: address})
		if err != nil {
			t.Error(err)
		}
		return a
	}
	ask("a", "h0:1")
	if _, ok, _ := f.found([]string{"h2:1"}); ok {
		t.Error("founded although an asker was not considered")
	}
	save := f.save
	f.save = func(Identity) error { return errors.New("disk full") }
	if _, ok, _ := f.found([]string{"h0:1"}); ok {
		t.Error("founded without having saved it")
	}
	f.save = save
	id, ok, _ := f.found([]string{"h0:1", "h2:1"})
	if !ok || id.ClusterID == "" || !id.Bootstrap {
		t.Errorf("not founded: %+v", id)
	}
	if a := ask("c", "h3:1"); a.ClusterID != id.ClusterID {
		t.Errorf("answers %+v after founding", a)
	}
	others := []introduction{{Name: "n2", ServerID: "x"}, {Name: "n3", ServerID: "a"}}
	if !lowest(introduction{Name: "n1", ServerID: "z"}, others) || lowest(introduction{Name: "n2", ServerID: "y"}, others) {
		t.Error("the lowest name, then the lowest id, founds")
	}
}

func TestRestartFromDisk(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		id, index := s.leader().View().ClusterID, s.leader().View().Index
		for i := 1; i <= 3; i++ {
			s.kill(i)
		}
		for i := 1; i <= 3; i++ {
			s.start(i, 1, 2, 3)
		}
		took := s.until("all run again", 20*time.Second, func() bool { return s.world.settled(30) })
		s.t.Logf("a restarted cluster ran all tasks after %v", took)
		v := s.leader().View()
		if v.ClusterID != id || v.Index < index || v.TaskCount() != 30 {
			s.t.Errorf("restarted as %s at index %d with %d tasks", v.ClusterID, v.Index, v.TaskCount())
		}
		s.equal()
	})
}

// TestNothingRunsUnconfirmed: a node that starts alone with the facts of
// yesterday runs nothing.
func TestNothingRunsUnconfirmed(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		lost := s.follower().i
		if err := s.nodes[lost].consensus.raft.Load().Snapshot().Error(); err != nil {
			s.t.Fatal(err)
		}
		s.kill(lost)
		s.until("reassigned", 5*time.Second, func() bool { return s.world.settled(30) })
		s.isolate(lost)
		n := s.start(lost, 1, 2, 3)
		time.Sleep(time.Minute)
		if n.View().TaskCount() != 30 {
			s.t.Errorf("the test shows nothing: the snapshot holds %d tasks", n.View().TaskCount())
		}
		if n.reconciler.running.Load() != 0 {
			s.t.Errorf("runs %d tasks, and no leader has confirmed that they are its own", n.reconciler.running.Load())
		}
		s.rejoin(lost)
		s.until("takes part again", time.Minute, func() bool { return s.balanced(30, 1, 2, 3) })
	})
}

// TestReturnAfterLongOutage: Raft alone would make a returning node wait up to
// ten seconds for its first entries.
func TestReturnAfterLongOutage(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		lost := s.follower().i
		s.kill(lost)
		time.Sleep(10 * time.Minute)
		r := s.propose(s.leader(), &fsm.Barrier{})
		n := s.start(lost, 1, 2, 3)
		took := s.until("it is up to date", time.Minute, func() bool { return n.View().Index >= r.Index })
		if took > 3*time.Second {
			s.t.Errorf("took %v", took)
		}
	})
}

func TestWipedNodeComesBackAsAnother(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		wiped := s.follower()
		s.kill(wiped.i)
		s.bury()
		if err := os.RemoveAll(s.dataDir(wiped.i)); err != nil {
			s.t.Fatal(err)
		}
		n := s.start(wiped.i, 1, 2, 3)
		s.until("it is a member under a new id", time.Minute, func() bool {
			l := s.leader()
			return l != nil && l.consensus.isMember(n.self.ServerID) && l.View().Node(n.self.ServerID) != nil
		})
		if l := s.leader(); l.consensus.isMember(wiped.self.ServerID) || l.View().Node(wiped.self.ServerID) != nil || n.self.ServerID == wiped.self.ServerID {
			s.t.Error("its former self is still a member")
		}
		s.until("it takes part again", time.Minute, func() bool { return s.balanced(30, 1, 2, 3) && len(votersOf(s.leader().consensus.servers())) == 3 })
		s.equal()
	})
}

// TestNameIsTaken: another machine cannot take the name of a node that is
// alive; it ends and says who has it. That of a dead one it gets once somebody
// has taken that one out, and until then it says how.
func TestNameIsTaken(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		cfg := s.cfg
		cfg.Name, cfg.DataDir, cfg.Join = "n2", s.dataDir(4), []string{ipOf(1) + ":7400"}
		n := s.startWith(4, cfg)
		err := <-n.done
		if !errors.Is(err, ErrNameTaken) || !strings.Contains(err.Error(), "n2 is the node at 127.0.0.2:7400, which is alive; give this one another name in its node.yaml") {
			s.t.Errorf("a second n2 ends with %v", err)
		}
		delete(s.nodes, 4)
		if s.leader().consensus.isMember(n.self.ServerID) {
			s.t.Error("a second n2 was taken in")
		}
		s.kill(2)
		s.until("the holder is dead", time.Minute, func() bool {
			l := s.leader()
			return l != nil && l.liveness.life(memberNamed(l, "n2"), l.began) == LifeDead
		})
		n = s.startWith(4, cfg)
		s.until("it is told what to do", time.Minute, func() bool {
			why := n.Status().Obstacles
			return len(why) == 1 && strings.HasPrefix(why[0], "this node is not taken in: 127.0.0.1:7400 answers: the name n2 belongs to the node at 127.0.0.2:7400, which is dead") &&
				strings.Contains(why[0], "`sluice cluster remove n2`")
		})
		if err := s.leader().Remove(s.t.Context(), "n2", nil); err != nil {
			s.t.Fatal(err)
		}
		s.until("it is a member", time.Minute, func() bool {
			return s.leader() != nil && s.leader().consensus.isMember(n.self.ServerID) && len(n.Status().Obstacles) == 0
		})
	})
}

// TestRenamedToATakenName: a member that is given another's name works on under
// its own and says so.
func TestRenamedToATakenName(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.kill(3)
		cfg := s.cfg
		cfg.Name, cfg.DataDir, cfg.Join = "n2", s.dataDir(3), []string{ipOf(1) + ":7400"}
		n := s.startWith(3, cfg)
		s.until("it says so", time.Minute, func() bool {
			why := n.Status().Obstacles
			return len(why) == 1 && why[0] == "the name n2 in node.yaml is that of the node at 127.0.0.2:7400; this one stays n3: give it another name"
		})
		s.until("it takes part", time.Minute, func() bool { return n.Status().Quorum })
	})
}

func memberNamed(n *simNode, name string) string {
	for _, node := range n.View().Nodes {
		if node.Name == name {
			return node.ID
		}
	}
	return ""
}

// TestFoundersOfOneName found nothing and say why; with another name they do.
func TestFoundersOfOneName(t *testing.T) {
	runSim(t, func(s *sim) {
		s.start(1, 1, 2)
		cfg := s.cfg
		cfg.Name, cfg.DataDir, cfg.Join = "n1", s.dataDir(2), []string{ipOf(1) + ":7400"}
		s.startWith(2, cfg)
		time.Sleep(time.Minute)
		for i, other := range map[int]int{1: 2, 2: 1} {
			why := s.nodes[i].Status().Obstacles
			if len(why) != 1 || !strings.HasPrefix(why[0], fmt.Sprintf("no cluster is founded while 127.0.0.%d:7400 has the name n1 too", other)) || s.nodes[i].tr.Self().ClusterID != "" {
				s.t.Errorf("node %d: %q", i, why)
			}
		}
		s.kill(2)
		s.start(2, 1)
		s.until("two nodes", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 2 })
	})
}

func TestFourthNodeJoinsAndLeaves(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.MaxVoters = 3
		s.trio()
		s.addTasks(39)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(40, 1, 2, 3) })
		n := s.start(4, 1, 2, 3)
		s.until("the new node carries work, by releases", 25*time.Second, func() bool { return s.balanced(40, 1, 2, 3, 4) })
		if got := len(votersOf(s.leader().consensus.servers())); got != 3 {
			s.t.Errorf("%d voters, the limit is 3", got)
		}
		if s.world.drained() == 0 {
			s.t.Error("tasks changed hands without a drain")
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
		defer cancel()
		if err := leave(ctx, n); err != nil {
			s.t.Fatal(err)
		}
		if err := <-n.done; err != nil {
			s.t.Errorf("run: %v", err)
		}
		delete(s.nodes, 4)
		s.until("the others carry all", 5*time.Second, func() bool { return s.balanced(40, 1, 2, 3) })
		if l := s.leader(); l.consensus.isMember(n.self.ServerID) || l.View().Node(n.self.ServerID) != nil {
			s.t.Error("it is still a member")
		}
		if _, err := os.Stat(filepath.Join(s.dataDir(4), raftDir)); !errors.Is(err, os.ErrNotExist) {
			s.t.Errorf("its log is still there: %v", err)
		}
		again := s.start(4, 1, 2, 3)
		s.until("it joins as a new node", time.Minute, func() bool { return s.leader().consensus.isMember(again.self.ServerID) })
		if again.self.ServerID == n.self.ServerID {
			s.t.Error("it came back under its old id")
		}
	})
}

func TestLeaderLeaves(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.leader()
		done := make(chan error, 1)
		go func() { done <- leave(s.t.Context(), n) }()
		gap := s.watchGap(30, done)
		delete(s.nodes, n.i)
		if err := <-n.done; err != nil {
			s.t.Errorf("run: %v", err)
		}
		if gap > time.Second {
			s.t.Errorf("a task stood still for %v while its owner left", gap)
		}
		s.until("the others carry all", 5*time.Second, func() bool { return s.world.settled(30) })
		s.propose(s.nodes[s.follower().i], &fsm.Barrier{})
		s.equal()
	})
}

// watchGap waits for done and returns the longest time that a task did not run
// anywhere.
func (s *sim) watchGap(tasks int, done <-chan error) time.Duration {
	s.t.Helper()
	last, worst := map[fsm.TaskID]time.Time{}, time.Duration(0)
	for {
		now := time.Now()
		s.world.mu.Lock()
		for id := fsm.TaskID(1); id <= fsm.TaskID(tasks); id++ {
			if len(s.world.running[id]) > 0 || last[id].IsZero() {
				last[id] = now
			}
			worst = max(worst, now.Sub(last[id]))
		}
		s.world.mu.Unlock()
		select {
		case err := <-done:
			if err != nil {
				s.t.Fatal(err)
			}
			return worst
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestTheLastNodeStays(t *testing.T) {
	runSim(t, func(s *sim) {
		n := s.start(1)
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		if err := leave(s.t.Context(), n); !errors.Is(err, ErrLastNode) {
			s.t.Errorf("leave: %v", err)
		}
		s.addTasks(3)
		s.until("it works alone", 5*time.Second, func() bool { return s.world.settled(4) })
	})
}

// TestNobodyLeavesBeforeItIsIn: a node that has just begun does not know yet
// whether others are there.
func TestNobodyLeavesBeforeItIsIn(t *testing.T) {
	runSim(t, func(s *sim) {
		n := s.start(1, 1, 2)
		if err := leave(s.t.Context(), n); !errors.Is(err, ErrNoLeader) {
			s.t.Errorf("leaving at once: %v", err)
		}
	})
}

func TestRemoveADeadNode(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		lost := s.follower()
		err := s.leader().Remove(s.t.Context(), lost.cfg.Name, nil)
		if err == nil || !strings.Contains(err.Error(), "cluster leave") {
			s.t.Errorf("removing a living node: %v", err)
		}
		s.kill(lost.i)
		s.until("removed, asked of a follower", 20*time.Second, func() bool {
			return s.follower().Remove(s.t.Context(), lost.cfg.Name, nil) == nil
		})
		if s.leader().consensus.isMember(lost.self.ServerID) {
			s.t.Error("it is still a member")
		}
		if err := s.leader().Remove(s.t.Context(), lost.cfg.Name, nil); err == nil {
			s.t.Error("removed twice")
		}
		n := s.start(lost.i, 1, 2, 3)
		if err := <-n.done; !errors.Is(err, ErrRemoved) {
			s.t.Errorf("a removed node that comes back ends with %v", err)
		}
		delete(s.nodes, lost.i)
	})
}
