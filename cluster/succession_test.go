package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
)

// TestTransferLeadership through any node: the one that is named leads, and has
// proven it, when the answer comes; the event says who wanted it.
func TestTransferLeadership(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.propose(s.leader(), &fsm.FeatureRaise{Level: fsm.FeatureLevel})
		act := &fsm.Act{Who: "ops", Client: "10.0.0.1:5", Node: "n1", At: s.nodes[1].nowMillis()}
		for _, ask := range []int{1, 2, 3} {
			for _, to := range []int{1, 2, 3} {
				was := s.leader().self.ServerID
				from, now, err := s.nodes[ask].TransferLeadership(s.t.Context(), s.nodes[to].cfg.Name, act)
				if err != nil || from != was || now != s.nodes[to].self.ServerID {
					s.t.Fatalf("node %d asked for node %d: from %s to %s, %v", ask, to, from, now, err)
				}
				if l, err := s.nodes[ask].consensus.leader(); err != nil || l.ServerID != now {
					s.t.Errorf("node %d does not know that node %d leads: %v", ask, to, err)
				}
				s.until("one acts as leader", 10*time.Second, func() bool { return s.leader() != nil })
			}
		}
		s.until("it is an event", 10*time.Second, func() bool {
			for _, r := range s.leader().View().Events {
				for _, e := range r.All() {
					if e.Code == fsm.CodeOperatorAct && e.Who == "ops" && e.Client == "10.0.0.1:5" && e.Node == "n1" && strings.HasPrefix(e.Message, "hand leadership over from node n") {
						return true
					}
				}
			}
			return false
		})
		s.equal()
	})
}

// TestLeadershipGoesToWhoCanLead: not to a member without a vote, nor to one that
// is dead, and where none is named to one that lives.
func TestLeadershipGoesToWhoCanLead(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.MaxVoters = 3
		s.trio()
		s.start(4, 1, 2, 3)
		s.until("all know a fourth", time.Minute, func() bool {
			return s.leader() != nil && !slices.ContainsFunc([]*simNode{s.nodes[1], s.nodes[2], s.nodes[3], s.nodes[4]}, func(n *simNode) bool { return len(n.View().Nodes) < 4 || !n.Quorum() })
		})
		refuse := func(to, want string) {
			s.t.Helper()
			for i, n := range s.nodes {
				if _, _, err := n.TransferLeadership(s.t.Context(), to, nil); err == nil || !strings.Contains(err.Error(), want) {
					s.t.Errorf("asked node %d for %s: %v, want %q", i, to, err, want)
				}
			}
		}
		refuse("n4", "node n4 has no vote, and only a voter can lead")
		refuse("n7", "there is no node n7; see `sluice cluster members`")
		lost := s.voter()
		s.kill(lost.i)
		s.until("one is dead", time.Minute, func() bool {
			for _, n := range s.nodes {
				if n.liveness.life(lost.self.ServerID, n.began) != LifeDead {
					return false
				}
			}
			return s.leader() != nil
		})
		refuse(lost.cfg.Name, "node "+lost.cfg.Name+" is dead and cannot lead now")
		for range 4 { // to and fro between the two that live
			from, to, err := s.nodes[4].TransferLeadership(s.t.Context(), "", nil)
			if err != nil || from == to || to == lost.self.ServerID {
				s.t.Fatalf("from %s to %s: %v", from, to, err)
			}
			s.until("it acts as leader", 10*time.Second, func() bool { return s.leader() != nil && s.leader().self.ServerID == to })
		}
		s.isolate(s.leader().i)
		s.until("nobody hears a leader", time.Minute, func() bool { return !s.nodes[4].Quorum() })
		if _, _, err := s.nodes[4].TransferLeadership(s.t.Context(), "", nil); !errors.Is(err, ErrNoLeader) {
			s.t.Errorf("without a quorum: %v", err)
		}
	})
}

// TestLeaderLeavesWhileAVoterIsDead: Raft alone would try to hand leadership to
// that one too.
func TestLeaderLeavesWhileAVoterIsDead(t *testing.T) {
	runSim(t, func(s *sim) {
		s.five()
		s.kill(s.voter().i)
		n := s.leader()
		s.until("it is dead to the leader", time.Minute, func() bool { return !s.allAlive() })
		began := time.Now()
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
		defer cancel()
		if err := leave(ctx, n); err != nil {
			s.t.Fatal(err)
		}
		if err := <-n.done; err != nil {
			s.t.Errorf("run: %v", err)
		}
		delete(s.nodes, n.i)
		s.t.Logf("it left within %v", time.Since(began))
		s.until("another one leads", 10*time.Second, func() bool { return s.leader() != nil })
		s.equal()
	})
}
