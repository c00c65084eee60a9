package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/pki"
	"sluice/transport"
)

// TestRealNetwork runs three nodes over the kernel's TCP with mutual TLS: what
// the virtual network cannot show.
func TestRealNetwork(t *testing.T) {
	dir := t.TempDir()
	if err := pki.CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	var nodes []*Node
	var listeners []net.Listener
	var join []string
	for range 3 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners, join = append(listeners, ln), append(join, ln.Addr().String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	for i, ln := range listeners {
		name := fmt.Sprintf("n%d", i+1)
		if err := pki.CreateNodeCert(dir, name, []string{"127.0.0.1"}); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, startReal(ctx, t, dir, name, ln, join, done))
	}
	poll(t, 60*time.Second, "three voters with one cluster id", func() bool {
		for _, n := range nodes {
			s := n.Status()
			voters := 0
			for _, m := range s.Members {
				if m.Voter && m.Life == LifeAlive {
					voters++
				}
			}
			if voters != 3 || !s.Quorum || s.ClusterID != nodes[0].Status().ClusterID {
				return false
			}
		}
		return true
	})
	for _, n := range nodes {
		if r, err := n.Propose(ctx, &fsm.Barrier{}); err != nil || n.WaitIndex(ctx, r.Index) != nil {
			t.Errorf("%s: %v", n.cfg.Name, err)
		}
	}
	cancel()
	for range nodes {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func startReal(ctx context.Context, t *testing.T, dir, name string, ln net.Listener, join []string, done chan<- error) *Node {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	data := filepath.Join(dir, "data-"+name)
	id, err := OpenIdentity(data)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := transport.New(transport.Config{
		Listen: ln.Addr().String(),
		TLS: pki.Files{
			Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, pki.CACertFile),
		},
		Network: transport.Network{Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil }},
	}, transport.Identity{ServerID: id.ServerID, Name: name, ClusterID: id.ClusterID}, log)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(Config{Name: name, DataDir: data, Join: join, PromoteAfter: 100 * time.Millisecond}, tr, log)
	if err != nil {
		t.Fatal(err)
	}
	trCtx, stop := context.WithCancel(context.Background())
	trDone := make(chan error, 1)
	go func() { trDone <- tr.Run(trCtx) }()
	go func() {
		err := n.Run(ctx, nil)
		stop()
		done <- errors.Join(err, <-trDone)
	}()
	return n
}

// poll waits in real time for a condition.
func poll(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}
