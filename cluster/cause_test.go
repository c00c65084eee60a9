package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/pki"
	"sluice/test/certs"
	"sluice/test/vnet"
	"sluice/transport"
)

// heard collects a log.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) count(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Count(strings.ReplaceAll(h.text.String(), `\"`, `"`), text)
}

// withTLS starts node i of nodes 1 to peers over a virtual network, with the
// certificate NAME of dir; end ends it.
func withTLS(t *testing.T, n *vnet.Network, dir, name string, i, peers int, more ...func(*Config)) (node *Node, log *heard, end func()) {
	t.Helper()
	log = &heard{}
	l := slog.New(slog.NewTextHandler(log, nil))
	data := filepath.Join(dir, fmt.Sprint("data", i))
	id, err := OpenIdentity(data)
	if err != nil {
		t.Fatal(err)
	}
	nodeName := fmt.Sprint("n", i)
	if i > 3 {
		nodeName = name
	}
	host := n.Host(ipOf(i))
	tr, err := transport.New(transport.Config{
		Listen:  ipOf(i) + ":7400",
		TLS:     pki.Files{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, "ca.pem")},
		Network: transport.Network{Listen: host.Listen, Dial: host.Dial},
	}, transport.Identity{ServerID: id.ServerID, Name: nodeName, ClusterID: id.ClusterID}, l)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Name: nodeName, DataDir: data}
	for p := 1; p <= peers; p++ {
		cfg.Join = append(cfg.Join, ipOf(p)+":7400")
	}
	for _, f := range more {
		f(&cfg)
	}
	if node, err = New(cfg, tr, l); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	trCtx, stop := context.WithCancel(context.Background())
	go func() { done <- tr.Run(trCtx) }()
	go func() { done <- node.Run(ctx, nil); stop() }()
	return node, log, func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, ErrRemoved) && !errors.Is(err, ErrNameTaken) {
				t.Errorf("n%d: %v", i, err)
			}
		}
	}
}

// TestJoinSaysWhy: a certificate that keeps a node from its cluster is named by
// the node and by the others, in their logs once in a minute and in the node's
// status, before there is a cluster and when there is one.
func TestJoinSaysWhy(t *testing.T) {
	dir := t.TempDir()
	a := certs.New(t, dir, "Our CA")
	for i := 1; i <= 3; i++ {
		a.Issue(certs.Node{Name: fmt.Sprint("n", i), Hosts: []string{ipOf(i)}})
	}
	a.Issue(certs.Node{Name: "expired", Node: "n3", Hosts: []string{ipOf(3)}, To: time.Date(1995, 6, 1, 0, 0, 0, 0, time.UTC)})
	const why = "has expired at 1995-06-01T00:00:00Z"
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		n1, log1, end1 := withTLS(t, n, dir, "n1", 1, 3)
		n2, _, end2 := withTLS(t, n, dir, "n2", 2, 3)
		n3, log3, end3 := withTLS(t, n, dir, "expired", 3, 3)
		time.Sleep(150 * time.Second) // three minutes have begun
		if got := strings.Join(n1.Status().Obstacles, "\n"); strings.Count(got, "\n") > 0 || !strings.Contains(got, "TLS: the certificate of 127.0.0.3:7400 "+why) {
			t.Errorf("n1: %s", got)
		}
		if got := n3.Status().Obstacles; len(got) != 2 || !strings.Contains(got[0], "TLS: 127.0.0.1:7400 refuses this node's certificate: ") || !strings.Contains(got[1], why) {
			t.Errorf("n3: %q", got)
		}
		if told := log1.count("TLS: the certificate of 127.0.0.3:7400 " + why); told != 3 {
			t.Errorf("n1 said it %d times", told)
		}
		if told := log3.count("TLS: 127.0.0.1:7400 refuses this node's certificate: "); told != 3 {
			t.Errorf("n3 said it %d times", told)
		}
		end3()
		// With a good one they found, and nothing is in the way any more.
		n3, _, end3 = withTLS(t, n, dir, "n3", 3, 3)
		joined := func(nodes ...*Node) bool {
			for _, x := range nodes {
				if s := x.Status(); len(s.Members) != 3 || !s.Quorum || len(s.Obstacles) > 0 {
					return false
				}
			}
			return true
		}
		for begun := time.Now(); !joined(n1, n2, n3); time.Sleep(time.Second) {
			if time.Since(begun) > 3*time.Minute {
				t.Errorf("no cluster: %q %q %q", n1.Status().Obstacles, n2.Status().Obstacles, n3.Status().Obstacles)
				break
			}
		}
		// A member whose certificate ends is named where its streams were.
		end3()
		before := log1.count("TLS: the certificate of 127.0.0.3:7400 " + why)
		_, log3, end3 = withTLS(t, n, dir, "expired", 3, 3)
		time.Sleep(30 * time.Second)
		if told := log1.count("TLS: the certificate of 127.0.0.3:7400 "+why) - before; told != 1 {
			t.Errorf("n1 said it %d times of a member", told)
		}
		if got := n1.Status().Obstacles; len(got) != 1 || !strings.Contains(got[0], why) {
			t.Errorf("n1: %q", got)
		}
		if told := log3.count("TLS: 127.0.0.1:7400 refuses this node's certificate: "); told == 0 {
			t.Error("n3 does not say it")
		}
		end3()
		end2()
		end1()
		time.Sleep(time.Minute) // libraries' last timers
	})
}

