package scratch

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		os.Exit(In(m).Run())
	}
	os.Exit(m.Run())
}

// victim tells a child process how it is to end.
const victim = "SCRATCH_TEST_END"

// TestVictim is the run that TestWhatADeadRunLeft sees die.
func TestVictim(t *testing.T) {
	how := os.Getenv(victim)
	if how == "" {
		t.Skip("only run by another test")
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("here: %s\n", os.TempDir())
	switch how {
	case "panic":
		panic("as asked for")
	case "failure":
		t.Fatal("as asked for")
	case "kill":
		select {}
	}
}

func TestWhatADeadRunLeft(t *testing.T) {
	for how, left := range map[string]bool{"kill": true, "panic": true, "failure": false, "pass": false} {
		t.Run(how, func(t *testing.T) {
			parent := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
			cmd.Env = append(os.Environ(), victim+"="+how, "TMPDIR="+parent)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			dir := ""
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if at, ok := strings.CutPrefix(lines.Text(), "here: "); ok {
					dir = at
					if how == "kill" {
						break
					}
				}
			}
			if how == "kill" {
				other, err := Make(parent, runPrefix)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(dir, inUse)); err != nil {
					t.Error("the folder of a run was swept under it")
				}
				if err := other.Remove(); err != nil {
					t.Error(err)
				}
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); (err == nil) != (how == "pass") {
				t.Errorf("the run ended with %v", err)
			}
			if filepath.Dir(dir) != parent {
				t.Fatalf("the run's folder is %q, want one in %q", dir, parent)
			}
			if _, err := os.Stat(dir); (err == nil) != left {
				t.Errorf("after the run: %v", err)
			}
			empty(t, parent)
		})
	}
}

// empty makes one more folder and wants nothing else to be there afterwards.
func empty(t *testing.T, parent string) {
	t.Helper()
	f, err := Make(parent, runPrefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(parent, "*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestSweepKeepsWhatIsInUse(t *testing.T) {
	parent := t.TempDir()
	used, err := Make(parent, "x-")
	if err != nil {
		t.Fatal(err)
	}
	fresh, old := filepath.Join(parent, unnamed+"x-1"), filepath.Join(parent, unnamed+"x-2")
	removing := filepath.Join(parent, "x-3") // its lock is gone already
	for _, d := range []string{fresh, old, removing} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if at := time.Now().Add(-2 * stale); os.Chtimes(old, at, at) != nil {
		t.Fatal("setting a folder's time")
	}
	sweep(parent, "x-")
	for dir, want := range map[string]bool{used.Path: true, fresh: true, removing: true, old: false} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", dir, err == nil, want)
		}
	}
}

func TestLocksExclude(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := TryLock(path); f != nil || err != nil {
		t.Errorf("locked twice: %v, %v", f, err)
	}
	unlock()
	f, err := TryLock(path)
	if f == nil || err != nil {
		t.Fatalf("not locked: %v", err)
	}
	f.Close()
	if _, err := TryLock(filepath.Join(path, "no-folder")); err == nil {
		t.Error("a lock in no folder")
	}
}
