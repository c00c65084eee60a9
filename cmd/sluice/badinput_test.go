package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/api/apitest"
	"sluice/cli"
)

// badInput is something that an operator may get wrong.
type badInput struct {
	name  string
	files map[string]string
	args  []string
}

// typed is a mistake in the command line alone.
func typed(name string, args ...string) badInput {
	return badInput{name: name, args: append([]string{}, args...)}
}

// inputs runs bad inputs one after another in a folder of its own, against a
// node that answers from real facts: Kafka clusters us and eu, the link us-eu.
type inputs struct {
	t       *testing.T
	address string
	seen    map[string]bool
	golden  strings.Builder
}

// TestBadInput: whatever is wrong ends at once with a message that says what,
// where and what to do. All of them stand in testdata/bad-input.txt, for being
// read: go test ./cmd/sluice -run TestBadInput -update
func TestBadInput(t *testing.T) {
	path, err := filepath.Abs("testdata/bad-input.txt")
	if err != nil {
		t.Fatal(err)
	}
	f := apitest.New(t)
	f.WithLink(2)
	srv, _ := f.Serve(nil)
	in := &inputs{t: t, address: srv.URL, seen: map[string]bool{}}
	for _, part := range []struct {
		title string
		list  []badInput
	}{
		{"Manifests, each for itself", badManifests()},
		{"Links beside those that are there", badLinks()},
		{"The command line", badCommands()},
		{"node.yaml", badConfigs()},
	} {
		fmt.Fprintf(&in.golden, "# %s\n\n", part.title)
		for _, b := range part.list {
			in.run(b)
		}
	}
	if len(in.seen) < 100 {
		t.Errorf("%d inputs", len(in.seen))
	}
	if *update {
		if err := os.WriteFile(path, []byte(in.golden.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if got := strings.Split(in.golden.String(), "\n"); err != nil || !slices.Equal(got, strings.Split(string(want), "\n")) {
		t.Errorf("%s differs (%v); read what changed: go test ./cmd/sluice -run TestBadInput -update", path, err)
	}
}

func (in *inputs) run(b badInput) {
	in.t.Helper()
	if in.seen[b.name] {
		in.t.Errorf("two inputs are called %q", b.name)
	}
	in.seen[b.name] = true
	s := &site{t: in.t, dir: in.t.TempDir(), text: ""}
	for name, text := range b.files {
		s.write(name, text, 0o600)
	}
	in.t.Chdir(s.dir)
	ctx, stop := context.WithTimeout(in.t.Context(), 20*time.Second)
	defer stop()
	var out bytes.Buffer
	env := cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(name string) string {
		return map[string]string{"SLUICE_ADDRESS": in.address}[name]
	}}
	code := cli.Run(ctx, b.args, env, local())
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		in.t.Errorf("%s: no end", b.name)
	}
	said := strings.NewReplacer(s.dir+string(filepath.Separator), "", s.dir, "HERE", strings.TrimPrefix(in.address, "http://"), "NODE").Replace(out.String())
	if code == 0 || said == "" {
		in.t.Errorf("%s: code %d: %s", b.name, code, said)
	}
	for _, secret := range []string{"hunter2", "panic", "goroutine"} {
		if strings.Contains(said, secret) {
			in.t.Errorf("%s: says %q: %s", b.name, secret, said)
		}
	}
	fmt.Fprintf(&in.golden, "## %s\n$ sluice %s\n%s(exit %d)\n\n", b.name, strings.Join(b.args, " "), said, code)
}
