package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/pki"
	"sluice/test/vnet"
)

// authority makes a CA and certificates for hosts 127.0.0.1 to 127.0.0.3, n1 to n3.
func authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := pki.CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1", "2", "3"} {
		if err := pki.CreateNodeCert(dir, "n"+name, []string{"127.0.0." + name}); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func files(dir, name string) pki.Files {
	return pki.Files{
		Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, pki.CACertFile),
	}
}

func startTLS(t *testing.T, n *vnet.Network, ip string, tlsFiles pki.Files) *node {
	t.Helper()
	cfg := hostConfig(n, ip)
	cfg.Insecure, cfg.TLS = false, tlsFiles
	tr := start(t, cfg, Identity{ServerID: "id-" + ip, Name: nameIn(t, tlsFiles), ClusterID: "c"})
	synctest.Wait()
	return tr
}

// nameIn is the name of the node that a certificate is of.
func nameIn(t *testing.T, files pki.Files) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pki.NameOf(pair.Leaf)
}

// certNow makes certificates outside the bubble fit the bubble's clock, which
// starts in the year 2000: the bubble sleeps until now.
func certNow(made time.Time) { time.Sleep(time.Until(made)) }

func TestMutualTLS(t *testing.T) {
	dir, other, now := authority(t), authority(t), time.Now()
	foreignKey := files(other, "n1")
	foreignKey.CA = filepath.Join(dir, pki.CACertFile) // trusts us, is not trusted
	wrongHost := files(dir, "n3")                      // says 127.0.0.3
	cases := []struct {
		name    string
		a, b    pki.Files
		wantErr string // at the dialler; empty: works
		wantLog string // at the acceptor
	}{
		{"same CA", files(dir, "n1"), files(dir, "n2"), "", ""},
		{"server of another CA", files(dir, "n1"), files(other, "n2"), "the certificate of 127.0.0.2:7400 is signed by", "refuses this node's certificate"},
		{"client of another CA", foreignKey, files(dir, "n2"), "127.0.0.2:7400 refuses this node's certificate", "is signed by"},
		{"certificate of another host", files(dir, "n1"), wrongHost, "is for 127.0.0.3, not for 127.0.0.2", "is for 127.0.0.3, not for 127.0.0.2"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				certNow(now)
				n := vnet.New()
				a, b := startTLS(t, n, "127.0.0.1", tc.a), startTLS(t, n, "127.0.0.2", tc.b)
				listen(t, b, KindRPC)
				_, err := a.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"})
				if (err == nil) != (tc.wantErr == "") || (err != nil && !strings.Contains(err.Error(), tc.wantErr)) {
					t.Errorf("dial: %v", err)
				}
				synctest.Wait()
				if !strings.Contains(b.log.String(), tc.wantLog) {
					t.Errorf("acceptor's log: %s", b.log)
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

func TestPlainClientToTLSPort(t *testing.T) {
	dir, now := authority(t), time.Now()
	synctest.Test(t, func(t *testing.T) {
		certNow(now)
		n := vnet.New()
		plain, b := startNode(t, n, "127.0.0.1", "a", "c"), startTLS(t, n, "127.0.0.2", files(dir, "n2"))
		listen(t, b, KindRPC)
		if _, err := plain.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"}); err == nil {
			t.Error("a plaintext node came in")
		}
		synctest.Wait()
		if !strings.Contains(b.log.String(), "first record does not look like a TLS handshake") {
			t.Errorf("log: %s", b.log)
		}
		plain.stop()
		b.stop()
	})
}

func TestClientWithoutCertificateOrWithOldTLSIsRefused(t *testing.T) {
	dir, now := authority(t), time.Now()
	synctest.Test(t, func(t *testing.T) {
		certNow(now)
		n := vnet.New()
		b := startTLS(t, n, "127.0.0.2", files(dir, "n2"))
		l := listen(t, b, KindRPC)
		for name, cfg := range map[string]*tls.Config{
			"no certificate": {InsecureSkipVerify: true},
			"TLS 1.2":        {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		} {
			raw, err := n.Host("127.0.0.9").Dial(t.Context(), "tcp", "127.0.0.2:7400")
			if err != nil {
				t.Fatal(err)
			}
			c := tls.Client(raw, cfg)
			err = c.Handshake()
			if err == nil {
				_, err = io.ReadAll(c) // in TLS 1.3 the refusal comes after the handshake
			}
			if err == nil {
				t.Errorf("%s: came in", name)
			}
			raw.Close()
		}
		b.stop()
		if _, err := l.Accept(); !errors.Is(err, ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	})
}

// TestRealTCP runs two nodes over the kernel: mTLS, a chosen local address,
// and no goroutine or connection left (TestMain checks).
func TestRealTCP(t *testing.T) {
	dir := authority(t)
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("127.0.0.2 is not there: ", err)
	}
	address := ln.Addr().String()
	b := start(t, Config{Listen: address, TLS: files(dir, "n2"), Network: Network{
		Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil },
	}}, Identity{ServerID: "b", Name: "n2", ClusterID: "c"})
	defer b.stop()
	l := listen(t, b, KindGossip)
	a, err := New(Config{Listen: "127.0.0.1:1", DialFrom: "127.0.0.1", TLS: files(dir, "n1")},
		Identity{ServerID: "a", Name: "n1", ClusterID: "c"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Dial(t.Context(), KindGossip, Target{Address: address, ServerID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(in.RemoteAddr().String()); host != "127.0.0.1" {
		t.Errorf("dialled from %s", host)
	}
	state := c.Conn.(*tls.Conn).ConnectionState()
	if state.Version != tls.VersionTLS13 {
		t.Errorf("TLS version %x", state.Version)
	}
}
