package cluster

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/fsm"
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
			running, owned := 0, 0
			for _, m := range st.Members {
				running, owned = running+len(m.Tasks), owned+m.Owned
				if !m.Voter || m.Life != LifeAlive || time.Since(m.At) > 2*time.Second || m.Leader != (m.ServerID == st.Leader) || m.Index == 0 {
					s.t.Errorf("node %d about %s: %+v", i, m.Name, m)
				}
			}
			if running != 30 || owned != 30 {
				s.t.Errorf("node %d: %d run, %d owned", i, running, owned)
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
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		registry := prometheus.NewPedanticRegistry()
		if err := registry.Register(n.Collector()); err != nil {
			s.t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 9 {
			s.t.Errorf("%d families, %v", len(families), err)
		}
		for _, f := range families {
			if f.GetName() == "sluice_cluster_is_leader" && f.GetMetric()[0].GetGauge().GetValue() != 1 {
				s.t.Error("it does not say that it leads")
			}
		}
	})
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
