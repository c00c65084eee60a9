package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// leave lets a node leave and waits until it has.
func leave(ctx context.Context, n *simNode) error {
	finish, err := n.Leave(ctx, nil)
	if err != nil {
		return err
	}
	return finish(ctx)
}

// TestNobodyLeavesWithTheQuorum: of three voters one is dead. If another left,
// two would remain, of which one is alive: nothing could ever be changed again.
func TestNobodyLeavesWithTheQuorum(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		lost := s.follower()
		s.kill(lost.i)
		s.until("its tasks are taken over", 10*time.Second, func() bool { return s.world.settled(30) })
		for i, n := range s.nodes {
			ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
			err := leave(ctx, n)
			if cancel(); !errors.Is(err, ErrQuorum) {
				s.t.Errorf("node %d leaves: %v", i, err)
			}
		}
		_, err := s.leader().roster.handleRemove(s.t.Context(), removal{ID: s.follower().self.ServerID, Leaves: true})
		if err == nil {
			s.t.Error("the leader removes a voter that it cannot spare")
		}
		s.propose(s.leader(), &fsm.Barrier{})
		if err := s.leader().Remove(s.t.Context(), lost.cfg.Name, nil); err != nil {
			s.t.Fatal(err)
		}
		n := s.follower()
		if err := leave(s.t.Context(), n); err != nil {
			s.t.Errorf("leaving once the dead one is out: %v", err)
		}
		<-n.done
		delete(s.nodes, n.i)
		s.propose(s.leader(), &fsm.Barrier{})
	})
}

// TestDepartureIsCommitted: the leader has appended the removal and cannot
// commit it. The node that leaves has it in its log, and is a member still.
func TestDepartureIsCommitted(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		l := s.leader()
		n := s.follower()
		other := s.nodes[6-l.i-n.i]
		s.net.CutBoth(l.ip, other.ip)
		c := l.consensus.raft.Load()
		go c.ask(func() raft.Future { return c.RemoveServer(raft.ServerID(n.self.ServerID), 0, 0) })
		s.until("it has its removal in its log", time.Second, func() bool { return !n.consensus.isMember(n.self.ServerID) })
		ctx, cancel := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := n.membership.requestRemoval(ctx); err == nil {
			s.t.Error("it takes the word of a log for a removal")
		}
		s.net.HealBoth(l.ip, other.ip)
		s.until("a leader", time.Minute, func() bool { return s.leader() != nil })
	})
}

// TestWhoDidNotLeaveTakesPartAgain: the drain was cut short, by its caller or
// by the end of the process.
func TestWhoDidNotLeaveTakesPartAgain(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Millisecond)
		defer cancel()
		if err := leave(ctx, n); err == nil {
			s.t.Fatal("left within a millisecond")
		}
		s.until("it takes part again", 20*time.Second, func() bool {
			return !s.leader().View().Node(n.self.ServerID).Leaving && s.balanced(30, 1, 2, 3)
		})
		leaving := n.membership.record()
		leaving.Leaving = true
		s.kill(n.i)
		s.propose(s.leader(), &fsm.NodePut{Node: leaving})
		n = s.start(n.i, 1, 2, 3)
		s.until("it takes part after a restart", 30*time.Second, func() bool {
			return !s.leader().View().Node(n.self.ServerID).Leaving && s.balanced(30, 1, 2, 3)
		})
	})
}

// TestNobodyIsLeftInTheFacts: a removal that ended after Raft's half of it.
func TestNobodyIsLeftInTheFacts(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		lost := s.follower()
		s.kill(lost.i)
		c := s.leader().consensus.raft.Load()
		if err := c.RemoveServer(raft.ServerID(lost.self.ServerID), 0, 0).Error(); err != nil {
			s.t.Fatal(err)
		}
		s.until("the facts do not hold it any more", 5*time.Second, func() bool {
			return s.leader().View().Node(lost.self.ServerID) == nil
		})
	})
}

// TestTheOnlyVoterStays: the others have joined and do not vote yet.
func TestTheOnlyVoterStays(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.PromoteAfter = time.Hour
		s.start(1, 1, 2)
		s.start(2, 1, 2)
		s.until("two members", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 2 })
		err := leave(s.t.Context(), s.leader())
		if !errors.Is(err, ErrQuorum) || !strings.Contains(err.Error(), "no other node votes yet") {
			s.t.Error(err)
		}
	})
}
