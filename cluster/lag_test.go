package cluster

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// slowMachine takes its time for each command.
type slowMachine struct {
	raft.FSM
	lag time.Duration
}

func (m slowMachine) Apply(l *raft.Log) any {
	time.Sleep(m.lag)
	return m.FSM.Apply(l)
}

// slow lets the machines of nodes that start from now on lag.
func (s *sim) slow(lag time.Duration) {
	s.cfg.hooks.fsm = func(m raft.FSM) raft.FSM { return slowMachine{m, lag} }
}

// TestWhoProposesSeesIt: on a follower that learns late what is committed too,
// because whoever decides again there must see what it did.
func TestWhoProposesSeesIt(t *testing.T) {
	runSim(t, func(s *sim) {
		s.start(1, 1, 2, 3)
		s.start(2, 1, 2, 3)
		s.slow(100 * time.Millisecond)
		late := s.start(3, 1, 2, 3)
		s.until("three voters", time.Minute, func() bool { l := s.leader(); return l != nil && len(votersOf(l.consensus.servers())) == 3 })
		if s.leader() == late {
			s.t.Fatal("the test shows nothing: the late node leads")
		}
		for _, name := range []string{"us", "eu", "asia"} {
			start := time.Now()
			r := s.propose(late, &fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: name}}})
			if v := late.View(); v.Index < r.Index || v.KafkaCluster(name) == nil {
				s.t.Errorf("proposed %s at index %d and sees index %d after %v", name, r.Index, v.Index, time.Since(start))
			}
		}
	})
}

// TestNothingIsLeftAskedAtTheEnd: Raft forgets what its machine has not applied
// when it is shut down, and whoever waits for the answer would wait for ever.
func TestNothingIsLeftAskedAtTheEnd(t *testing.T) {
	runSim(t, func(s *sim) {
		s.slow(100 * time.Millisecond)
		n := s.start(1)
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		for range 8 {
			go func() { _, _ = n.Propose(s.t.Context(), &fsm.Barrier{}) }()
			time.Sleep(time.Millisecond) // so that Raft makes no batch of them
		}
		time.Sleep(150 * time.Millisecond) // all are committed, one is applied
	})
}
