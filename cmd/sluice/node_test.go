package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/cli"
	"sluice/test/rig"
	"sluice/test/system"
)

// command runs one command line against the node and returns what it wrote.
func command(t *testing.T, address, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	code = cli.Run(t.Context(), append(args, "--address", address), env, local())
	return code, out.String(), errs.String()
}

// TestNodeLivesAndEnds runs a whole node: it founds a cluster, serves its
// page, metrics and commands, and ends cleanly, leaving nothing behind.
func TestNodeLivesAndEnds(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	http1 := system.FreePort(t)
	path := filepath.Join(t.TempDir(), "node.yaml")
	text := fmt.Sprintf("name: n1\ndataDir: data\npeer: {listen: %q}\nhttp: {listen: %q}\n", system.FreePort(t), http1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var log bytes.Buffer
	go func() { ended <- serve(ctx, path, cli.ServerOptions{Insecure: true, Stderr: &log}) }()
	rig.Until(t, 2*time.Minute, "the node is ready", func() bool { return fetch(t, http1, "/readyz") == "ok\n" })

	if page := fetch(t, http1, "/"); !strings.Contains(page, "<title>Sluice</title>") {
		t.Errorf("page: %.100s", page)
	}
	metrics := fetch(t, http1, "/metrics")
	for _, want := range []string{"sluice_cluster_is_leader 1", "sluice_cluster_quorum 1", "sluice_build_info{", "go_goroutines", "process_open_fds"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	rig.Until(t, 2*time.Minute, "the node has joined itself", func() bool {
		_, out, _ := command(t, http1, "", "cluster", "members")
		return strings.Contains(out, "n1    leader  alive")
	})
	object := "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec: {bootstrap: [127.0.0.1:1]}\n"
	if code, out, errs := command(t, http1, object, "apply", "-f", "-"); code != 0 || !strings.Contains(out, "KafkaCluster us created") {
		t.Errorf("apply: %d %s %s", code, out, errs)
	}
	// No file of the node goes to somebody's listener.
	thief := strings.Replace(object, "spec: {", fmt.Sprintf("spec: {sasl: {mechanism: PLAIN, username: u, password: \"${file:%s}\"}, ", path), 1)
	for _, verb := range []string{"plan", "apply"} {
		if code, _, errs := command(t, http1, thief, verb, "-f", "-"); code != 1 || !strings.Contains(errs, "stdin:4:56: spec.sasl.password: secret") || !strings.Contains(errs, "reads secrets only below") {
			t.Errorf("%s: %d %s", verb, code, errs)
		}
	}
	// Both Kafka clusters are asked before a link is taken.
	link := object + "---\n" + strings.Replace(object, "name: us", "name: eu", 1) + "---\napiVersion: sluice/v1\nkind: Link\nmetadata: {name: l}\nspec: {source: us, target: eu, topics: {include: [a]}}\n"
	if code, _, errs := command(t, http1, link, "apply", "-f", "-"); code != 1 || !strings.Contains(errs, "link l: ") || !strings.Contains(errs, "nothing was changed") {
		t.Errorf("apply: %d %s", code, errs)
	}
	if code, out, _ := command(t, http1, "", "export", "all"); code != 0 || strings.Contains(out, "kind: Link") {
		t.Errorf("export: %d %s", code, out)
	}
	if code, _, errs := command(t, http1, "", "cluster", "leave", "--yes"); code != 1 || !strings.Contains(errs, "only node") {
		t.Errorf("leave: %d %s", code, errs)
	}
	if code, _, errs := command(t, http1, "", "link", "verify", "nope"); code != 1 || !strings.Contains(errs, "there is no link nope") {
		t.Errorf("verify: %d %s", code, errs)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "node ended") {
		t.Error(log.String())
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, ignore)
}

// TestNodeDoesNotStartHalf: a port that is taken fails at once and by name.
func TestNodeDoesNotStartHalf(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, ports := range map[string][2]string{
		"http": {system.FreePort(t), taken.Addr().String()},
		"peer": {taken.Addr().String(), system.FreePort(t)},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "node.yaml")
			text := fmt.Sprintf("name: n1\ndataDir: data\npeer: {listen: %q}\nhttp: {listen: %q}\n", ports[0], ports[1])
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := serve(t.Context(), path, cli.ServerOptions{Insecure: true, Stderr: io.Discard})
			if err == nil || !strings.Contains(err.Error(), "address already in use") {
				t.Errorf("%v", err)
			}
		})
	}
}

func fetch(t *testing.T, address, path string) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
