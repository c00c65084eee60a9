package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/fsm"
)

// TestRealFullDisk: the data dir of a follower is a small file system that
// something else fills.
func TestRealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	runSim(t, func(s *sim) {
		s.start(1, 1, 2, 3)
		s.start(2, 1, 2, 3)
		cfg := s.cfg
		cfg.Name, cfg.DataDir, cfg.Join = "n3", filepath.Join(dir, "n3"), []string{ipOf(1) + ":7400", ipOf(2) + ":7400"}
		lost := s.startWith(3, cfg)
		s.until("three vote", time.Minute, func() bool { return len(s.leaderVoters()) == 3 })
		s.addTasks(50)
		filler := filepath.Join(dir, "filler")
		fill(s.t, filler)
		n := s.leader()
		if n == lost {
			n = s.nodes[1]
		}
		big := strings.Repeat("x", 2000)
		s.until("the others know", 20*time.Second, func() bool {
			s.propose(n, &fsm.EventsAdd{Events: []fsm.Event{{Code: fsm.CodeTakeover, Message: big + time.Now().String(), From: -1, To: -1, Count: 1}}})
			why := s.diskOf(1, lost)
			return strings.HasPrefix(why, "disk full: writing "+dir) && strings.HasSuffix(why, ": no space left on device")
		})
		s.t.Log(s.diskOf(1, lost))
		if err := os.Remove(filler); err != nil {
			s.t.Fatal(err)
		}
		r := s.propose(n, &fsm.Barrier{})
		s.until("it takes part again", time.Minute, func() bool { return lost.View().Index >= r.Index && s.diskOf(1, lost) == "" })
		s.equal()
	})
}

// fill writes a file until there is no room for more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
