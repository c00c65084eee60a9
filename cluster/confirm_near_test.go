package cluster

import (
	"testing"
	"time"
)

// TestNearNonVoterAndFarVoter: Raft counts anybody's answer when it verifies
// that it leads. A node without a vote that answers in no time must not use up
// the patience for the voter whose answer counts.
func TestNearNonVoterAndFarVoter(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.MaxVoters = 2
		for i := 1; i <= 3; i++ {
			s.start(i, 1, 2, 3)
		}
		s.until("two voters of three members", time.Minute, func() bool {
			l := s.leader()
			return l != nil && len(l.consensus.servers()) == 3 && len(votersOf(l.consensus.servers())) == 2
		})
		l := s.leader()
		for _, n := range s.nodes {
			if n != l && string(others(votersOf(l.consensus.servers()), l.self.ServerID)[0]) == n.self.ServerID {
				s.net.Delay(l.ip, n.ip, 40*time.Millisecond)
				s.net.Delay(n.ip, l.ip, 40*time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		for range 100 {
			if _, err := l.consensus.confirm(s.t.Context()); err != nil {
				s.t.Fatalf("a leader that all hear: %v", err)
			}
			time.Sleep(30 * time.Millisecond)
		}
	})
}
