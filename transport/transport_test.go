package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/gate"
	"sluice/test/scrape"
	"sluice/test/vnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer collects a node's log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// node is a running transport on a virtual host.
type node struct {
	*Transport
	log  *logBuffer
	stop func()
}

func hostConfig(n *vnet.Network, ip string) Config {
	h := n.Host(ip)
	return Config{Listen: ip + ":7400", Insecure: true, Network: Network{Listen: h.Listen, Dial: h.Dial}}
}

func start(t *testing.T, cfg Config, self Identity) *node {
	t.Helper()
	log := &logBuffer{}
	tr, err := New(cfg, self, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	return &node{Transport: tr, log: log, stop: func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}}
}

// startNode starts id on a virtual host and settles the bubble.
func startNode(t *testing.T, n *vnet.Network, ip, id, clusterID string) *node {
	t.Helper()
	tr := start(t, hostConfig(n, ip), Identity{ServerID: id, Name: "node-" + id, ClusterID: clusterID})
	synctest.Wait()
	return tr
}

func listen(t *testing.T, n *node, kind Kind) *Listener {
	t.Helper()
	l, err := n.Listen(kind)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDialHandsOverBytesAndIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := vnet.New()
		a, b := startNode(t, net, "127.0.0.1", "a", "c1"), startNode(t, net, "127.0.0.2", "b", "")
		l := listen(t, b, KindGossip)
		c, err := a.Dial(t.Context(), KindGossip, Target{Address: "127.0.0.2:7400", ServerID: "b"})
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		want := Identity{ServerID: "a", Name: "node-a", ClusterID: "c1", Advertise: "127.0.0.1:7400"}
		if got := in.(*Conn).Peer().Identity; got != want {
			t.Errorf("acceptor sees %+v", got)
		}
		if got := c.Peer().Name; got != "node-b" {
			t.Errorf("dialler sees %q", got)
		}
		_, _ = c.Write([]byte("hello"))
		buf := make([]byte, 5)
		if _, err := io.ReadFull(in, buf); err != nil || string(buf) != "hello" {
			t.Errorf("read %q, %v", buf, err)
		}
		a.stop()
		if _, err := in.Read(buf); err == nil {
			t.Error("the connection outlived the transport that dialled it")
		}
		if peer := <-b.PeerLost(); peer.ServerID != "a" {
			t.Errorf("lost %+v", peer)
		}
		b.stop()
		if net.Open() != 0 {
			t.Errorf("%d connections left open", net.Open())
		}
	})
}

func TestRefusals(t *testing.T) {
	cases := []struct {
		name   string
		kind   Kind
		a, b   string // cluster ids
		to     string
		listen bool
		want   error
	}{
		{"other cluster", KindRPC, "c1", "c2", "", true, ErrClusterMismatch},
		{"newcomer may ask", KindRPC, "", "c2", "", true, nil},
		{"newcomer may be asked", KindRPC, "c1", "", "", true, nil},
		{"newcomer has no log", KindRaft, "c1", "", "", true, ErrClusterMismatch},
		{"former server", KindRaft, "c1", "c1", "old", true, ErrWrongServer},
		{"not served yet", KindRaft, "c1", "c1", "b", false, ErrNotReady},
		{"same cluster", KindRaft, "c1", "c1", "b", true, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := vnet.New()
				a, b := startNode(t, n, "127.0.0.1", "a", tc.a), startNode(t, n, "127.0.0.2", "b", tc.b)
				if tc.listen {
					listen(t, b, tc.kind)
				}
				_, err := a.Dial(t.Context(), tc.kind, Target{Address: "127.0.0.2:7400", ServerID: tc.to})
				if !errors.Is(err, tc.want) {
					t.Errorf("dial: %v, want %v", err, tc.want)
				}
				synctest.Wait()
				if errors.Is(tc.want, ErrClusterMismatch) && (!strings.Contains(b.log.String(), "cluster-mismatch") ||
					!strings.Contains(err.Error(), "127.0.0.1:7400")) {
					t.Errorf("the refusal is not clear\nlog: %s\nerror: %v", b.log, err)
				}
				a.stop()
				b.stop()
				if n.Open() != 0 {
					t.Errorf("%d connections left open", n.Open())
				}
			})
		})
	}
}

func TestVersionMismatch(t *testing.T) {
	h := hello{Version: ProtocolVersion + 1, Identity: Identity{ServerID: "x", Advertise: "h:1"}}
	if err := judge(KindRPC, Identity{}, h); !errors.Is(err, ErrVersionMismatch) {
		t.Fatal(err)
	}
}

func TestStrangersAreClosedAndNamed(t *testing.T) {
	cases := []struct{ name, bytes, log string }{
		{"bad first byte", "\x7fELF", "no Sluice node"},
		{"http", "GET / HTTP/1.1\r\n\r\n", "HTTP client"},
		{"tls to plain", "\x16\x03\x01", "TLS client"},
		{"huge hello", "\xb1\xff\xff", "hello of 65535 bytes"},
		{"no json", "\xb1\x00\x02no", "invalid character"},
		{"no id", "\xb1\x00\x0d{\"version\":1}", "without server id"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := vnet.New()
				a := startNode(t, n, "127.0.0.1", "a", "")
				c, err := n.Host("127.0.0.9").Dial(t.Context(), "tcp", "127.0.0.1:7400")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = c.Write([]byte(tc.bytes))
				if _, err := io.ReadAll(c); err != nil {
					t.Errorf("want a plain end: %v", err)
				}
				synctest.Wait()
				if !strings.Contains(a.log.String(), tc.log) {
					t.Errorf("log says %s", a.log)
				}
				c.Close()
				a.stop()
			})
		})
	}
}

