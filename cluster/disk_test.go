package cluster

import (
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// fullDisk lets writes fail while it is full, as bolt's do.
type fullDisk struct{ full atomic.Bool }

func (d *fullDisk) err() error {
	if d.full.Load() {
		return &fs.PathError{Op: "write", Path: "/data/raft/log.db", Err: syscall.ENOSPC}
	}
	return nil
}

// fullDiskText is what everybody says of it.
const fullDiskText = "disk full: writing /data/raft/log.db: no space left on device"

type fullLog struct {
	raft.LogStore
	disk *fullDisk
}

func (l *fullLog) StoreLogs(logs []*raft.Log) error {
	if err := l.disk.err(); err != nil {
		return err
	}
	return l.LogStore.StoreLogs(logs)
}

func (l *fullLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

type fullStable struct {
	raft.StableStore
	disk *fullDisk
}

func (s *fullStable) Set(key, value []byte) error {
	if err := s.disk.err(); err != nil {
		return err
	}
	return s.StableStore.Set(key, value)
}

func (s *fullStable) SetUint64(key []byte, value uint64) error {
	if err := s.disk.err(); err != nil {
		return err
	}
	return s.StableStore.SetUint64(key, value)
}

// onDisk starts a node whose disk can be full.
func (s *sim) onDisk(i int, d *fullDisk, peers ...int) *simNode {
	s.t.Helper()
	was := s.cfg
	defer func() { s.cfg = was }()
	s.cfg.hooks.store = func(store raft.LogStore) raft.LogStore { return &fullLog{store, d} }
	s.cfg.hooks.stable = func(store raft.StableStore) raft.StableStore { return &fullStable{store, d} }
	return s.start(i, peers...)
}

// diskOf is what node i knows of the disk of another one; empty: it is well.
func (s *sim) diskOf(i int, of *simNode) string {
	for _, m := range s.nodes[i].Members() {
		if m.ServerID == of.self.ServerID && m.Disk != nil {
			return m.Disk.Why
		}
	}
	return "unknown"
}

// told waits until all nodes, the one itself too, know why a disk fails.
func (s *sim) told(of *simNode, want string) {
	s.t.Helper()
	s.until("all know of the disk: "+want, 20*time.Second, func() bool {
		for i := range s.nodes {
			if s.diskOf(i, of) != want {
				return false
			}
		}
		return true
	})
}

// TestFullDiskIsTold by a follower: each second, since when, and when a new term
// comes, which it cannot keep. Where there is room again it takes part again.
func TestFullDiskIsTold(t *testing.T) {
	runSim(t, func(s *sim) {
		d := &fullDisk{}
		lost := s.onDisk(5, d, 1, 2, 3)
		for i := 1; i <= 4; i++ {
			s.start(i, 1, 2, 3)
		}
		s.until("five vote", 3*time.Minute, func() bool { return len(s.leaderVoters()) == 5 && s.leader() != lost })
		s.told(lost, "")
		d.full.Store(true)
		began := time.Now()
		s.told(lost, fullDiskText)
		s.until("its tasks would go elsewhere", 20*time.Second, func() bool { return s.leader().liveness.life(lost.self.ServerID, s.leader().began) != LifeAlive })
		s.kill(s.leader().i)
		s.until("another one leads", 20*time.Second, func() bool { return s.leader() != nil })
		time.Sleep(time.Minute)
		s.told(lost, fullDiskText)
		for _, m := range s.leader().Members() {
			if m.ServerID == lost.self.ServerID && (time.Since(m.At) > 2*time.Second || m.Disk.Since.Sub(began).Abs() > 10*time.Second) {
				s.t.Errorf("%v after its disk was full, its last report came %v ago and says since %v after", time.Since(began), time.Since(m.At), m.Disk.Since.Sub(began))
			}
		}
		d.full.Store(false)
		s.told(lost, "")
		r := s.propose(s.leader(), &fsm.Barrier{})
		s.until("it takes part again", time.Minute, func() bool { return lost.View().Index >= r.Index && lost.Quorum() })
		s.equal()
	})
}

// TestLeaderWithAFullDisk: another one leads, and all know why.
func TestLeaderWithAFullDisk(t *testing.T) {
	runSim(t, func(s *sim) {
		disks := map[int]*fullDisk{}
		for i := 1; i <= 3; i++ {
			disks[i] = &fullDisk{}
			s.onDisk(i, disks[i], 1, 2, 3)
		}
		s.until("three vote", time.Minute, func() bool { return len(s.leaderVoters()) == 3 })
		lost := s.leader()
		disks[lost.i].full.Store(true)
		s.until("another one leads", 30*time.Second, func() bool { return s.leader() != nil && s.leader() != lost })
		s.told(lost, fullDiskText)
		if s.leader().membership.next.heir() == lost.self.ServerID {
			s.t.Error("leadership would be handed to a node that cannot write")
		}
		s.propose(s.leader(), &fsm.Barrier{})
		disks[lost.i].full.Store(false)
		s.told(lost, "")
		s.equal()
	})
}

// TestEndWithAFullDisk: a node that waits to keep a new term ends all the same.
func TestEndWithAFullDisk(t *testing.T) {
	runSim(t, func(s *sim) {
		d := &fullDisk{}
		s.start(1, 1, 2, 3)
		s.start(2, 1, 2, 3)
		lost := s.onDisk(3, d, 1, 2, 3)
		s.until("three vote", time.Minute, func() bool { return len(s.leaderVoters()) == 3 })
		for s.leader() == lost {
			if _, _, err := lost.TransferLeadership(s.t.Context(), "", nil); err != nil {
				s.t.Fatal(err)
			}
			s.until("another one leads", 20*time.Second, func() bool { return s.leader() != nil && s.leader() != lost })
		}
		d.full.Store(true)
		s.told(lost, fullDiskText)
		term := lost.Status().Term
		if _, _, err := s.leader().TransferLeadership(s.t.Context(), "", nil); err != nil {
			s.t.Fatal(err)
		}
		s.until("there is a new term", 20*time.Second, func() bool { return s.leader() != nil && s.leader().Status().Term > term })
		time.Sleep(10 * time.Second)
		if got := lost.Status().Term; got != term {
			s.t.Fatalf("it is in term %d, which its disk did not take", got)
		}
		lost.stop()
		if err := <-lost.done; err != nil {
			s.t.Errorf("it ends with %v", err)
		}
		delete(s.nodes, 3)
		d.full.Store(false)
		again := s.start(3, 1, 2, 3)
		s.until("it takes part again", time.Minute, func() bool { return again.Quorum() })
		s.equal()
	})
}

// TestNoStartOnAFullDisk: Raft would panic.
func TestNoStartOnAFullDisk(t *testing.T) {
	runSim(t, func(s *sim) {
		d := &fullDisk{}
		d.full.Store(true)
		n := s.onDisk(1, d)
		err := <-n.done
		if err == nil || !strings.Contains(err.Error(), "this node cannot take part in the cluster: "+fullDiskText) {
			s.t.Errorf("it ends with %v", err)
		}
		delete(s.nodes, 1)
	})
}

func TestUnwritable(t *testing.T) {
	path := func(err error) error { return &fs.PathError{Op: "write", Path: "/d/x", Err: err} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{path(syscall.ENOSPC), "disk full: writing /d/x: no space left on device"},
		{path(syscall.EDQUOT), "disk quota used up: writing /d/x: disk quota exceeded"},
		{syscall.EFBIG, "limit of a file's size reached: writing log.db: file too large"},
		{syscall.EROFS, "the disk is read-only: writing log.db: read-only file system"},
		{syscall.EIO, "the disk fails: writing log.db: input/output error"},
		{errors.New("odd"), "the disk fails: writing log.db: odd"},
	} {
		if got := unwritable("log.db", c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestClocksAreCompared: each node knows how far the others' clocks are from its
// own, and by how much that may be wrong.
func TestClocksAreCompared(t *testing.T) {
	runSim(t, func(s *sim) {
		s.net.Delay(ipOf(1), ipOf(2), 40*time.Millisecond)
		s.start(1, 1, 2)
		s.cfg.Wall = func() time.Time { return wallClock().Add(90 * time.Second) }
		s.start(2, 1, 2)
		s.until("two nodes", time.Minute, func() bool { return s.leader() != nil && len(s.leader().View().Nodes) == 2 })
		s.until("both know", 10*time.Second, func() bool {
			for i, n := range s.nodes {
				for _, m := range n.Members() {
					apart := time.Duration(0)
					if m.ServerID != n.self.ServerID {
						apart = map[int]time.Duration{1: 90 * time.Second, 2: -90 * time.Second}[i]
					}
					if m.Clock == nil || (m.Clock.Offset-apart).Abs() > m.Clock.Error || m.Clock.Error > time.Second {
						return false
					}
				}
			}
			return true
		})
	})
}

// TestBehindIsTold: how far a node is behind the others.
func TestBehindIsTold(t *testing.T) {
	r := newTable()
	for _, c := range []struct {
		id            string
		index, behind uint64
	}{{"a", 100, 0}, {"b", 40, 60}, {"c", 120, 0}, {"b", 100, 20}, {"b", 120, 0}} {
		r.put(Report{ServerID: c.id, Index: c.index})
		if got := r.get(c.id).Behind; got != c.behind {
			t.Errorf("%s at %d is %d behind, want %d", c.id, c.index, got, c.behind)
		}
	}
}
