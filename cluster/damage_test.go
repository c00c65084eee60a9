package cluster

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"sluice/fsm"
)

// storeOf writes a log of some hundred kilobytes, with what Raft keeps beside
// it.
func storeOf(t *testing.T, path string) {
	t.Helper()
	b, err := boltdb.New(boltdb.Options{Path: path, BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(40) {
		var entries []*raft.Log
		for k := range uint64(20) {
			entries = append(entries, &raft.Log{Index: i*20 + k + 1, Term: 3, Data: bytes.Repeat([]byte{byte(i)}, 700)})
		}
		if err := errors.Join(b.StoreLogs(entries), b.SetUint64([]byte(keyTerm), i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.DeleteRange(1, 100), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamageIsFound: whatever a disk made of a store, it is named, or the store
// opens; nothing panics.
func TestDamageIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), logFile)
	storeOf(t, path)
	if err := checkStore(path); err != nil {
		t.Fatalf("a sound store: %v", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	damages := map[string]func(b []byte, at int) []byte{
		"cut short":   func(b []byte, at int) []byte { return b[:at] },
		"zeroes":      func(b []byte, at int) []byte { clear(b[at-at%page : min(at-at%page+page, len(b))]); return b },
		"a flip":      func(b []byte, at int) []byte { b[at] ^= 0x40; return b },
		"a head flip": func(b []byte, at int) []byte { b[at-at%page+at%24] ^= 1 << (at % 8); return b },
		"noise": func(b []byte, at int) []byte {
			for i := at - at%page; i < min(at-at%page+page, len(b)); i++ {
				b[i] = byte(i * 7)
			}
			return b
		},
	}
	seed := rand.Uint64()
	found := map[string]int{}
	for name, damage := range damages {
		r := rand.New(rand.NewPCG(seed, uint64(len(name))))
		for range 60 {
			at := 1 + r.IntN(len(whole)-1)
			if err := os.WriteFile(path, damage(bytes.Clone(whole), at), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := checkStore(path); err != nil {
				found[name]++
				continue
			}
			b, err := boltdb.New(boltdb.Options{Path: path, BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}})
			if err != nil {
				t.Errorf("%s at %d is not found, and the store does not open: %v", name, at, err)
				continue
			}
			_, err = b.LastIndex()
			if err := errors.Join(err, b.Close()); err != nil {
				t.Errorf("%s at %d: %v", name, at, err)
			}
		}
		if found[name] == 0 && name != "a flip" { // most of the file are values, which their readers check
			t.Errorf("%s: nothing was found in 60 tries", name)
		}
	}
	t.Logf("seed %d, of 60 each: %v", seed, found)
	if err := checkStore(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no store yet: %v", err)
	}
}

// TestNodeSaysThatItsLogIsDamaged in one error, with the way out.
func TestNodeSaysThatItsLogIsDamaged(t *testing.T) {
	runSim(t, func(s *sim) {
		s.trio()
		n := s.follower()
		s.kill(n.i)
		s.bury()
		path := filepath.Join(s.dataDir(n.i), raftDir, logFile)
		b, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		for i := 2 * 4096; i < len(b); i++ { // the two heads are whole
			b[i] = 0xAA
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			s.t.Fatal(err)
		}
		n = s.start(n.i, 1, 2, 3)
		err = <-n.done
		delete(s.nodes, n.i)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "the rest of the cluster is safe") || strings.Contains(err.Error(), "\n") {
			s.t.Errorf("it ended with %v", err)
		}
	})
}

// TestNodeThatForgotDoesNotVote: a log that was cut to nothing, or is an old
// one, holds less than the node once had: it is lost, and nothing that was
// acknowledged with its help.
func TestNodeThatForgotDoesNotVote(t *testing.T) {
	for name, forget := range map[string]func(now, before []byte) []byte{
		"cut to nothing": func(_, _ []byte) []byte { return nil },
		"an old copy":    func(_, before []byte) []byte { return before },
	} {
		t.Run(name, func(t *testing.T) {
			runSim(t, func(s *sim) {
				s.trio()
				n := s.follower()
				path := filepath.Join(s.dataDir(n.i), raftDir, logFile)
				s.kill(n.i)
				s.bury()
				before, err := os.ReadFile(path)
				if err != nil {
					s.t.Fatal(err)
				}
				s.start(n.i, 1, 2, 3)
				for range 2 * floorEvery {
					s.propose(s.leader(), &fsm.Barrier{})
				}
				s.equal()
				s.kill(n.i)
				s.bury()
				now, err := os.ReadFile(path)
				if err != nil {
					s.t.Fatal(err)
				}
				if err := os.WriteFile(path, forget(now, before), 0o600); err != nil {
					s.t.Fatal(err)
				}
				n = s.start(n.i, 1, 2, 3)
				err = <-n.done
				delete(s.nodes, n.i)
				if !errors.Is(err, ErrLogLost) {
					s.t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}
