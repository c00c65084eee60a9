package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/cluster"
	"sluice/fsm"
	"sluice/replication/link"
)

func (s *sim) dataDir(i int) string { return filepath.Join(s.dir, fmt.Sprint(i)) }

// lose ends all nodes, and all data dirs but that of one are lost for good; 0: all.
func (s *sim) lose(but int) {
	s.t.Helper()
	for i := range s.nodes {
		s.kill(i)
	}
	s.bury()
	for i := 1; i <= trio; i++ {
		if i == but {
			continue
		}
		if err := os.RemoveAll(s.dataDir(i)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// adopt takes the link over as `sluice link adopt` does, and looks that nothing
// was written before.
func (s *sim) adopt(from string) {
	s.t.Helper()
	moved := s.load.moves()
	s.watch(10 * time.Second)
	if moved() {
		s.t.Error("a link that nobody has adopted copies")
	}
	var claim link.Claimed
	s.until("the claim is known", time.Minute, func() bool {
		n, v := s.nodes[s.any()], s.view()
		var err error
		claim, err = link.ClaimOn(s.t.Context(), n.catalog, v, v.LinkNamed("us-eu"))
		return err == nil
	})
	if claim.Sluice != from {
		s.t.Fatalf("the link is claimed by %s, not %s", claim.Sluice, from)
	}
	s.propose(&fsm.LinkAdopt{Link: s.view().LinkNamed("us-eu").ID, From: from, ProducerID: claim.ProducerID, At: 1})
}

// finishAdopted is finish where each stream has raised its epoch.
func (s *sim) finishAdopted() {
	s.t.Helper()
	s.until("every partition moves", 2*time.Minute, s.load.moves())
	s.load.close()
	s.until("nothing is behind", time.Minute, func() bool { return s.load.behind() == 0 })
	s.audit.equal()
	for t := range s.view().Tasks {
		if t.Copy != nil && (t.Copy.Stop != nil || t.Copy.Unsure) {
			s.t.Errorf("%s/%d: stop %+v, unsure %v", t.Copy.Stream.Topic, t.Copy.Stream.Partition, t.Copy.Stop, t.Copy.Unsure)
		}
	}
	s.load.compare()
}

// TestSimLostQuorum: two of three nodes are lost for good while all copy. The
// third, which copied on, is recovered, two new ones join, and after the link is
// adopted each record is there once.
func TestSimLostQuorum(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		s.watch(5 * time.Second)
		survivor, lost := s.any(), s.view().ClusterID
		for i := 1; i <= trio; i++ {
			if i != survivor {
				s.kill(i)
			}
		}
		s.watch(20 * time.Second)
		s.lose(survivor)
		s.recoverNode(survivor)
		s.startOthers(survivor)
		s.adopt(lost)
		s.finishAdopted()
	})
}

// recoverNode makes a node that was killed a cluster of its own, and starts it.
func (s *sim) recoverNode(i int) {
	s.t.Helper()
	h, err := cluster.Read(s.dataDir(i))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := cluster.Recover(h, ipOf(i)+":7400", time.Now()); err != nil {
		s.t.Fatal(err)
	}
	s.start(i)
	s.until("it leads alone", time.Minute, func() bool { return s.leader() == i && len(s.view().Nodes) == 1 })
}

// TestSimLostClusterWakes: the nodes that were given up for lost come back with
// their data dirs, a majority of the cluster that was, while the recovered one
// copies. They write nothing that is there twice, and let the link stand.
func TestSimLostClusterWakes(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		s.watch(5 * time.Second)
		survivor, lost := s.any(), s.view().ClusterID
		for i := range s.nodes {
			s.kill(i)
		}
		s.bury()
		s.recoverNode(survivor)
		s.adopt(lost)
		s.until("every partition moves", 2*time.Minute, s.load.moves())
		next := s.view().ClusterID
		for i := 1; i <= trio; i++ {
			if i != survivor {
				s.start(i)
			}
		}
		for i, n := range s.nodes {
			if i != survivor {
				s.until("a lost node lets the link stand", 2*time.Minute, func() bool {
					l := n.cluster.View().LinkNamed("us-eu")
					return l != nil && l.Held == next
				})
			}
		}
		s.watch(20 * time.Second)
		s.until("every partition moves", 2*time.Minute, s.load.moves())
		for i := range s.nodes {
			if i != survivor {
				s.kill(i)
			}
		}
		s.finishAdopted()
	})
}

// startOthers starts all nodes but one, and waits until they are members.
func (s *sim) startOthers(but int) {
	s.t.Helper()
	for i := 1; i <= trio; i++ {
		if i != but {
			s.start(i)
		}
	}
	s.until("all are members", 2*time.Minute, func() bool { return s.leader() != 0 && len(s.view().Nodes) == trio })
}

// TestSimRestoredFromOldFacts: all nodes are lost, and what was saved is old:
// since then the lost cluster copied on, and added a topic.
func TestSimRestoredFromOldFacts(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		var file bytes.Buffer
		if err := fsm.WriteBackup(&file, fsm.BackupHead{}, s.view()); err != nil {
			s.t.Fatal(err)
		}
		s.watch(5 * time.Second)
		lost := s.view().ClusterID
		s.load.add("late", 2)
		s.until("the topic is copied", time.Minute, s.load.moves())
		s.watch(5 * time.Second)
		s.lose(0)
		_, state, err := fsm.ReadBackup(&file)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := cluster.Restore(s.dataDir(1), ipOf(1)+":7400", state, time.Now()); err != nil {
			s.t.Fatal(err)
		}
		s.start(1)
		s.until("it leads alone", time.Minute, func() bool { return s.leader() == 1 })
		s.startOthers(1)
		s.adopt(lost)
		s.finishAdopted()
	})
}

// TestSimNewClusterTakesOver: all nodes and all facts are lost. A new cluster with
// the same manifest, whose link is paused, adopts it and goes on.
func TestSimNewClusterTakesOver(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		s.watch(5 * time.Second)
		lost := s.view().ClusterID
		s.lose(0)
		s.startOthers(0)
		put := linkOf("us-eu", "{topic}")
		put.Spec.State = fsm.StatePaused
		s.propose(&fsm.Objects{
			Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{usHost + ":9001"}}, {Name: "eu", Bootstrap: []string{euHost + ":9001"}}},
			Links: []fsm.LinkPut{put},
		})
		s.adopt(lost)
		s.propose(&fsm.LinkState{Link: s.view().LinkNamed("us-eu").ID, State: fsm.StateRunning, At: 2})
		s.finishAdopted()
	})
}
