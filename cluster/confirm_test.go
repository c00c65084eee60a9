package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/task"
)

func TestConfirmOwner(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		var own *fsm.Task
		for x := range n.View().Tasks {
			if x.Owner == n.self.ServerID {
				own = x
			}
		}
		if err := n.ConfirmOwner(s.t.Context(), own.ID, own.Turn); err != nil {
			s.t.Error(err)
		}
		if err := n.ConfirmOwner(s.t.Context(), own.ID, own.Turn+1); !errors.Is(err, task.ErrNotOwner) {
			s.t.Errorf("another turn: %v", err)
		}
		if err := s.leader().ConfirmOwner(s.t.Context(), own.ID, own.Turn); !errors.Is(err, task.ErrNotOwner) {
			s.t.Errorf("another node: %v", err)
		}
		if age, ok := n.Lease(own.ID, own.Turn); !ok || age > 2*time.Second {
			s.t.Errorf("lease: %v, %v", age, ok)
		}
		if _, ok := n.Lease(own.ID, own.Turn-1); ok {
			s.t.Error("a lease for an old turn")
		}
		s.isolate(n.i)
		start := time.Now()
		if err := n.ConfirmOwner(s.t.Context(), own.ID, own.Turn); !errors.Is(err, task.ErrUnknown) {
			s.t.Errorf("cut off: %v", err)
		}
		if took := time.Since(start); took > 3*time.Second {
			s.t.Errorf("took %v", took)
		}
		time.Sleep(10 * time.Second)
		if age, _ := n.Lease(own.ID, own.Turn); age < 10*time.Second {
			s.t.Errorf("the lease of a cut-off node is %v old", age)
		}
		s.rejoin(n.i)
	})
}

// TestManyConfirmationsShareHeartbeats: a thousand streams that ask at once
// cost a few rounds.
func TestManyConfirmationsShareHeartbeats(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(1)
		s.until("assigned", 5*time.Second, func() bool { return s.world.settled(2) })
		n := s.leader()
		for i := 1; i <= 3; i++ {
			if i != n.i {
				s.net.Delay(n.ip, ipOf(i), 20*time.Millisecond)
			}
		}
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if err := n.ConfirmOwner(s.t.Context(), 99, 1); !errors.Is(err, task.ErrNotOwner) {
					s.t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 500*time.Millisecond {
			s.t.Errorf("took %v", took)
		}
	})
}

// TestStoppedLeaderConfirmsNothing: answers to heartbeats that a leader sent
// before it was asked prove nothing. A leader that was stopped finds them in
// its sockets when it goes on; here the wires hold them until the others have
// elected another leader.
func TestStoppedLeaderConfirmsNothing(t *testing.T) {
	stale := 0
	for range 12 { // in some runs no answer is under way at the right moment
		runSim(t, func(s *sim) {
			if s.askStoppedLeader() {
				stale++
			}
		})
		if stale == 4 || t.Failed() {
			return
		}
	}
	t.Errorf("the test showed little: stale answers came in %d runs only", stale)
}