// TestStrangersMakeRoom: of connections that say nothing the oldest is closed
// where they are too many, the others when their time is up; a node comes in
// however many they are.
func TestStrangersMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		cfg := hostConfig(n, "127.0.0.1")
		cfg.Strangers = gate.Config{Most: 20, PerAddress: 8, Rate: 1000}
		a := start(t, cfg, Identity{ServerID: "a", Name: "a"})
		listen(t, a, KindRPC)
		b := start(t, hostConfig(n, "127.0.0.2"), Identity{ServerID: "b", Name: "b"})
		synctest.Wait()
		began := time.Now()
		silent := func(host string) net.Conn {
			c, err := n.Host(host).Dial(t.Context(), "tcp", "127.0.0.1:7400")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return c
		}
		first, second := silent("127.0.0.9"), silent("127.0.0.9")
		for range 7 {
			silent("127.0.0.9")
		}
		_, _ = io.ReadAll(first)
		if d := time.Since(began); d != 0 {
			t.Errorf("the oldest of too many was closed after %v", d)
		}
		_, _ = io.ReadAll(second)
		if d := time.Since(began); d != DefaultConfig().HandshakeTimeout {
			t.Errorf("a silent one was closed after %v", d)
		}
		for i := range 300 {
			silent(fmt.Sprintf("127.0.1.%d", i%200))
		}
		came := time.Now()
		c, err := b.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.1:7400", ServerID: "a"})
		if err != nil || time.Since(came) > 0 {
			t.Fatalf("a node came in after %v: %v", time.Since(came), err)
		}
		c.Close()
		if n := a.stats.refused("too-many").Load(); n < 280 {
			t.Errorf("%d turned away", n)
		}
		b.stop()
		a.stop()
	})
}

func TestDialOverCutWireEndsAtTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a, b := startNode(t, n, "127.0.0.1", "a", ""), startNode(t, n, "127.0.0.2", "b", "")
		listen(t, b, KindRPC)
		n.Delay("127.0.0.2", "127.0.0.1", 30*time.Second) // the answer comes late
		began := time.Now()
		if _, err := a.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"}); err == nil {
			t.Error("dialled")
		}
		if d := time.Since(began); d != DefaultConfig().HandshakeTimeout {
			t.Errorf("took %v", d)
		}
		a.stop()
		b.stop()
	})
}

func TestProbeTellsRefusedFromSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a, b := startNode(t, n, "127.0.0.1", "a", ""), startNode(t, n, "127.0.0.2", "b", "")
		if err := a.Probe(t.Context(), "127.0.0.2:7400"); err != nil {
			t.Error(err)
		}
		n.CutBoth("127.0.0.1", "127.0.0.2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Probe(ctx, "127.0.0.2:7400"); err == nil || IsRefused(err) {
			t.Errorf("probe over a cut wire: %v", err)
		}
		n.HealBoth("127.0.0.1", "127.0.0.2")
		n.Kill("127.0.0.2")
		if err := a.Probe(t.Context(), "127.0.0.2:7400"); !IsRefused(err) {
			t.Errorf("probe of a dead process: %v", err)
		}
		if strings.Contains(b.log.String(), "refused a connection") {
			t.Errorf("a probe was logged: %s", b.log)
		}
		a.stop()
		b.stop()
	})
}

func TestListenerCloseClosesItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a, b := startNode(t, n, "127.0.0.1", "a", "c"), startNode(t, n, "127.0.0.2", "b", "c")
		raftA, err := a.Raft()
		if err != nil {
			t.Fatal(err)
		}
		raftB, err := b.Raft()
		if err != nil {
			t.Fatal(err)
		}
		out, err := raftA.Dial("b@127.0.0.2:7400", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in, _ := raftB.Accept()
		raftB.Close()
		if _, err := raftB.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
		if _, err := in.Read(make([]byte, 1)); err == nil {
			t.Error("inbound connection is open after Close")
		}
		if _, err := out.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("peer reads %v", err)
		}
		if again, err := b.Raft(); err != nil {
			t.Errorf("opening again: %v", err)
		} else {
			again.Close()
		}
		a.stop()
		b.stop()
	})
}

func TestInsecureOnlyOnLoopback(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, address := range []string{"0.0.0.0:7400", "10.0.0.1:7400", "example.org:7400"} {
		_, err := New(Config{Listen: address, Advertise: "127.0.0.1:1", Insecure: true}, Identity{ServerID: "a"}, log)
		if !errors.Is(err, ErrInsecure) {
			t.Errorf("listen %s: %v", address, err)
		}
	}
	tr, err := New(Config{Listen: "127.0.0.1:7400", Insecure: true}, Identity{ServerID: "a"}, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Dial(t.Context(), KindRPC, Target{Address: "192.0.2.1:7400"}); !errors.Is(err, ErrInsecure) {
		t.Errorf("dial: %v", err)
	}
	if _, err := New(Config{Listen: "127.0.0.1:7400"}, Identity{ServerID: "a"}, log); err == nil {
		t.Error("accepted neither TLS nor --insecure")
	}
}

func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a, b := startNode(t, n, "127.0.0.1", "a", "c"), startNode(t, n, "127.0.0.2", "b", "c")
		listen(t, b, KindRPC)
		if _, err := a.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		scrape.Of(t, b.Collector()).Want(t, scrape.Samples{
			`sluice_transport_connections{direction="in",kind="rpc"}`: 1, `sluice_transport_handshakes_total{direction="in",kind="rpc"}`: 1,
		})
		a.stop()
		b.stop()
	})
}
