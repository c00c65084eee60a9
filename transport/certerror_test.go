package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gate"
	"sluice/pki"
	"sluice/test/certs"
	"sluice/test/vnet"
)

// TestCertificateIsNamed: whoever's certificate is bad, and whichever side
// dials, both sides say what it is, each once in a minute. In a bubble it is
// the year 2000.
func TestCertificateIsNamed(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := certs.New(t, filepath.Join(dir, "ours"), "Our CA"), certs.New(t, filepath.Join(dir, "theirs"), "Their CA")
	past, future := time.Date(1995, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2005, 6, 1, 0, 0, 0, 0, time.UTC)
	ours.Issue(certs.Node{Name: "good1", Hosts: []string{"127.0.0.1"}})
	host2 := []string{"127.0.0.2"}
	ours.Issue(certs.Node{Name: "expired", Hosts: host2, To: past})
	ours.Issue(certs.Node{Name: "early", Hosts: host2, From: future})
	ours.Issue(certs.Node{Name: "elsewhere", Hosts: []string{"n9.example"}})
	ours.Issue(certs.Node{Name: "server-only", Hosts: host2, Uses: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ours.Issue(certs.Node{Name: "client-only", Hosts: host2, Uses: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	ours.Issue(certs.Node{Name: "unnamed", Hosts: host2, Node: certs.NoNode})
	theirs.Issue(certs.Node{Name: "foreign", Hosts: host2})
	foreign := files(filepath.Join(dir, "theirs"), "foreign")
	foreign.CA = filepath.Join(dir, "ours", pki.CACertFile)
	of := func(name string) pki.Files { return files(filepath.Join(dir, "ours"), name) }
	const dialled, here = "TLS: the certificate of 127.0.0.2:7400 ", "TLS: 127.0.0.1 refuses this node's certificate: "
	const dialling, there = "TLS: the certificate of 127.0.0.2 ", "TLS: 127.0.0.1:7400 refuses this node's certificate: "
	for _, c := range []struct {
		name string
		bad  pki.Files
		// What the good node says when it dials the bad one, what the bad one
		// then says, and both the other way round; empty: nothing is wrong.
		goodDials, badHears, goodHears, badDials string
	}{
		{"expired", of("expired"), dialled + "has expired at 1995-06-01T00:00:00Z", here + "DIR/expired.pem has expired at 1995-06-01T00:00:00Z",
			dialling + "has expired at 1995-06-01T00:00:00Z", there + "DIR/expired.pem has expired at 1995-06-01T00:00:00Z"},
		{"not yet valid", of("early"), dialled + "is valid only from 2005-06-01T00:00:00Z", here + "DIR/early.pem is valid only from 2005-06-01T00:00:00Z",
			dialling + "is valid only from 2005-06-01T00:00:00Z", there + "DIR/early.pem is valid only from 2005-06-01T00:00:00Z"},
		{"another authority", foreign, dialled + `is signed by "Their CA", which DIR/ca.pem does not hold`, here + "its log says why; perhaps the authorities",
			dialling + `is signed by "Their CA", which DIR/ca.pem does not hold`, there + `the authorities that it trusts (its peer.tls.ca) do not hold "Their CA", which signed`},
		{"another host", of("elsewhere"), dialled + "is for n9.example, not for 127.0.0.2", here + "DIR/elsewhere.pem is for n9.example, not for 127.0.0.2", "", ""},
		{"no client", of("server-only"), "", "", dialling + "lacks an extended key usage: a node's needs serverAuth and clientAuth",
			there + "DIR/server-only.pem lacks the extended key usage clientAuth"},
		{"no server", of("client-only"), dialled + "lacks an extended key usage: a node's needs serverAuth and clientAuth",
			here + "DIR/client-only.pem lacks the extended key usage serverAuth", "", ""},
		{"names no node", of("unnamed"), dialled + pki.Unnamed, here + "DIR/unnamed.pem " + pki.Unnamed, dialling + pki.Unnamed, there + "DIR/unnamed.pem " + pki.Unnamed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := vnet.New()
				good, bad := startTLS(t, n, "127.0.0.1", of("good1")), startTLS(t, n, "127.0.0.2", c.bad)
				defer good.stop()
				defer bad.stop()
				listen(t, good, KindRPC)
				listen(t, bad, KindRPC)
				says := func(from, to *node, dials, hears string) {
					t.Helper()
					for range 20 {
						conn, err := from.Dial(t.Context(), KindRPC, Target{Address: to.Self().Advertise})
						text := strings.NewReplacer(dir+"/ours", "DIR").Replace(errText(err))
						if _, ok := errors.AsType[*CertificateError](err); ok != (dials != "") || !strings.Contains(text, dials) {
							t.Fatalf("dialling: %s\nwant %s", text, dials)
						}
						if err == nil {
							conn.Close()
						}
						time.Sleep(time.Second)
					}
					if told := from.Troubles(); dials != "" && (len(told) != 1 || !strings.Contains(strings.ReplaceAll(told[0], dir+"/ours", "DIR"), dials)) || dials == "" && len(told) != 0 {
						t.Errorf("troubles: %q", told)
					}
					for who, want := range map[*node]string{from: dials, to: hears} {
						text := strings.NewReplacer(dir+"/ours", "DIR", `\"`, `"`).Replace(who.log.String())
						if want != "" && strings.Count(text, want) != 1 {
							t.Errorf("%d times %s in\n%s", strings.Count(text, want), want, text)
						}
					}
				}
				says(good, bad, c.goodDials, c.badHears)
				says(bad, good, c.badDials, c.goodHears)
			})
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestTroubleIsOver: what is mended is told no more, and neither is what is
// long ago.
func TestTroubleIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTroubles()
		x.met("a:1", "a is bad")
		x.met("b:1", "b is bad")
		x.over("a:1")
		if got := x.Troubles(); len(got) != 1 || got[0] != "b is bad" {
			t.Errorf("%q", got)
		}
		time.Sleep(2 * sayEvery)
		if got := x.Troubles(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// TestExplain: in a status a reason is a few words.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		a := startNode(t, n, "127.0.0.1", "a", "c")
		_, err := a.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"})
		if got := Explain("127.0.0.2:7400", err); got != "127.0.0.2:7400 refuses connections: is `sluice server` running there?" {
			t.Error(got)
		}
		b := startNode(t, n, "127.0.0.2", "b", "c")
		n.CutBoth("127.0.0.1", "127.0.0.2")
		_, err = a.Dial(t.Context(), KindRPC, Target{Address: "127.0.0.2:7400"})
		if got := Explain("127.0.0.2:7400", err); got != "127.0.0.2:7400 does not answer" {
			t.Error(got)
		}
		a.stop()
		b.stop()
	})
}

// TestRefusalOverRealTCP: the refusal of a client's certificate comes after the
// client's handshake and beside a reset of the connection; it is never lost.
func TestRefusalOverRealTCP(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := certs.New(t, filepath.Join(dir, "ours"), "Our CA"), certs.New(t, filepath.Join(dir, "theirs"), "Their CA")
	ours.Issue(certs.Node{Name: "n1", Hosts: []string{"127.0.0.1"}})
	theirs.Issue(certs.Node{Name: "n2", Hosts: []string{"127.0.0.1"}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, Config{Listen: ln.Addr().String(), TLS: files(filepath.Join(dir, "ours"), "n1"), Strangers: gate.Config{Most: 256, PerAddress: 256, Rate: 10_000}, Network: Network{
		Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil },
	}}, Identity{ServerID: "b", Name: "n1", ClusterID: "c"})
	defer b.stop()
	foreign := files(filepath.Join(dir, "theirs"), "n2")
	foreign.CA = filepath.Join(dir, "ours", pki.CACertFile)
	a, err := New(Config{Listen: "127.0.0.1:1", TLS: foreign}, Identity{ServerID: "a", Name: "n2", ClusterID: "c"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, err := a.Dial(t.Context(), KindRPC, Target{Address: ln.Addr().String()})
		if cert, ok := errors.AsType[*CertificateError](err); !ok || !cert.Ours {
			t.Fatalf("%v", err)
		}
	}
}
