package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

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
		s.until("three voters", time.Minute, func() bool { l := s.leader(); return l != nil && len(votersOf(l.consensus.servers())) == 3 })
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
			age, ok := n.ownership.leaderAge()
			return ok && age < 2*time.Second
		})
	})
}
