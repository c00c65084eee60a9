package cluster

import (
	"testing"
	"time"

	"sluice/fsm"
	"sluice/test/scrape"
)

func TestStatusFromEveryNode(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		time.Sleep(2 * time.Second)
		leader := s.leader()
		for i, n := range s.nodes {
			st := n.Status()
			if st.Leader != leader.self.ServerID || !st.Quorum || !st.Confirmed || len(st.Members) != 3 || st.Self != n.self.ServerID {
				s.t.Errorf("node %d: %+v", i, st)
			}
			running := 0
			for _, m := range st.Members {
				running += len(m.Tasks)
				if !m.Voter || m.Life != LifeAlive || time.Since(m.At) > 2*time.Second || m.Index == 0 || m.Disk == nil || m.Disk.Why != "" {
					s.t.Errorf("node %d about %s: %+v", i, m.Name, m)
				}
			}
			if running != 30 {
				s.t.Errorf("node %d: %d run", i, running)
			}
			for _, r := range st.Members {
				for task, m := range r.Tasks {
					if m.State != fsm.CodeCopying || m.Lag.Records != 3 || m.Lag.Millis != -1 || m.Rate != 1000 {
						s.t.Errorf("node %d about task %d of %s: %+v", i, task, r.Name, m)
					}
				}
			}
		}
		lost := s.follower()
		s.isolate(lost.i)
		s.until("it knows that it has no quorum", 10*time.Second, func() bool { return !lost.Status().Quorum })
		if st := lost.Status(); !st.Confirmed || len(st.Members) != 3 {
			s.t.Errorf("without a leader: %+v", st)
		}
		s.until("it hears nobody but itself, deaf as it is", 10*time.Second, func() bool {
			for _, m := range lost.Members() {
				if m.Heard != (m.ServerID == lost.self.ServerID) || m.Life == LifeAlive {
					return false
				}
			}
			return true
		})
		if lost.Quorum() {
			s.t.Error("it has a quorum")
		}
		s.rejoin(lost.i)
	})
}

func TestCollector(t *testing.T) {
	runSim(t, func(s *sim) {
		n := s.start(1)
		got := scrape.Of(s.t, n.Collector())
		got.Absent(s.t, "sluice_cluster_leader_confirmed_age_seconds")
		got.Want(s.t, scrape.Samples{"sluice_cluster_quorum": 0, "sluice_cluster_is_leader": 0})
		s.until("a leader", 20*time.Second, func() bool {
			members := n.Members()
			return n.Quorum() && len(members) == 1 && members[0].Life == LifeAlive
		})
		got = scrape.Of(s.t, n.Collector())
		got.Want(s.t, scrape.Samples{
			"sluice_cluster_quorum": 1, "sluice_cluster_is_leader": 1, `sluice_cluster_members{life="alive"}`: 1, `sluice_cluster_members{life="dead"}`: 0,
			"sluice_cluster_index": float64(n.View().Index), "sluice_cluster_events_dropped_total": 0,
		})
		if age, ok := got["sluice_cluster_leader_confirmed_age_seconds"]; !ok || age < 0 || age > 5 {
			s.t.Errorf("the facts are %v s old (known: %v)", age, ok)
		}
	})
}

// TestTakeoversAreCounted: what a node gets from another one counts there, once.
func TestTakeoversAreCounted(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(12)
		s.until("assigned", 20*time.Second, func() bool { return s.balanced(13, 1, 2, 3) })
		count := func() (sum float64) {
			for _, n := range s.nodes {
				sum += scrape.Of(s.t, n.Collector())[`sluice_link_takeovers_total{link="l"}`]
			}
			return sum
		}
		lost, before, streams := s.follower(), count(), 0.0
		for t := range lost.View().Tasks {
			if t.Kind == fsm.KindCopy && t.Owner == lost.self.ServerID {
				streams++
			}
		}
		before -= scrape.Of(s.t, lost.Collector())[`sluice_link_takeovers_total{link="l"}`]
		s.kill(lost.i)
		s.until("taken over", 20*time.Second, func() bool { return s.world.settled(13) })
		if got := count() - before; got != streams || streams == 0 {
			s.t.Errorf("%v takeovers are counted, the node that died had %v streams", got, streams)
		}
	})
}