// askStoppedLeader asks a leader of the past while stale answers arrive; it
// reports whether one did.
func (s *sim) askStoppedLeader() bool {
	s.cfg.hooks.timing = func(t *timing) { t.heartbeat, t.rpc = 5*time.Second, 30*time.Second }
	s.start(2, 1, 2, 3)
	s.start(3, 1, 2, 3)
	s.cfg.hooks.timing = func(t *timing) { // it does not notice the cut by itself
		t.heartbeat, t.lease, t.rpc, t.disk = 30*time.Second, 30*time.Second, 30*time.Second, time.Hour
	}
	old := s.start(1, 1, 2, 3)
	s.until("three voters", 3*time.Minute, func() bool { return old.consensus.leading.Load() != nil && len(votersOf(old.consensus.servers())) == 3 })
	if _, err := old.consensus.confirm(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.net.Cut(ipOf(2), ipOf(1))
	s.net.Cut(ipOf(3), ipOf(1))
	cut := time.Now()
	time.Sleep(8 * time.Second) // heartbeats have arrived, their answers have not
	s.net.Cut(ipOf(1), ipOf(2))
	s.net.Cut(ipOf(1), ipOf(3))
	s.until("another leader", time.Minute, func() bool {
		return s.nodes[2].consensus.leading.Load() != nil || s.nodes[3].consensus.leading.Load() != nil
	})
	if old.consensus.leading.Load() == nil {
		return false
	}
	answer := make(chan error, 1)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	go func() { _, err := old.consensus.confirm(ctx); answer <- err }()
	time.Sleep(10 * time.Millisecond)
	s.net.Heal(ipOf(2), ipOf(1))
	s.net.Heal(ipOf(3), ipOf(1))
	if err := <-answer; err == nil {
		s.t.Error("a leader of the past has confirmed")
	}
	stale := old.consensus.raft.Load().transport.ackedSince(cut, votersOf(old.consensus.servers())) > 0
	s.rejoin(1)
	return stale
}

// TestLeaseCountsFromTheQuestion: not from when the answer came.
func TestLeaseCountsFromTheQuestion(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		const late = 400 * time.Millisecond // not long enough to be taken for dead
		s.net.Delay(s.leader().ip, n.ip, late)
		time.Sleep(5 * time.Second) // tasks have found their places
		task := s.owned(n)
		youngest := time.Hour
		for range 500 {
			age, ok := n.Lease(task.ID, task.Turn)
			if !ok {
				s.t.Fatal("no lease")
			}
			youngest = min(youngest, age)
			time.Sleep(10 * time.Millisecond)
		}
		if youngest < late || youngest > late+300*time.Millisecond {
			s.t.Errorf("the youngest lease was %v old, and answers take %v", youngest, late)
		}
	})
}

func TestLeaseIsTheWorseOfTwoClocks(t *testing.T) {
	now := time.Now()
	g := grant{sent: now, wall: now.Round(0)}
	cases := []struct{ mono, wall, want time.Duration }{
		{time.Second, time.Second, time.Second},
		{time.Second, time.Hour, time.Hour},    // suspended, or set forward
		{time.Second, -time.Hour, time.Second}, // set back
	}
	for _, c := range cases {
		if got := g.age(now.Add(c.mono), now.Round(0).Add(c.wall)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestGrantsWaitForTheView(t *testing.T) {
	var l lease
	now := time.Now()
	l.add(grant{index: 5, sent: now})
	l.add(grant{index: 9, sent: now.Add(time.Second)})
	if _, ok := l.at(4); ok {
		t.Error("a grant for facts that the View does not hold yet")
	}
	if g, ok := l.at(8); !ok || g.index != 5 {
		t.Errorf("%+v, %v", g, ok)
	}
	if g, _ := l.at(9); g.index != 9 {
		t.Errorf("%+v", g)
	}
	l.add(grant{index: 3, sent: now.Add(-time.Second)})
	if g, _ := l.at(10); g.index != 9 {
		t.Errorf("an older grant replaced a newer one: %+v", g)
	}
	for i := range 2 * maxGrants {
		l.add(grant{index: 100 + uint64(i), sent: now})
	}
	if len(l.pending) != maxGrants {
		t.Errorf("%d grants wait", len(l.pending))
	}
}

// TestWallClockJump: the lease ends when the wall clock says so.
func TestWallClockJump(t *testing.T) {
	runSim(t, func(s *sim) {
		var mu sync.Mutex
		jump := time.Duration(0)
		s.cfg.Wall = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Round(0).Add(jump)
		}
		s.start(1)
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		s.addTasks(1)
		s.until("assigned", 5*time.Second, func() bool { return s.world.settled(2) })
		n := s.nodes[1]
		turn := n.View().Task(2).Turn
		s.until("a lease", 5*time.Second, func() bool { age, ok := n.Lease(2, turn); return ok && age < time.Second })
		mu.Lock()
		jump = time.Hour
		mu.Unlock()
		if age, _ := n.Lease(2, turn); age < time.Hour {
			s.t.Errorf("age %v after a jump of an hour", age)
		}
		s.until("a fresh lease", 5*time.Second, func() bool { age, ok := n.Lease(2, turn); return ok && age < 2*time.Second })
	})
}
