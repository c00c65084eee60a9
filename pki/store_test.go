package pki

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/test/certs"
)

// site is a folder with the files of the node n1 and its authority.
type site struct {
	t         *testing.T
	dir       string
	authority *certs.Authority
	files     Files
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.authority = certs.New(t, s.dir, "Our CA")
	s.issue(certs.Node{})
	s.files = Files{Cert: s.path("n1.pem"), Key: s.path("n1.key"), CA: s.path("ca.pem")}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// issue puts a new pair in the place of n1's.
func (s *site) issue(n certs.Node) {
	n.Name = "n1"
	if n.Hosts == nil {
		n.Hosts = []string{"n1.example"}
	}
	s.authority.Issue(n)
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *site) open() *Store {
	s.t.Helper()
	store, err := Open(s.files, "n1", "n1.example", slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

func serial(s *Store) string {
	cert, _ := s.Current()
	return cert.Leaf.SerialNumber.String()
}

// TestStoreKeepsWhatWorks: whatever is put in the place of good files, a node
// goes on with them and says why, and takes up what is good again.
func TestStoreKeepsWhatWorks(t *testing.T) {
	past := time.Date(2021, 2, 3, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, why string
		make      func(*site)
	}{
		{"gone", "n1.pem cannot be read", func(s *site) { _ = os.Remove(s.files.Cert) }},
		{"half written", "holds no certificate that can be read", func(s *site) { s.write("n1.pem", "-----BEGIN CERT") }},
		{"key of another", "is not the private key of the certificate", func(s *site) {
			s.authority.Issue(certs.Node{Name: "n2"})
			s.write("n1.key", s.read("n2.key"))
		}},
		{"no key", "holds no private key", func(s *site) { s.write("n1.key", "") }},
		{"expired", "has expired at 2021-02-03", func(s *site) { s.issue(certs.Node{To: past}) }},
		{"early", "is valid only from 2080-", func(s *site) { s.issue(certs.Node{From: past.AddDate(59, 0, 0)}) }},
		{"of another node", "is the certificate of the node n2", func(s *site) { s.issue(certs.Node{Node: "n2"}) }},
		{"of no node", "names no Sluice node", func(s *site) { s.issue(certs.Node{Node: certs.NoNode}) }},
		{"for another host", "is for n2.example and not for n1.example", func(s *site) { s.issue(certs.Node{Hosts: []string{"n2.example"}}) }},
		{"of another authority", `is signed by "Other CA"`, func(s *site) {
			other := certs.New(s.t, s.path("other"), "Other CA")
			other.Issue(certs.Node{Name: "n1", Hosts: []string{"n1.example"}})
			s.write("n1.pem", s.read("other/n1.pem"))
			s.write("n1.key", s.read("other/n1.key"))
		}},
		{"an authority that did not sign it", `is signed by "Our CA"`, func(s *site) {
			certs.New(s.t, s.path("other"), "Other CA")
			s.write("ca.pem", s.read("other/ca.pem"))
		}},
		{"no authority", "holds no certificate of an authority", func(s *site) { s.write("ca.pem", "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			store := s.open()
			good, ca := serial(store), s.read("ca.pem")
			if fault := store.Held()[0].Fault; fault != "" {
				t.Errorf("at first: %s", fault)
			}
			c.make(s)
			if serial(store) != good {
				t.Error("it was taken up")
			}
			if fault := store.Held()[0].Fault; !strings.Contains(fault, c.why) {
				t.Errorf("it says %q", fault)
			}
			s.write("ca.pem", ca)
			s.issue(certs.Node{})
			if serial(store) == good || store.Held()[0].Fault != "" {
				t.Errorf("what is good is not taken up: %q", store.Held()[0].Fault)
			}
		})
	}
}

// TestStoreSeesEachChange: also one by which modification times do not tell, and
// one behind a symbolic link, as Kubernetes changes secrets.
func TestStoreSeesEachChange(t *testing.T) {
	s := newSite(t)
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	same := func() {
		for _, f := range []string{s.files.Cert, s.files.Key} {
			if err := os.Chtimes(f, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	same()
	store := s.open()
	for range 5 { // sizes differ by a byte or two at most
		before := serial(store)
		s.issue(certs.Node{})
		same()
		if serial(store) == before {
			t.Fatal("a pair of the former one's time is not taken up")
		}
	}
	for _, at := range []string{"..1", "..2"} {
		s.issue(certs.Node{})
		if err := os.Mkdir(s.path(at), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"n1.pem", "n1.key", "ca.pem"} {
			s.write(at+"/"+f, s.read(f))
		}
	}
	point := func(to string) {
		if err := os.Symlink(to, s.path("..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.path("..new"), s.path("..data")); err != nil {
			t.Fatal(err)
		}
	}
	point("..1")
	s.files = Files{Cert: s.path("..data/n1.pem"), Key: s.path("..data/n1.key"), CA: s.path("..data/ca.pem")}
	store = s.open()
	before := serial(store)
	point("..2")
	if serial(store) == before {
		t.Error("what a link leads to now is not taken up")
	}
}

// TestOpenSaysWhy: a node does not begin without usable files.
func TestOpenSaysWhy(t *testing.T) {
	s := newSite(t)
	s.files.Key = s.path("none")
	if _, err := Open(s.files, "n1", "", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "reading certificates: "+s.files.Key+" cannot be read: ") {
		t.Errorf("%v", err)
	}
}

// TestNoStore: a node without certificates holds none.
func TestNoStore(t *testing.T) {
	var none *Store
	if none.Key() != "" || len(none.Held()) != 0 {
		t.Error("it holds something")
	}
}

// TestNobodyWaitsForALook: a file system that hangs holds up who looks at it,
// and nobody else.
func TestNobodyWaitsForALook(t *testing.T) {
	s := newSite(t)
	store := s.open()
	good := serial(store)
	store.looking.Lock() // somebody looks, and does not come back
	s.issue(certs.Node{})
	if serial(store) != good || store.Key() == "" || len(store.Look()) != 2 {
		t.Error("what was read before is not used")
	}
	store.looking.Unlock()
	if serial(store) == good {
		t.Error("it is not taken up afterwards")
	}
}
