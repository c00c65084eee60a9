package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/transport"
)

// copyDir copies the data dir of node i for node j.
func (s *sim) copyDir(i, j int) {
	s.t.Helper()
	if err := os.RemoveAll(s.dataDir(j)); err != nil {
		s.t.Fatal(err)
	}
	if err := os.CopyFS(s.dataDir(j), os.DirFS(s.dataDir(i))); err != nil {
		s.t.Fatal(err)
	}
}

// startAs starts node i of the trio's cluster under another's name.
func (s *sim) startAs(i int, name string, peers ...int) *simNode {
	s.t.Helper()
	cfg := s.cfg
	cfg.Name, cfg.DataDir = name, s.dataDir(i)
	for _, p := range peers {
		cfg.Join = append(cfg.Join, ipOf(p)+":7400")
	}
	return s.startWith(i, cfg)
}

// endsAsCopy waits until node i has ended because its identity is alive at
// node j's address.
func (s *sim) endsAsCopy(i, j int) {
	s.t.Helper()
	n := s.nodes[i]
	select {
	case err := <-n.done:
		if !errors.Is(err, ErrCopied) || !strings.Contains(err.Error(), "is alive at "+ipOf(j)+":7400") ||
			!strings.Contains(err.Error(), filepath.Join(s.dataDir(i), identityFile)) || !strings.Contains(err.Error(), filepath.Join(s.dataDir(i), raftDir)) {
			s.t.Errorf("it ends with %v", err)
		}
	case <-time.After(time.Minute):
		s.t.Error("the copy runs")
		n.stop()
		<-n.done
	}
	delete(s.nodes, i)
	if n.consensus.raft.Load() != nil && n.consensus.leading.Load() != nil {
		s.t.Error("the copy led")
	}
}

// TestCopiedDataDir: a node with a copy of a living one's data dir ends and says
// how it can join; the living one notices nothing, and the copy stays away when
// that one restarts.
func TestCopiedDataDir(t *testing.T) {
	for _, address := range []bool{true, false} { // false: the copy is of a release that wrote no address
		runSim(t, func(s *sim) {
			s.trio()
			s.addTasks(29)
			s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
			leader := s.leader()
			term, starts := leader.Status().Term, s.world.starts
			s.copyDir(2, 4)
			if !address {
				forgetAddress(s.t, s.dataDir(4))
			}
			copied := s.startAs(4, "n2", 1, 3)
			s.endsAsCopy(4, 2)
			if copied.consensus.raft.Load() != nil {
				s.t.Error("the copy opened Raft")
			}
			if s.leader() != leader || leader.Status().Term != term || s.world.starts != starts || !s.balanced(30, 1, 2, 3) {
				s.t.Errorf("the copy was felt: term %d, was %d; %d tasks began anew", leader.Status().Term, term, s.world.starts-starts)
			}
			s.kill(2)
			if _, err := OpenIdentity(s.dataDir(4)); !errors.Is(err, ErrCopied) {
				s.t.Errorf("with the living one away the copy begins: %v", err)
			}
			s.start(2, 1, 2, 3)
			s.until("n2 is back", 30*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
			for _, name := range []string{identityFile, raftDir} { // as the error says
				if err := os.RemoveAll(filepath.Join(s.dataDir(4), name)); err != nil {
					s.t.Fatal(err)
				}
			}
			s.start(4, 1, 2, 3)
			s.until("it is a new node", time.Minute, func() bool { return s.balanced(30, 1, 2, 3, 4) })
			s.equal()
		})
	}
}

// forgetAddress makes an identity one of a release that wrote none.
func forgetAddress(t *testing.T, dir string) {
	t.Helper()
	id, err := ReadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	id.Address = ""
	b, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNodeMoves: a node comes back at another address with its data dir, and
// with its vote; the one at the former address, which is out of date now, does
// not come back.
func TestNodeMoves(t *testing.T) {
	for name, c := range map[string]struct{ silent, legacy bool }{
		"the process ended": {}, "the machine is gone": {silent: true}, "from an older release": {legacy: true},
	} {
		t.Run(name, func(t *testing.T) {
			runSim(t, func(s *sim) {
				s.trio()
				s.addTasks(29)
				s.until("assigned", 5*time.Second, func() bool { return s.balanced(30, 1, 2, 3) })
				id := s.nodes[2].self.ServerID
				if c.silent {
					s.isolate(2)
				}
				s.kill(2)
				s.bury()
				s.copyDir(2, 4)
				if c.legacy {
					forgetAddress(s.t, s.dataDir(4))
				}
				s.startAs(4, "n2", 1, 3)
				took := s.until("it works at its new address", time.Minute, func() bool {
					l := s.leader()
					return l != nil && l.View().Node(id) != nil && l.View().Node(id).Addr == ipOf(4)+":7400" && s.balanced(30, 1, 3, 4)
				})
				s.t.Logf("it took %v", took)
				if got := len(votersOf(s.leader().consensus.servers())); got != 3 || len(s.nodes[4].Status().Obstacles) != 0 {
					s.t.Errorf("%d voters, %q", got, s.nodes[4].Status().Obstacles)
				}
				s.equal()
				s.rejoin(2)
				term := s.leader().Status().Term
				s.startAs(2, "n2", 1, 3)
				s.endsAsCopy(2, 4)
				if !s.balanced(30, 1, 3, 4) || s.leader().Status().Term != term {
					s.t.Error("its former self was felt")
				}
			})
		})
	}
}

// TestLeaderMoves, and whoever leads then.
func TestLeaderMoves(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		l := s.leader()
		s.kill(l.i)
		s.bury()
		s.copyDir(l.i, 4)
		s.startAs(4, l.cfg.Name, 1, 2, 3)
		s.until("three vote", time.Minute, func() bool {
			x := s.leader()
			return x != nil && x.View().Node(l.self.ServerID).Addr == ipOf(4)+":7400" && len(votersOf(x.consensus.servers())) == 3 && s.nodes[4].Status().Quorum
		})
		s.propose(s.nodes[4], &fsm.Barrier{})
		s.equal()
	})
}