// TestCertificatesOfAll: every node knows when the certificates of each end, of
// new ones within seconds, and of a node that does not tell that it does not.
func TestCertificatesOfAll(t *testing.T) {
	dir := t.TempDir()
	a := certs.New(t, dir, "Our CA")
	for i := 1; i <= 3; i++ {
		a.Issue(certs.Node{Name: fmt.Sprint("n", i), Hosts: []string{ipOf(i)}})
	}
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) // libraries' last timers
		net := vnet.New()
		var nodes []*Node
		var own [4]func() []pki.Held
		for i := 1; i <= 3; i++ {
			n, _, end := withTLS(t, net, dir, fmt.Sprint("n", i), i, 3, func(c *Config) {
				if i < 3 { // n3 is of an older version
					c.Certificates = func() []pki.Held { return own[i]() }
				}
			})
			own[i] = n.tr.Certificates().Held
			nodes = append(nodes, n)
			defer end()
		}
		all := func(year int) bool {
			for _, n := range nodes {
				for _, of := range nodes {
					held := CertificatesOf(n, of.self.ServerID)
					if of.cfg.Name == "n3" && held != nil {
						t.Fatalf("%s knows %v of n3, which does not tell", n.cfg.Name, held)
					}
					if of.cfg.Name != "n3" && (len(held) != 2 || held[0].Name != of.cfg.Name || of.cfg.Name == "n1" && held[0].Until.Year() != year) {
						return false
					}
				}
			}
			return true
		}
		for _, year := range []int{2090, 2050} {
			if year == 2050 {
				a.Issue(certs.Node{Name: "n1", Hosts: []string{ipOf(1)}, To: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)})
			}
			for begun := time.Now(); !all(year); time.Sleep(time.Second) {
				if time.Since(begun) > time.Minute {
					t.Fatalf("not all know that n1's ends in %d", year)
				}
			}
		}
	})
}

// TestAllExpiredAndRenewed: nodes whose certificates have all expired while they
// run lose each other with their connections, and find each other again once new
// ones are in place, without a restart.
func TestAllExpiredAndRenewed(t *testing.T) {
	dir := t.TempDir()
	a := certs.New(t, dir, "Our CA")
	issue := func(to time.Time) {
		for i := 1; i <= 3; i++ {
			a.Issue(certs.Node{Name: fmt.Sprint("n", i), Hosts: []string{ipOf(i)}, To: to})
		}
	}
	end := time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC) // two minutes from the bubble's begin
	issue(end)
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) // libraries' last timers
		net := vnet.New()
		var nodes []*Node
		for i := 1; i <= 3; i++ {
			n, _, stop := withTLS(t, net, dir, fmt.Sprint("n", i), i, 3)
			nodes = append(nodes, n)
			defer stop()
		}
		quorum := func(want, refused bool) {
			t.Helper()
			for begun := time.Now(); ; time.Sleep(time.Second) {
				all := true
				for _, n := range nodes {
					s := n.Status()
					all = all && s.Quorum == want && (len(s.Obstacles) > 0) == refused
				}
				if all {
					return
				}
				if time.Since(begun) > 5*time.Minute {
					t.Fatalf("quorum %v, and not %v: %q", nodes[0].Quorum(), want, nodes[0].Status().Obstacles)
				}
			}
		}
		quorum(true, false)
		time.Sleep(time.Until(end.Add(10 * time.Second)))
		quorum(true, true) // connections that stand go on
		reset := func() {
			for i := 1; i <= 3; i++ {
				for j := 1; j < i; j++ {
					net.Reset(ipOf(i), ipOf(j))
				}
			}
		}
		reset()
		quorum(false, true)
		issue(time.Time{})
		quorum(true, false)
	})
}
