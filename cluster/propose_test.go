package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

func TestProposeFromAnywhere(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		r := s.propose(s.follower(), &fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us"}}})
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		defer cancel()
		for i, n := range s.nodes {
			if err := n.WaitIndex(ctx, r.Index); err != nil || n.View().KafkaCluster("us") == nil {
				s.t.Errorf("node %d: %v", i, err)
			}
		}
		r, err := s.follower().Propose(s.t.Context(), &fsm.Objects{DeleteLinks: []string{"none"}})
		if err != nil || r.Refused != fsm.RefusedNotFound || r.Index == 0 {
			s.t.Errorf("a refusal is an answer: %+v, %v", r, err)
		}
	})
}

func TestProposeWithoutQuorum(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		leader, lost := s.leader(), s.follower()
		s.isolate(lost.i)
		start := time.Now()
		if _, err := lost.Propose(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrNoLeader) {
			s.t.Errorf("cut-off follower: %v", err)
		}
		time.Sleep(5 * time.Second) // it knows now that it has no leader
		if _, err := lost.Propose(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrNoLeader) {
			s.t.Errorf("cut-off follower without leader: %v", err)
		}
		if took := time.Since(start); took > 30*time.Second {
			s.t.Errorf("took %v", took)
		}
		s.rejoin(lost.i)
		s.until("three again", time.Minute, func() bool {
			age, ok := lost.LeaderAge()
			return ok && age < time.Second
		})
		leader = s.leader()
		s.isolate(leader.i)
		if _, err := leader.Propose(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrAmbiguous) {
			s.t.Errorf("leader that was just cut off: %v", err)
		}
		s.rejoin(leader.i)
	})
}

// TestProposeWaitsForTheNextLeader: an election is not an error.
func TestProposeWaitsForTheNextLeader(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		n := s.follower()
		s.kill(s.leader().i)
		s.propose(n, &fsm.Barrier{})
	})
}

