package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/fsm"
)

// recovered makes node i, which was killed, the only one of a new cluster.
func (s *sim) recovered(i int) (clusterID string) {
	s.t.Helper()
	s.bury()
	h, err := Read(s.dataDir(i))
	if err != nil {
		s.t.Fatal(err)
	}
	id, kept, err := Recover(h, ipOf(i)+":7400", time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(kept, logFile)); err != nil {
		s.t.Errorf("what the node held is not kept: %v", err)
	}
	return id
}

// loseTwo ends a trio with tasks, of which one node is left, and returns which,
// and its facts.
func (s *sim) loseTwo() (survivor int, before *fsm.View) {
	s.t.Helper()
	s.trio()
	s.addTasks(300)
	n := s.follower()
	s.propose(n, &fsm.LinkState{Link: 1, State: fsm.StateRunning, At: 1}) // the node that was asked holds what it acknowledged
	survivor, before = n.i, n.View()
	for i := 1; i <= 3; i++ {
		s.kill(i)
	}
	return survivor, before
}

// TestRecoverOneOfThree: two of three nodes are lost for good. The third goes on
// alone with all that it had acknowledged, holds its links until they are
// adopted, and takes in two new nodes under the names of the lost ones.
func TestRecoverOneOfThree(t *testing.T) {
	runSim(t, func(s *sim) {
		survivor, before := s.loseTwo()
		id := s.recovered(survivor)
		n := s.start(survivor, 1, 2, 3)
		s.until("it leads alone", time.Minute, func() bool { return s.leader() == n && len(n.View().Nodes) == 1 })
		v := n.View()
		if v.ClusterID != id || id == before.ClusterID || v.TaskCount() != before.TaskCount() || len(v.Links) != 1 || v.Index < before.Index {
			s.t.Errorf("cluster %s of before %s, %d tasks of %d, %d links, index %d after %d", v.ClusterID, before.ClusterID, v.TaskCount(), before.TaskCount(), len(v.Links), v.Index, before.Index)
		}
		if l := v.Links[0]; l.Held != before.ClusterID {
			s.t.Errorf("the link is held by %q", l.Held)
		}
		for i := 1; i <= 3; i++ {
			if i != survivor {
				if err := os.RemoveAll(s.dataDir(i)); err != nil {
					s.t.Fatal(err)
				}
				s.start(i, 1, 2, 3)
			}
		}
		s.until("three vote", 3*time.Minute, func() bool {
			l := s.leader()
			return l != nil && len(votersOf(l.consensus.servers())) == 3 && len(l.View().Nodes) == 3
		})
		if by, _ := s.world.on(0); len(by) != 0 {
			s.t.Errorf("tasks of a link that nobody has adopted run: %v", by)
		}
		s.propose(s.leader(), &fsm.LinkAdopt{Link: 1, From: before.ClusterID, ProducerID: -1, At: 2})
		s.until("its tasks run", 2*time.Minute, func() bool { return s.world.settled(before.TaskCount()) })
		s.equal()
	})
}

// TestLostClusterDoesNotFight: the two that were given up come back with their
// data dirs, and are a majority of the cluster that was. They go on as that one:
// neither cluster takes in a node of the other, or hears it.
func TestLostClusterDoesNotFight(t *testing.T) {
	runSim(t, func(s *sim) {
		survivor, before := s.loseTwo()
		id := s.recovered(survivor)
		for i := 1; i <= 3; i++ {
			s.start(i, 1, 2, 3)
		}
		n := s.nodes[survivor]
		lost := func() *simNode {
			for i, x := range s.nodes {
				if i != survivor && x.consensus.leading.Load() != nil {
					return x
				}
			}
			return nil
		}
		s.until("both lead", 2*time.Minute, func() bool { return n.consensus.leading.Load() != nil && lost() != nil })
		l := lost()
		s.propose(n, &fsm.Barrier{})
		s.propose(l, &fsm.Barrier{})
		time.Sleep(2 * time.Minute)
		if v := n.View(); v.ClusterID != id || len(v.Nodes) != 1 {
			s.t.Errorf("the new cluster is %s with %d nodes", v.ClusterID, len(v.Nodes))
		}
		if v := l.View(); v.ClusterID != before.ClusterID {
			s.t.Errorf("the lost cluster is %s", v.ClusterID)
		}
		if got := l.liveness.life(n.self.ServerID, l.consensus.leading.Load().since); got != LifeDead {
			s.t.Errorf("to the lost cluster the recovered node is %s", got)
		}
	})
}

