package cluster

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// cpu is the CPU time that this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestTenThousandTasks: virtual time for what waits, CPU for what works. The
// CPU of all three nodes in this one process must stay below the five seconds
// that a decision may take, whatever the machine is busy with; it is measured
// at a twentieth of that.
func TestTenThousandTasks(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand tasks")
	}
	runSim(t, func(s *sim) {
		const tasks = 10_000
		s.trio()
		s.addTasks(1)
		s.until("assigned", 5*time.Second, func() bool { return s.world.settled(2) })
		start := cpu(s.t)
		s.addTasks2(tasks)
		added := cpu(s.t)
		took := s.until("ten thousand assigned", 5*time.Second, func() bool { return s.balanced(tasks+1, 1, 2, 3) })
		s.t.Logf("adding: %v CPU; assigned after %v, %v CPU", added-start, took, cpu(s.t)-added)
		for task := range s.leader().View().Tasks {
			if task.Owner == "" {
				s.t.Fatalf("task %d has no owner", task.ID)
			}
		}
		s.moveAll(10 * time.Second)
		before := cpu(s.t)
		s.kill(s.follower().i)
		took = s.until("a third reassigned", 5*time.Second, func() bool { return s.world.settled(tasks + 1) })
		s.t.Logf("a dead node's tasks: reassigned after %v, %v CPU", took, cpu(s.t)-before)
		if spent := cpu(s.t) - before; spent > 5*time.Second {
			s.t.Errorf("reassigning took %v of CPU", spent)
		}
		s.equal()
		var snap bytes.Buffer
		before = cpu(s.t)
		if err := fsm.WriteSnapshot(&snap, s.leader().View()); err != nil {
			s.t.Fatal(err)
		}
		s.t.Logf("snapshot: %d bytes, %v CPU", snap.Len(), cpu(s.t)-before)
	})
}

// addTasks2 adds streams to the link that addTasks made.
func (s *sim) addTasks2(count int) {
	n := s.leader()
	for from := 1; from < count; from += 500 {
		var keys []fsm.StreamKey
		for p := from; p < min(from+500, count); p++ {
			keys = append(keys, fsm.StreamKey{Topic: "t", Partition: int32(p), TargetTopic: "t"})
		}
		s.propose(n, &fsm.StreamsAdd{Link: 1, Streams: keys})
	}
}

// moveAll lets every task report progress for a while, as streams that move
// fast do, and tells what that costs.
func (s *sim) moveAll(d time.Duration) {
	s.t.Helper()
	l := s.leader()
	index, start, size := l.View().Index, cpu(s.t), s.logSize(l)
	for step := int64(1); step <= int64(d/time.Second); step++ {
		for _, n := range s.nodes {
			for task := range n.View().Tasks {
				if task.Owner == n.self.ServerID {
					n.Progress(fsm.ProgressItem{Task: task.ID, Turn: task.Turn, Progress: fsm.Progress{
						Source: step * 1e6, Target: step * 1e6, Records: step * 1e6, At: time.Now().UnixMilli(),
					}})
				}
			}
		}
		time.Sleep(time.Second)
	}
	s.t.Logf("%v of fast progress of all tasks: %d commands, log grew by %d bytes, %v CPU for three nodes",
		d, l.View().Index-index, s.logSize(l)-size, cpu(s.t)-start)
}

// logSize sums the bytes of a node's log.
func (s *sim) logSize(n *simNode) (size int) {
	s.t.Helper()
	c := n.consensus.raft.Load()
	first, err := c.bolt.FirstIndex()
	if err != nil {
		s.t.Fatal(err)
	}
	for i := first; i <= c.LastIndex(); i++ {
		size += s.entrySize(c, i)
	}
	return size
}

func (s *sim) entrySize(c *raftNode, i uint64) int {
	var entry raft.Log
	if err := c.logs.GetLog(i, &entry); err != nil {
		s.t.Fatal(err)
	}
	return len(entry.Data)
}
