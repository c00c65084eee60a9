package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/fsm"
	"sluice/pki"
	"sluice/test/certs"
	"sluice/test/vnet"
	"sluice/transport"
)

// fortress is a cluster of three nodes with certificates in one bubble, and an
// authority that signs for others too.
type fortress struct {
	t     *testing.T
	net   *vnet.Network
	dir   string
	nodes []*Node
	logs  []*heard
	ends  []func()
}

// inFortress runs a test against three voters.
func inFortress(t *testing.T, fn func(*fortress)) {
	t.Helper()
	dir := t.TempDir()
	a := certs.New(t, dir, "Our CA")
	for i := 1; i <= 9; i++ {
		a.Issue(certs.Node{Name: fmt.Sprint("n", i), Hosts: []string{ipOf(i), ipOf(i + 10)}})
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fortress{t: t, net: vnet.New(), dir: dir}
		defer time.Sleep(time.Minute) // libraries' last timers
		defer func() {
			for _, end := range f.ends {
				end()
			}
		}()
		for i := 1; i <= 3; i++ {
			n, log, end := withTLS(t, f.net, dir, fmt.Sprint("n", i), i, 3, func(c *Config) { c.Allow = []string{"n7"} })
			f.nodes, f.logs, f.ends = append(f.nodes, n), append(f.logs, log), append(f.ends, end)
		}
		f.until("three voters that know all", func() bool {
			for _, n := range f.nodes {
				if !n.Quorum() || len(n.View().Nodes) != 3 || n.View().Feature != fsm.FeatureLevel || len(votersOf(n.consensus.servers())) != 3 {
					return false
				}
			}
			return true
		})
		fn(f)
	})
}

func (f *fortress) until(what string, cond func() bool) {
	f.t.Helper()
	for begun := time.Now(); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			for i, log := range f.logs {
				f.t.Logf("n%d: %s", i+1, log.text.String())
			}
			f.t.Fatal("not: " + what)
		}
	}
}

func (f *fortress) leader() *Node {
	for _, n := range f.nodes {
		if n.consensus.leading.Load() != nil {
			return n
		}
	}
	f.t.Fatal("nobody leads")
	return nil
}

func (f *fortress) follower() *Node {
	for _, n := range f.nodes {
		if n.consensus.leading.Load() == nil {
			return n
		}
	}
	return nil
}

// link makes a link for attackers to delete.
func (f *fortress) link() {
	f.t.Helper()
	r, err := f.leader().Propose(f.t.Context(), &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us"}, {Name: "eu"}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu", State: fsm.StateRunning}}},
	})
	if err != nil || r.Refused != "" {
		f.t.Fatal(r, err)
	}
}

// attacker is a program at host 9 with the certificate of a node, which says of
// itself what it likes.
func (f *fortress) attacker(name string, self transport.Identity) *transport.Transport {
	f.t.Helper()
	host := f.net.Host(ipOf(9))
	tr, err := transport.New(transport.Config{
		Listen: ipOf(9) + ":7400", Advertise: self.Advertise,
		TLS:     pki.Files{Cert: f.dir + "/" + name + ".pem", Key: f.dir + "/" + name + ".key", CA: f.dir + "/ca.pem"},
		Network: transport.Network{Listen: host.Listen, Dial: host.Dial},
	}, self, slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	f.ends = append(f.ends, func() { stop(); <-done })
	time.Sleep(10 * time.Millisecond) // until it listens
	return tr
}

// ask calls a node at a path and returns the code of the refusal.
func (f *fortress) ask(tr *transport.Transport, n *Node, path string, in any) string {
	f.t.Helper()
	c := tr.Client()
	defer c.Close()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	err := c.Call(ctx, transport.Target{Address: n.self.Advertise}, path, in, nil)
	if err == nil {
		return ""
	}
	remote, ok := errors.AsType[*transport.RemoteError](err)
	if !ok {
		return err.Error()
	}
	if ok && remote.Status != http.StatusForbidden {
		return "another status: " + remote.Error()
	}
	return remote.Code
}

// event waits until an act with a text is an event of the cluster.
func (f *fortress) event(text string) {
	f.t.Helper()
	f.until("an event: "+text, func() bool {
		return slices.ContainsFunc(f.leader().View().LinkEvents(0).All(), func(e *fsm.Event) bool { return strings.Contains(e.Message, text) })
	})
}