// TestLaterStoreIsTold: of two survivors the one that holds more is told, by the
// last entry's term before its index.
func TestLaterStoreIsTold(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		behind := s.follower().i
		s.kill(behind)
		s.addTasks(10)
		s.propose(s.leader(), &fsm.LinkState{Link: 1, State: fsm.StatePaused, At: 1})
		ahead := s.leader().i
		for i := range s.nodes {
			s.kill(i)
		}
		s.bury()
		a, err := Read(s.dataDir(ahead))
		if err != nil {
			s.t.Fatal(err)
		}
		b, err := Read(s.dataDir(behind))
		if err != nil {
			s.t.Fatal(err)
		}
		if !a.Later(b) || b.Later(a) || a.Later(a) {
			s.t.Errorf("ahead: term %d index %d; behind: term %d index %d", a.Term, a.Index, b.Term, b.Index)
		}
		if len(a.Members) != 3 || a.NameOf(a.ServerID) == a.ServerID || len(a.Facts.View().Links) != 1 || len(b.Facts.View().Links) != 0 {
			s.t.Errorf("members %v, name %s, links %d and %d", a.Members, a.NameOf(a.ServerID), len(a.Facts.View().Links), len(b.Facts.View().Links))
		}
		if !(&Held{Term: 3, Index: 1}).Later(&Held{Term: 2, Index: 9}) {
			s.t.Error("a longer log of an older term counts as later")
		}
	})
}

// TestRecoverTakesWhatNobodyCanTell: an entry of which the survivor cannot say
// whether it was committed may have been acknowledged, so it is taken.
func TestRecoverTakesWhatNobodyCanTell(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(1)
		n := s.leader()
		s.isolate(n.i)
		data, err := fsm.Encode(&fsm.LinkState{Link: 1, State: fsm.StatePaused, At: 1})
		if err != nil {
			s.t.Fatal(err)
		}
		r := n.consensus.raft.Load()
		r.Apply(data, time.Second)
		s.until("it is in the log of one", time.Minute, func() bool { last, _ := r.logs.LastIndex(); return last > r.CommitIndex() })
		for i := range s.nodes {
			s.kill(i)
		}
		s.recovered(n.i)
		again := s.start(n.i)
		s.until("it leads alone", time.Minute, func() bool { return s.leader() == again && len(again.View().Nodes) == 1 })
		if state := again.View().Links[0].Spec.State; state != fsm.StatePaused {
			s.t.Errorf("the link is %s", state)
		}
	})
}

// TestRecoverIsDoneAgain: cut short after any of its steps, it is done again, and
// nothing is lost.
func TestRecoverIsDoneAgain(t *testing.T) {
	runSim(t, func(s *sim) {
		survivor, before := s.loseTwo()
		s.recovered(survivor)
		dir := filepath.Join(s.dataDir(survivor), raftDir)
		if err := os.Rename(dir, dir+nextStore); err != nil { // as between the last two renames
			s.t.Fatal(err)
		}
		time.Sleep(time.Second)
		id := s.recovered(survivor)
		n := s.start(survivor)
		s.until("it leads alone", time.Minute, func() bool { return s.leader() == n && len(n.View().Nodes) == 1 })
		if v := n.View(); v.ClusterID != id || v.TaskCount() != before.TaskCount() || v.Links[0].Held != before.ClusterID {
			s.t.Errorf("cluster %s, %d tasks, held by %s", v.ClusterID, v.TaskCount(), v.Links[0].Held)
		}
	})
}

// TestRestoreSavedFacts: a cluster of one node begins with facts that were saved,
// in an empty data dir and in no other.
func TestRestoreSavedFacts(t *testing.T) {
	runSim(t, func(s *sim) {
		_, before := s.loseTwo()
		s.bury()
		var file bytes.Buffer
		if err := fsm.WriteBackup(&file, fsm.BackupHead{Node: "n1"}, before); err != nil {
			s.t.Fatal(err)
		}
		_, state, err := fsm.ReadBackup(&file)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := Restore(s.dataDir(1), ipOf(1)+":7400", state, time.Now()); !errors.Is(err, ErrInUse) {
			s.t.Errorf("into the data dir of a node: %v", err)
		}
		id, err := Restore(s.dataDir(4), ipOf(4)+":7400", state, time.Now())
		if err != nil {
			s.t.Fatal(err)
		}
		n := s.start(4)
		s.until("it leads alone", time.Minute, func() bool { return s.leader() == n && len(n.View().Nodes) == 1 })
		if v := n.View(); v.ClusterID != id || v.TaskCount() != before.TaskCount() || v.Links[0].Held != before.ClusterID {
			s.t.Errorf("cluster %s, %d tasks, held by %s", v.ClusterID, v.TaskCount(), v.Links[0].Held)
		}
		s.start(5, 4)
		s.until("another joins", time.Minute, func() bool { return len(n.View().Nodes) == 2 })
		s.equal()
	})
}
