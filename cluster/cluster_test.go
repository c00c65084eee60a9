package cluster

import (
	"testing"
	"time"

	"sluice/fsm"
)

func TestThreeNodesBecomeOneCluster(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.PromoteAfter = 10 * time.Second
		for i := 1; i <= 3; i++ {
			s.start(i, 1, 2, 3)
		}
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		s.until("all joined", 20*time.Second, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 3 })
		if got := len(votersOf(s.leader().consensus.servers())); got != 1 {
			t.Errorf("%d voters before anybody was well for long", got)
		}
		took := s.until("three voters", time.Minute, func() bool { return len(votersOf(s.leader().consensus.servers())) == 3 })
		if took < time.Second || took > 8*time.Second {
			t.Errorf("the founders voted after %v; they are to after 2 healthy seconds, together", took)
		}
		if s.leader().cfg.Name != "n1" {
			t.Errorf("founded by %s, not by the lowest name", s.leader().cfg.Name)
		}
		r := s.propose(s.follower(), &fsm.Barrier{})
		if err := s.follower().WaitIndex(s.t.Context(), r.Index); err != nil {
			t.Error(err)
		}
		s.equal()
		id := s.leader().View().ClusterID
		for i, n := range s.nodes {
			if n.View().ClusterID != id || n.tr.Self().ClusterID != id || id == "" {
				t.Errorf("node %d has another cluster id", i)
			}
		}
	})
}