// TestTheOnlyNodeMoves: there is nobody to ask.
func TestTheOnlyNodeMoves(t *testing.T) {
	runSim(t, func(s *sim) {
		n := s.start(1)
		s.until("a leader", 20*time.Second, func() bool { return s.leader() != nil })
		s.kill(1)
		s.bury()
		s.isolate(1) // nothing answers there, not even that nobody listens
		s.copyDir(1, 4)
		s.startAs(4, "n1")
		s.until("it leads at its new address", time.Minute, func() bool {
			l := s.leader()
			return l != nil && l.View().Node(n.self.ServerID) != nil && l.View().Node(n.self.ServerID).Addr == ipOf(4)+":7400" &&
				string(l.consensus.servers()[0].Address) == ipOf(4)+":7400"
		})
	})
}

// TestClonesFoundNothing: machines made from one image that ran already.
func TestClonesFoundNothing(t *testing.T) {
	runSim(t, func(s *sim) {
		if _, err := OpenIdentity(s.dataDir(1)); err != nil {
			s.t.Fatal(err)
		}
		s.copyDir(1, 2)
		s.start(1, 1, 2)
		s.start(2, 1, 2)
		time.Sleep(time.Minute)
		for i, other := range map[int]int{1: 2, 2: 1} {
			why := s.nodes[i].Status().Obstacles
			if len(why) != 1 || !strings.HasPrefix(why[0], fmt.Sprintf("no cluster is founded while 127.0.0.%d:7400 has the identity of this node", other)) || s.nodes[i].tr.Self().ClusterID != "" {
				s.t.Errorf("node %d: %q", i, why)
			}
		}
		s.kill(2)
		s.bury()
		if err := os.RemoveAll(s.dataDir(2)); err != nil {
			s.t.Fatal(err)
		}
		s.start(2, 1, 2)
		s.until("two nodes", time.Minute, func() bool { l := s.leader(); return l != nil && len(l.View().Nodes) == 2 })
	})
}

// TestUnsettled: when it is certain that an identity has moved.
func TestUnsettled(t *testing.T) {
	const former, here = "a:1", "b:1"
	moved, unknown := Identity{ServerID: "x", ClusterID: "c", Address: former}, Identity{ServerID: "x", ClusterID: "c"}
	silent, refused, twin := errors.New("no answer"), syscall.ECONNREFUSED, error(&transport.TwinError{Alive: former, By: "n1"})
	member, newcomer := []introduction{{ClusterID: "c"}}, []introduction{{}}
	for name, c := range map[string]struct {
		id   Identity
		r    round
		long bool
		want string // a part; empty: it has moved
	}{
		"too early":                    {moved, round{answers: member}, false, "listens whether it is alive"},
		"a member would have refused":  {moved, round{answers: member, failed: map[string]error{former: silent}}, true, ""},
		"a member refuses":             {moved, round{answers: member, failed: map[string]error{"n1:1": twin}}, true, "n1 says that the node with the identity of this one is alive at a:1"},
		"it refuses itself":            {moved, round{failed: map[string]error{former: twin}}, true, "is alive at a:1"},
		"nobody knows":                 {moved, round{answers: newcomer, failed: map[string]error{former: silent, "n1:1": silent}}, true, "nobody can tell"},
		"nobody there":                 {moved, round{failed: map[string]error{former: refused, "n1:1": silent}}, true, ""},
		"another name of this machine": {moved, round{failed: map[string]error{"n1:1": silent}}, true, ""},
		"nobody to ask":                {moved, round{failed: map[string]error{former: silent}}, true, ""},
		"of an older release":          {unknown, round{failed: map[string]error{"n1:1": silent}}, false, ""},
		"of an older release, copied":  {unknown, round{answers: member, failed: map[string]error{"n1:1": twin}}, false, "alive at a:1"},
	} {
		if got := c.r.unsettled(c.id, here, c.long); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