// TestWhatANodeBeganWithIsNoTakeover: nor is a stream that nobody had before,
// nor one that it knows already.
func TestWhatANodeBeganWithIsNoTakeover(t *testing.T) {
	state := fsm.NewState()
	index := uint64(0)
	do := func(c fsm.Command) {
		t.Helper()
		b, err := fsm.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		index++
		if r, err := state.Apply(index, b); err != nil || r.Refused != "" {
			t.Fatalf("%T: %+v %v", c, r, err)
		}
	}
	give := func(id fsm.TaskID, to string) {
		do(&fsm.Assign{Items: []fsm.Assignment{{Task: id, Turn: state.View().Task(id).Turn, To: to}}})
	}
	do(&fsm.NodePut{Node: fsm.Node{ID: "a", Name: "a"}})
	do(&fsm.NodePut{Node: fsm.Node{ID: "b", Name: "b"}})
	do(&fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us"}, {Name: "eu"}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu", State: fsm.StateRunning}}},
	})
	do(&fsm.StreamsAdd{Link: 1, Streams: []fsm.StreamKey{{Topic: "t", TargetTopic: "t"}, {Topic: "t", Partition: 1, TargetTopic: "t"}, {Topic: "t", Partition: 2, TargetTopic: "t"}}})
	var streams []fsm.TaskID
	for x := range state.View().Tasks {
		if x.Kind == fsm.KindCopy {
			streams = append(streams, x.ID)
		}
	}
	for _, id := range streams[:2] {
		give(id, "b")
		give(id, "a")
	}
	k := takeovers{count: map[fsm.LinkID]int64{}}
	look := func(want int64) {
		t.Helper()
		k.look(state.View(), "a")
		k.look(state.View(), "a")
		if k.count[1] != want {
			t.Errorf("%d takeovers, want %d", k.count[1], want)
		}
	}
	look(0) // it had them when it started
	give(streams[2], "a")
	look(0) // nobody had it
	give(streams[0], "b")
	look(0)
	give(streams[0], "a")
	look(1)
	give(streams[1], "b")
	give(streams[1], "a") // between two looks
	look(2)
}

// TestWAN: three sites, 150 ms from each to each other.
func TestWAN(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.Profile = ProfileWAN
		for i := 1; i <= 3; i++ {
			for j := 1; j <= 3; j++ {
				if i != j {
					s.net.Delay(ipOf(i), ipOf(j), 75*time.Millisecond)
				}
			}
		}
		s.trio()
		s.addTasks(29)
		s.until("assigned", 10*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		time.Sleep(3 * time.Second)
		task := s.owned(n)
		for range 100 {
			if age, ok := n.Lease(task.ID, task.Turn); !ok || age > 5*time.Second {
				s.t.Fatalf("lease %v, %v", age, ok)
			}
			time.Sleep(100 * time.Millisecond)
		}
		term := s.leader().consensus.raft.Load().CurrentTerm()
		time.Sleep(5 * time.Minute)
		if got := s.leader().consensus.raft.Load().CurrentTerm(); got != term {
			s.t.Errorf("leadership moved over a steady network: term %d, then %d", term, got)
		}
		s.isolate(n.i)
		took := s.until("reassigned", 20*time.Second, func() bool { return s.leader() != nil && !owns(s.leader().View(), n.self.ServerID) })
		if took < 8*time.Second {
			s.t.Errorf("called dead after %v", took)
		}
		s.rejoin(n.i)
		s.until("it takes part again", time.Minute, func() bool { return s.balanced(30, 1, 2, 3) })
	})
}
