package pki

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/test/certs"
)

// TestRenew: the new pair is of the same node and hosts, with a new key, and for
// as long as a first one; its mode is a key's, and nothing else is left behind.
func TestRenew(t *testing.T) {
	s := newSite(t)
	s.issue(certs.Node{Hosts: []string{"n1.example", "10.0.0.1"}, To: time.Date(2021, 2, 3, 0, 0, 0, 0, time.UTC)}) // may have expired
	if err := os.Chmod(s.files.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	former, err := tls.LoadX509KeyPair(s.files.Cert, s.files.Key)
	if err != nil {
		t.Fatal(err)
	}
	before := s.listing()
	r, err := RenewNodeCert(s.dir, "n1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tls.LoadX509KeyPair(s.files.Cert, s.files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if got.Leaf.VerifyHostname("n1.example") != nil || got.Leaf.VerifyHostname("10.0.0.1") != nil || NameOf(got.Leaf) != "n1" ||
		got.Leaf.Subject.String() != former.Leaf.Subject.String() || !slices.Equal(got.Leaf.ExtKeyUsage, former.Leaf.ExtKeyUsage) {
		t.Errorf("it is another one: %v %v %v", got.Leaf.Subject, got.Leaf.DNSNames, got.Leaf.URIs)
	}
	if KeyOf(got.Leaf) == KeyOf(former.Leaf) || got.Leaf.SerialNumber.Cmp(former.Leaf.SerialNumber) == 0 {
		t.Error("key or serial number is the former one's")
	}
	if left := time.Until(got.Leaf.NotAfter); left < nodeValidity-time.Hour || left > nodeValidity || r.Hosts != "n1.example, 10.0.0.1" ||
		!r.Former.Equal(former.Leaf.NotAfter) || r.Until.Sub(got.Leaf.NotAfter).Abs() > time.Second {
		t.Errorf("it ends in %v; told %+v", left, r)
	}
	if info, err := os.Stat(s.files.Key); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the key's mode is %v %v; others may not read it, its group may go on", info.Mode(), err)
	}
	if after := s.listing(); !slices.Equal(after, before) {
		t.Errorf("before %v, now %v", before, after)
	}
	if fault := s.files.Check("n1", "n1.example", time.Now()); len(fault) != 1 || !fault[0].Warning {
		t.Errorf("%+v", fault)
	}
}

func (s *site) listing() (names []string) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestRenewIsTakenUp: a running node goes over to the new pair, whichever of the
// two files it meets first.
func TestRenewIsTakenUp(t *testing.T) {
	s := newSite(t)
	store := s.open()
	stop, seen := make(chan struct{}), make(chan bool, 1)
	go func() {
		whole := true
		for {
			select {
			case <-stop:
				seen <- whole
				return
			default:
				cert, _ := store.Current()
				whole = whole && len(cert.Certificate) > 0 && NameOf(cert.Leaf) == "n1"
			}
		}
	}()
	for range 20 {
		if _, err := RenewNodeCert(s.dir, "n1"); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if !<-seen {
		t.Error("something else was shown in between")
	}
	pair, err := tls.LoadX509KeyPair(s.files.Cert, s.files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if serial(store) != pair.Leaf.SerialNumber.String() || store.Held()[0].Fault != "" {
		t.Errorf("the last one is not in use: %q", store.Held()[0].Fault)
	}
}

// TestRenewReplacesBehindLinks: a symbolic link stays one.
func TestRenewReplacesBehindLinks(t *testing.T) {
	s := newSite(t)
	for _, f := range []string{"n1.pem", "n1.key"} {
		s.write("live-"+f, s.read(f))
		if err := os.Remove(s.path(f)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("live-"+f, s.path(f)); err != nil {
			t.Fatal(err)
		}
	}
	before := s.read("live-n1.pem")
	if _, err := RenewNodeCert(s.dir, "n1"); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(s.path("n1.key")); err != nil || to != "live-n1.key" || s.read("live-n1.pem") == before {
		t.Errorf("%s %v", to, err)
	}
}

// TestRenewMendsHalf: a process that ended between the two files, or a key that
// is gone, is no obstacle.
func TestRenewMendsHalf(t *testing.T) {
	s := newSite(t)
	for _, half := range []func(){func() { s.write("n1.key", "half") }, func() { _ = os.Remove(s.files.Key) }} {
		half()
		if _, err := RenewNodeCert(s.dir, "n1"); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(s.files.Key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v", err)
		}
	}
}

// TestRenewRefuses: whatever is not as it must be is named, with what to do, and
// both files stay.
func TestRenewRefuses(t *testing.T) {
	for _, c := range []struct {
		name, why string
		make      func(*site)
	}{
		{"no authority", "create one with `sluice cert ca`, name its folder with --dir", func(s *site) { _ = os.Remove(s.path("ca.pem")) }},
		{"no key of it", "the authority's key, without which nothing can be signed", func(s *site) { _ = os.Remove(s.path("ca.key")) }},
		{"a broken key of it", "ca.key: no PEM", func(s *site) { s.write("ca.key", "nothing") }},
		{"another authority's key", "ca.key is not the key of the first authority in ", func(s *site) {
			certs.New(s.t, s.path("other"), "Other CA")
			s.write("ca.key", s.read("other/ca.key"))
		}},
		{"another authority", `n1.pem is signed by "Our CA" and not by the authority in `, func(s *site) {
			certs.New(s.t, s.path("other"), "Our CA")
			s.write("ca.key", s.read("other/ca.key"))
			s.write("ca.pem", s.read("other/ca.pem"))
		}},
		{"an expired authority", "has expired at 1991-01-01T00:00:00Z, and nobody accepts what it signs", func(s *site) {
			ca, key := issue(s.t, "Old CA", nil, nil, nil, newYear(1990), newYear(1991))
			if err := os.Remove(s.path("ca.pem")); err != nil {
				s.t.Fatal(err)
			}
			if err := os.Remove(s.path("ca.key")); err != nil {
				s.t.Fatal(err)
			}
			if err := writePair(s.dir, "ca.pem", "ca.key", ca.Raw, key); err != nil {
				s.t.Fatal(err)
			}
		}},
		{"no certificate", "a first one is made by `sluice cert node n1 --host HOST`", func(s *site) { _ = os.Remove(s.files.Cert) }},
		{"a broken certificate", "n1.pem: no PEM block CERTIFICATE", func(s *site) { s.write("n1.pem", "nothing") }},
		{"of no node", "n1.pem names no Sluice node, and neither would its successor", func(s *site) { s.issue(certs.Node{Node: certs.NoNode}) }},
		{"of another node", "n1.pem is the certificate of the node n2, not of n1", func(s *site) { s.issue(certs.Node{Node: "n2"}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.make(s)
			key, names := s.read("n1.key"), s.listing()
			_, err := RenewNodeCert(s.dir, "n1")
			if err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v", err)
			}
			if s.read("n1.key") != key || !slices.Equal(s.listing(), names) {
				t.Error("something was written")
			}
		})
	}
	if _, err := RenewNodeCert(t.TempDir(), "../n1"); err == nil {
		t.Error("a path was taken for a name")
	}
}

// TestRenewOfReadOnly: where a file cannot be written, nothing is half done.
func TestRenewOfReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s := newSite(t)
	cert := s.read("n1.pem")
	if err := os.Chmod(s.dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(s.dir, 0o700) }()
	if _, err := RenewNodeCert(s.dir, "n1"); err == nil || !strings.Contains(err.Error(), "writing beside "+s.files.Cert) || s.read("n1.pem") != cert {
		t.Errorf("%v", err)
	}
}

// TestRenewedEndsWithItsAuthority: nobody accepts it longer, so it says so.
func TestRenewedEndsWithItsAuthority(t *testing.T) {
	dir := t.TempDir()
	end := time.Now().Add(100 * day).Truncate(time.Second).UTC()
	ca, key := issue(t, "Our CA", nil, nil, nil, newYear(1990), end)
	if err := writePair(dir, "ca.pem", "ca.key", ca.Raw, key); err != nil {
		t.Fatal(err)
	}
	if err := CreateNodeCert(dir, "n1", []string{"n1.example"}); err != nil {
		t.Fatal(err)
	}
	r, err := RenewNodeCert(dir, "n1")
	if err != nil || !r.Until.Equal(end) {
		t.Errorf("%v %v", r, err)
	}
	store, err := Open(Files{Cert: filepath.Join(dir, "n1.pem"), Key: filepath.Join(dir, "n1.key"), CA: filepath.Join(dir, "ca.pem")}, "n1", "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if h := store.Held()[0]; h.By != "Our CA" || h.Life < 30*365*day {
		t.Errorf("%+v", h)
	}
}

// TestAPIOfAnotherUse: clients refuse a certificate that no server may show.
func TestAPIOfAnotherUse(t *testing.T) {
	s := newSite(t)
	s.issue(certs.Node{Uses: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	s.files.CA = ""
	f := s.files.Check("", "api.example", time.Now())
	if len(f) != 2 || !f[0].Warning || !strings.Contains(f[0].Message, "is for n1.example and not for api.example, where clients are told to ask") ||
		f[1].Warning || !f[1].Refused || !strings.Contains(f[1].Message, "lacks the extended key usage serverAuth") {
		t.Errorf("%+v", f)
	}
}
