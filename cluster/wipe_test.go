package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// TestHalfWipedNodeDoesNotStart: the founder's log is gone and its identity is
// not. It must neither begin its cluster a second time, which would tell the
// others that they are no members, nor vote as the one that it was.
func TestHalfWipedNodeDoesNotStart(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		for i := 1; i <= 3; i++ {
			s.kill(i)
			s.bury()
			if err := os.RemoveAll(filepath.Join(s.dataDir(i), raftDir)); err != nil {
				s.t.Fatal(err)
			}
			n := s.start(i, 1, 2, 3)
			select {
			case err := <-n.done:
				if !errors.Is(err, ErrLogLost) {
					s.t.Errorf("node %d ended with %v", i, err)
				}
				delete(s.nodes, i)
			case <-time.After(time.Minute):
				s.t.Errorf("node %d runs", i)
			}
			if err := os.RemoveAll(s.dataDir(i)); err != nil {
				s.t.Fatal(err)
			}
			n = s.start(i, 1, 2, 3)
			s.until("it votes as a new node", 2*time.Minute, func() bool {
				l := s.leader()
				return l != nil && slices.Contains(votersOf(l.consensus.servers()), raft.ServerID(n.self.ServerID))
			})
			s.propose(s.leader(), &fsm.Barrier{})
		}
		s.equal()
	})
}
