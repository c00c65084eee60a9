package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Build returns the program, made from the tree as it is, once for all tests of
// a run, or made from a commit of the repository in a folder that ends with the
// test. A test is left out where the clone does not hold the commit.
func Build(t testing.TB, commit string) string {
	t.Helper()
	var bin string
	var err error
	if commit == "" {
		bin, err = fromTree()
	} else {
		bin, err = buildIn(checkout(t, root(t), commit), t.TempDir())
	}
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// fromTree builds the tree in the temporary folder of the run.
var fromTree = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-program-")
	if err != nil {
		return "", err
	}
	return buildIn("", dir)
})

// buildIn builds the module that a folder is in ("" for the working folder).
func buildIn(tree, dir string) (string, error) {
	bin := filepath.Join(dir, "sluice")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "sluice/cmd/sluice")
	build.Dir = tree
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building sluice: %w\n%s", err, out)
	}
	return bin, nil
}

// root is the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("finding the module: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// checkout unpacks a commit into a folder that ends with the test.
func checkout(t testing.TB, repository, commit string) string {
	t.Helper()
	has := exec.Command("git", "cat-file", "-e", commit+"^{commit}")
	has.Dir = repository
	if has.Run() != nil {
		t.Skipf("commit %s is not in this clone's history", commit)
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree.tar")
	archive := exec.Command("git", "archive", "--output", tree, commit)
	archive.Dir = repository
	for _, step := range []*exec.Cmd{archive, exec.Command("tar", "-x", "-f", tree, "-C", dir)} {
		if out, err := step.CombinedOutput(); err != nil {
			t.Fatalf("taking commit %s: %v\n%s", commit, err, out)
		}
	}
	if err := os.Remove(tree); err != nil {
		t.Fatal(err)
	}
	return dir
}
