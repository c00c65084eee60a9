package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
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
		lost := s.follower()
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
			age, ok := lost.ownership.leaderAge()
			return ok && age < time.Second
		})
		leader := s.leader()
		s.isolate(leader.i)
		if _, err := leader.Propose(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrAmbiguous) {
			s.t.Errorf("leader that was just cut off: %v", err)
		}
		s.rejoin(leader.i)
	})
}

// TestOrdersWithoutQuorumFail at once, and where the quorum is lost meanwhile,
// as soon as that is known; a node that has just begun waits for a leader.
func TestOrdersWithoutQuorumFail(t *testing.T) {
	runSim(t, func(s *sim) {
		if _, err := s.start(1).Order(s.t.Context(), &fsm.Barrier{}); err != nil {
			s.t.Errorf("a node that has just begun: %v", err)
		}
		s.kill(1)
		s.bury()
		s.dir = s.t.TempDir()
		s.trio()
		for _, n := range []*simNode{s.follower(), s.leader()} {
			s.until("it has a quorum", time.Minute, n.Quorum)
			s.isolate(n.i)
			order := func(what string, limit time.Duration, also error) {
				start := time.Now()
				_, err := n.Order(s.t.Context(), &fsm.Barrier{})
				if !errors.Is(err, ErrNoLeader) && (also == nil || !errors.Is(err, also)) {
					s.t.Errorf("%s: %v", what, err)
				}
				if took := time.Since(start); took > limit {
					s.t.Errorf("%s: it took %v", what, took)
				}
			}
			order("cut off this moment", 3*time.Second, ErrAmbiguous)
			order("cut off a moment ago", 3*time.Second, ErrAmbiguous)
			time.Sleep(3 * time.Second)
			order("cut off", 0, nil)
			s.rejoin(n.i)
		}
	})
}

// newer is a command of a build that nobody here knows.
type newer struct{ fsm.Barrier }

func (*newer) Type() fsm.Type { return 250 }

// TestCommandThatNobodyCanRead: it is refused by who makes it and by the
// leader that is asked to commit it; in the log it would stop every node.
func TestCommandThatNobodyCanRead(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		if _, err := s.leader().Propose(s.t.Context(), &newer{}); !errors.Is(err, fsm.ErrUnknown) {
			s.t.Errorf("propose: %v", err)
		}
		data := []byte{0xC5, byte((*newer)(nil).Type()), 1, '{', '}'}
		data = binary.BigEndian.AppendUint32(data, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		n := s.follower()
		leader, err := n.consensus.leader()
		if err != nil {
			s.t.Fatal(err)
		}
		err = classify(n.clients.calls.Call(s.t.Context(), leader, pathPropose, proposal{data}, nil))
		if !isRefused(err) {
			s.t.Errorf("forwarded: %v", err)
		}
		s.propose(s.leader(), &fsm.Barrier{})
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

// TestCorruptCommandStopsTheNodes: each that applies it says what it met and
// ends. The last one may never learn that it was committed; it stands without
// a quorum then.
func TestCorruptCommandStopsTheNodes(t *testing.T) {
	for name, data := range map[string][]byte{"corrupt": []byte("junk"), "flipped": flipped(t)} {
		t.Run(name, func(t *testing.T) {
			runSim(t, func(s *sim) {
				s.trio()
				if _, err := s.leader().consensus.handlePropose(s.t.Context(), proposal{data}); err == nil {
					s.t.Error("a forwarded command that no node can read was taken")
				}
				s.leader().consensus.raft.Load().Apply(data, time.Second)
				s.until("a quorum has ended", time.Minute, func() bool {
					for i, n := range s.nodes {
						select {
						case err := <-n.done:
							if !errors.Is(err, fsm.ErrCorrupt) {
								s.t.Errorf("node %d ended with %v", i, err)
							}
							delete(s.nodes, i)
						default:
						}
					}
					return len(s.nodes) < 2
				})
				for i, n := range s.nodes {
					n.stop()
					if err := <-n.done; err != nil && !errors.Is(err, fsm.ErrCorrupt) {
						s.t.Errorf("node %d ended with %v", i, err)
					}
					delete(s.nodes, i)
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
			last = l.consensus.raft.Load().Apply(data, 0)
		}
		if err := last.Error(); err != nil {
			s.t.Fatal(err)
		}
		if err := l.consensus.raft.Load().Snapshot().Error(); err != nil {
			s.t.Fatal(err)
		}
		first, err := l.consensus.raft.Load().bolt.FirstIndex()
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

// TestConfirmFromAnywhere: the index holds what another node was answered for.
func TestConfirmFromAnywhere(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		for _, n := range s.nodes {
			r := s.propose(s.leader(), &fsm.Barrier{})
			index, err := n.Confirm(s.t.Context())
			if err != nil || index < r.Index {
				s.t.Errorf("node %d: %d after %d, %v", n.i, index, r.Index, err)
			}
		}
	})
}

// TestActWhileTheLeaderIsStopped: who asks for something when the leader has
// just been stopped, and lives on with open connections, is answered by the
// next one in good time.
func TestActWhileTheLeaderIsStopped(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		old, n := s.leader(), s.follower()
		s.until("it has a quorum", time.Minute, n.Quorum)
		s.isolate(old.i)
		began := time.Now()
		var err error
		for time.Since(began) < time.Minute {
			if _, err = n.Order(s.t.Context(), &fsm.Barrier{}); !errors.Is(err, ErrAmbiguous) {
				break
			}
		}
		if took := time.Since(began); err != nil || took > 5*time.Second {
			s.t.Errorf("%v after %v", err, took)
		}
		t.Logf("answered after %v", time.Since(began))
		began = time.Now()
		if _, err := n.Confirm(s.t.Context()); err != nil || time.Since(began) > time.Second {
			s.t.Errorf("%v after %v", err, time.Since(began))
		}
		s.rejoin(old.i)
	})
}
