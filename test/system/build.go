package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Build makes the program in a folder that ends with the test: from the tree
// as it is, or from a commit of the repository. A test is left out where the
// clone does not hold the commit.
func Build(t testing.TB, commit string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "sluice")
	dir := root(t)
	if commit != "" {
		dir = checkout(t, dir, commit)
	}
	build := exec.Command("go", "build", "-o", bin, "./cmd/sluice")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building sluice: %v\n%s", err, out)
	}
	return bin
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
