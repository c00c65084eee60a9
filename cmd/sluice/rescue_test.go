package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/cli"
	"sluice/test/rig"
	"sluice/test/system"
)

// lone is a node of a cluster of its own in a folder of a test.
type lone struct {
	config, http string
	stop         func()
}

func newLone(t *testing.T, dir string) *lone {
	t.Helper()
	n := &lone{config: filepath.Join(dir, "node.yaml"), http: system.FreePort(t)}
	text := fmt.Sprintf("name: n1\ndataDir: data\npeer: {listen: %q}\nhttp: {listen: %q}\n", system.FreePort(t), n.http)
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *lone) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var log bytes.Buffer
	go func() { ended <- serve(ctx, n.config, cli.ServerOptions{Insecure: true, Stderr: &log}) }()
	n.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	}
	rig.Until(t, 2*time.Minute, "the node has joined itself", func() bool {
		_, out, _ := command(t, n.http, "", "cluster", "members")
		return strings.Contains(out, "n1    leader  alive")
	})
}

func (n *lone) clusterID(t *testing.T) string {
	t.Helper()
	_, out, _ := command(t, n.http, "", "status", "-o", "yaml")
	for line := range strings.Lines(out) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "clusterId: "); ok {
			return id
		}
	}
	t.Fatalf("no cluster id: %s", out)
	return ""
}

// TestSaveRestoreRecover: what is saved of a running node is restored as a
// cluster of its own on another machine; the node itself is recovered where it
// is. Neither is done beside a node that runs or over data that is there, and
// nothing without being told.
func TestSaveRestoreRecover(t *testing.T) {
	dir := t.TempDir()
	n := newLone(t, dir)
	n.start(t)
	object := "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec: {bootstrap: [127.0.0.1:1]}\n"
	if code, _, errs := command(t, n.http, object, "apply", "-f", "-"); code != 0 {
		t.Fatal(errs)
	}
	before, file := n.clusterID(t), filepath.Join(dir, "saved")
	if code, out, errs := command(t, n.http, "", "cluster", "snapshot", "save", file); code != 0 || !strings.Contains(out, before) {
		t.Fatalf("save: %d %s %s", code, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if code, _, errs := command(t, n.http, "", "cluster", "snapshot", "save", file); code != 1 || !strings.Contains(errs, "already") {
		t.Errorf("saved over a file: %d %s", code, errs)
	}
	if code, out, errs := command(t, n.http, "", "cluster", "snapshot", "inspect", file); code != 0 || !strings.Contains(out, before) || !strings.Contains(out, "us") {
		t.Errorf("inspect: %d %s %s", code, out, errs)
	}
	if code, _, errs := command(t, n.http, "", "cluster", "recover", "-c", n.config, "--yes"); code != 1 || !strings.Contains(errs, "does the node run?") {
		t.Errorf("recovered while it runs: %d %s", code, errs)
	}
	n.stop()

	if code, _, errs := command(t, n.http, "", "cluster", "recover", "-c", n.config); code != 2 || !strings.Contains(errs, "--yes") {
		t.Errorf("nobody was asked: %d %s", code, errs)
	}
	if code, out, errs := command(t, n.http, "", "cluster", "recover", "-c", n.config, "--yes"); code != 0 || !strings.Contains(out, "sluice link adopt") {
		t.Errorf("recover: %d %s %s", code, out, errs)
	}
	if code, _, errs := command(t, n.http, "", "cluster", "snapshot", "restore", file, "-c", n.config, "--yes"); code != 1 || !strings.Contains(errs, "belongs to a node already") {
		t.Errorf("restored over data: %d %s", code, errs)
	}
	n.start(t)
	recovered := n.clusterID(t)
	_, objects, _ := command(t, n.http, "", "export", "all")
	n.stop()

	m := newLone(t, t.TempDir())
	if code, out, errs := command(t, m.http, "", "cluster", "snapshot", "restore", file, "-c", m.config, "--yes"); code != 0 || !strings.Contains(out, "sluice link adopt") {
		t.Fatalf("restore: %d %s %s", code, out, errs)
	}
	m.start(t)
	defer m.stop()
	if _, again, _ := command(t, m.http, "", "export", "all"); again != objects || !strings.Contains(again, "name: us") {
		t.Errorf("restored:\n%s\nrecovered:\n%s", again, objects)
	}
	if restored := m.clusterID(t); restored == before || recovered == before || restored == recovered {
		t.Errorf("cluster ids: %s, recovered %s, restored %s", before, recovered, restored)
	}
}