func TestConfirmOwner(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		var task *fsm.Task
		for x := range n.View().Tasks {
			if x.Owner == n.self.ServerID {
				task = x
			}
		}
		if err := n.ConfirmOwner(s.t.Context(), task.ID, task.Turn); err != nil {
			s.t.Error(err)
		}
		if err := n.ConfirmOwner(s.t.Context(), task.ID, task.Turn+1); !errors.Is(err, ErrNotOwner) {
			s.t.Errorf("another turn: %v", err)
		}
		if err := s.leader().ConfirmOwner(s.t.Context(), task.ID, task.Turn); !errors.Is(err, ErrNotOwner) {
			s.t.Errorf("another node: %v", err)
		}
		if age, ok := n.Lease(task.ID, task.Turn); !ok || age > 2*time.Second {
			s.t.Errorf("lease: %v, %v", age, ok)
		}
		if _, ok := n.Lease(task.ID, task.Turn-1); ok {
			s.t.Error("a lease for an old turn")
		}
		s.isolate(n.i)
		start := time.Now()
		if err := n.ConfirmOwner(s.t.Context(), task.ID, task.Turn); !errors.Is(err, ErrUnknown) {
			s.t.Errorf("cut off: %v", err)
		}
		if took := time.Since(start); took > 3*time.Second {
			s.t.Errorf("took %v", took)
		}
		time.Sleep(10 * time.Second)
		if age, _ := n.Lease(task.ID, task.Turn); age < 10*time.Second {
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
				if err := n.ConfirmOwner(s.t.Context(), 99, 1); !errors.Is(err, ErrNotOwner) {
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
	runSim(t, func(s *sim) {
		s.cfg.hooks.timing = func(t *timing) { t.heartbeat, t.rpc = 5*time.Second, 30*time.Second }
		s.start(2, 1, 2, 3)
		s.start(3, 1, 2, 3)
		s.cfg.hooks.timing = func(t *timing) { // it does not notice the cut by itself
			t.heartbeat, t.lease, t.rpc = 30*time.Second, 30*time.Second, 30*time.Second
		}
		old := s.start(1, 1, 2, 3)
		s.until("three voters", 3*time.Minute, func() bool { return old.leading.Load() != nil && len(votersOf(old.servers())) == 3 })
		if _, err := old.confirm(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		s.net.Cut(ipOf(2), ipOf(1))
		s.net.Cut(ipOf(3), ipOf(1))
		time.Sleep(8 * time.Second) // heartbeats have arrived, their answers have not
		s.net.Cut(ipOf(1), ipOf(2))
		s.net.Cut(ipOf(1), ipOf(3))
		s.until("another leader", time.Minute, func() bool { return s.nodes[2].leading.Load() != nil || s.nodes[3].leading.Load() != nil })
		if old.leading.Load() == nil {
			s.t.Fatal("the test shows nothing: the old leader has stepped down")
		}
		answer := make(chan error, 1)
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		go func() { _, err := old.confirm(ctx); answer <- err }()
		time.Sleep(10 * time.Millisecond)
		s.net.Heal(ipOf(2), ipOf(1))
		s.net.Heal(ipOf(3), ipOf(1))
		if err := <-answer; err == nil {
			s.t.Error("a leader of the past has confirmed")
		}
		s.rejoin(1)
	})
}

// TestLeaseCountsFromTheQuestion: not from when the answer came.
func TestLeaseCountsFromTheQuestion(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		n := s.follower()
		task := s.owned(n)
		s.net.Delay(s.leader().ip, n.ip, 900*time.Millisecond)
		time.Sleep(5 * time.Second)
		youngest := time.Hour
		for range 500 {
			age, ok := n.Lease(task.ID, task.Turn)
			if !ok {
				s.t.Fatal("no lease")
			}
			youngest = min(youngest, age)
			time.Sleep(10 * time.Millisecond)
		}
		if youngest < 900*time.Millisecond || youngest > 1200*time.Millisecond {
			s.t.Errorf("the youngest lease was %v old, and answers take 900 ms", youngest)
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

// TestCorruptCommandStopsTheNodes: each says what it met and ends.
func TestCorruptCommandStopsTheNodes(t *testing.T) {
	for name, data := range map[string][]byte{"corrupt": []byte("junk"), "flipped": flipped(t)} {
		t.Run(name, func(t *testing.T) {
			runSim(t, func(s *sim) {
				s.trio()
				if _, err := s.leader().handlePropose(s.t.Context(), proposal{data}); err == nil {
					s.t.Error("a forwarded command that no node can read was taken")
				}
				s.leader().raft.Load().Apply(data, time.Second)
				for i := range 3 {
					n := s.nodes[i+1]
					if err := <-n.done; !errors.Is(err, fsm.ErrCorrupt) {
						s.t.Errorf("node %d ended with %v", n.i, err)
					}
					delete(s.nodes, n.i)
				}
			})
		})
	}
}

// flipped is a command with one bit turned, as by a disk.
func flipped(t *testing.T) []byte {
	t.Helper()
	data, err := fsm.Encode(&fsm.ClusterInit{ClusterID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	data[5] ^= 4
	return data
}

// hangingStore is a log store whose writes stop returning.
type hangingStore struct {
	raft.LogStore
	hang <-chan struct{} // closed: writes hang
	free <-chan struct{} // closed: they go on
}

func (h *hangingStore) StoreLogs(logs []*raft.Log) error {
	select {
	case <-h.hang:
		<-h.free
	default:
	}
	return h.LogStore.StoreLogs(logs)
}

func (h *hangingStore) StoreLog(l *raft.Log) error { return h.StoreLogs([]*raft.Log{l}) }

// IsMonotonic implements raft.MonotonicLogStore.
func (h *hangingStore) IsMonotonic() bool { return false }

// TestFollowerWithHungDisk: it reports and hears, but learns nothing new: its
// tasks go elsewhere before the watchdog ends it.
func TestFollowerWithHungDisk(t *testing.T) {
	runSim(t, func(s *sim) {
		hang, free := make(chan struct{}), make(chan struct{})
		fatal := make(chan error, 1)
		s.start(1, 1, 2, 3)
		s.start(2, 1, 2, 3)
		s.cfg.Fatal = func(err error) { fatal <- err }
		s.cfg.hooks.store = func(store raft.LogStore) raft.LogStore { return &hangingStore{store, hang, free} }
		lost := s.start(3, 1, 2, 3)
		s.until("three voters", time.Minute, func() bool { l := s.leader(); return l != nil && len(votersOf(l.servers())) == 3 })
		s.addTasks(29)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
		close(hang)
		s.until("others own its tasks", 10*time.Second, func() bool {
			for task := range s.leader().View().Tasks {
				if task.Owner == lost.self.ServerID {
					return false
				}
			}
			return true
		})
		close(free)
		s.until("it lets go and takes part again", time.Minute, func() bool { return s.balanced(30, 1, 2, 3) })
	})
}

func TestHungDiskEndsTheProcess(t *testing.T) {
	runSim(t, func(s *sim) {
		hang, free := make(chan struct{}), make(chan struct{})
		fatal := make(chan error, 1)
		s.cfg.Fatal = func(err error) { fatal <- err }
		s.cfg.hooks.store = func(store raft.LogStore) raft.LogStore { return &hangingStore{store, hang, free} }
		n := s.start(1)
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case err := <-fatal:
			s.t.Fatalf("a healthy disk was called hung: %v", err)
		default:
		}
		close(hang)
		start := time.Now()
		if _, err := n.Propose(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrAmbiguous) {
			s.t.Errorf("propose on a hung disk: %v", err)
		}
		err := <-fatal
		if took := time.Since(start); took > n.t.disk+2*canaryEvery || err == nil {
			s.t.Errorf("%v after %v", err, took)
		}
		close(free)
		s.until("Raft has answered what waited", time.Minute, func() bool {
			age, ok := n.LeaderAge()
			return ok && age < 2*time.Second
		})
	})
}

// TestSnapshotsCarryALaggard: a node that was away for longer than the log
// reaches is brought up by a snapshot.
func TestSnapshotsCarryALaggard(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		s.addTasks(29)
		lost := s.follower().i
		s.kill(lost)
		l := s.leader()
		data, err := fsm.Encode(&fsm.Barrier{})
		if err != nil {
			s.t.Fatal(err)
		}
		var last raft.ApplyFuture
		for range trailingLogs + 2*snapshotThreshold {
			last = l.raft.Load().Apply(data, 0)
		}
		if err := last.Error(); err != nil {
			s.t.Fatal(err)
		}
		if err := l.raft.Load().Snapshot().Error(); err != nil {
			s.t.Fatal(err)
		}
		first, err := l.raft.Load().bolt.FirstIndex()
		if err != nil || first < 100 {
			s.t.Fatalf("the log begins at %d, %v", first, err)
		}
		n := s.start(lost, 1, 2, 3)
		s.until("it has caught up", time.Minute, func() bool { return n.View().Index >= last.Index() })
		s.equal()
		s.kill(l.i)
		s.start(l.i, 1, 2, 3) // from its own snapshot
		s.until("a leader", time.Minute, func() bool { return s.leader() != nil })
		s.equal()
	})
}
