package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/pki"
	"sluice/test/certs"
)

// TestSimRotation: whole nodes change their certificates and keys one after
// another, then their authority in the rounds of the how-to, while they copy.
// All their connections are made anew with each change. No connection is
// refused, no task changes hands, and both sides are equal at the end.
func TestSimRotation(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	old, next := certs.New(t, one, "Our CA"), certs.New(t, two, "Our CA")
	oldCA, nextCA := filepath.Join(one, "ca.pem"), filepath.Join(two, "ca.pem")
	runSim(t, simTopics, func(s *sim) {
		s.certs = filepath.Join(dir, fmt.Sprint("nodes", s.seed))
		if err := os.Mkdir(s.certs, 0o700); err != nil {
			s.t.Fatal(err)
		}
		r := rotation{s}
		for i := 1; i <= trio; i++ {
			r.pair(old, one, i)
			r.authorities(i, oldCA)
		}
		s.begin()
		s.until("the facts hold all keys", time.Minute, func() bool { return r.known(1) && r.known(2) && r.known(3) })
		s.watch(5 * time.Second)
		turns, leader := len(s.audit.turns), s.leader()
		s.meanwhile = r.nobodyIsRefused
		for round := range 2 {
			for i := 1; i <= trio; i++ {
				r.change(fmt.Sprintf("pair %d of node %d", round, i), i, func() { r.pair(old, one, i) })
			}
		}
		for i := 1; i <= trio; i++ {
			r.change(fmt.Sprint("both authorities at node ", i), i, func() { r.authorities(i, oldCA, nextCA) })
		}
		for i := 1; i <= trio; i++ {
			r.change(fmt.Sprint("a pair of the new authority at node ", i), i, func() { r.pair(next, two, i) })
		}
		for i := 1; i <= trio; i++ {
			r.change(fmt.Sprint("the new authority alone at node ", i), i, func() { r.authorities(i, nextCA) })
		}
		s.watch(20 * time.Second)
		if now := len(s.audit.turns); now != turns || s.leader() != leader {
			s.t.Errorf("%d tasks changed hands; %d led, now %d", now-turns, leader, s.leader())
		}
		s.meanwhile = nil
		s.finish()
	})
}

// rotation changes the files of nodes, in a folder for each.
type rotation struct{ s *sim }

func (r rotation) file(i int, name string) string {
	return filepath.Join(r.s.certs, fmt.Sprintf("n%d-%s", i, name))
}

// put writes a file with the text of others.
func (r rotation) put(to string, from ...string) {
	r.s.t.Helper()
	var text []byte
	for _, f := range from {
		b, err := os.ReadFile(f)
		if err != nil {
			r.s.t.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		r.s.t.Fatal(err)
	}
}

// pair makes a new one for node i, and puts it in place, the key first.
func (r rotation) pair(a *certs.Authority, folder string, i int) {
	name := fmt.Sprintf("n%d", i)
	a.Issue(certs.Node{Name: name, Hosts: []string{ipOf(i)}})
	r.put(r.file(i, "key"), filepath.Join(folder, name+".key"))
	r.put(r.file(i, "pem"), filepath.Join(folder, name+".pem"))
}

func (r rotation) authorities(i int, files ...string) { r.put(r.file(i, "ca"), files...) }

// change changes node i's files, breaks all connections between nodes, and waits
// until all is as before.
func (r rotation) change(what string, i int, do func()) {
	s := r.s
	s.t.Helper()
	do()
	for a := 1; a <= trio; a++ {
		for b := 1; b < a; b++ {
			s.net.Reset(ipOf(a), ipOf(b))
		}
	}
	s.until("the facts hold its key: "+what, time.Minute, func() bool { return r.known(i) })
	s.copies(what, 20*time.Second)
	for j, n := range s.nodes {
		for _, h := range n.held() {
			if h.Fault != "" {
				s.t.Errorf("%s: node %d: %s", what, j, h.Fault)
			}
		}
	}
}

// known reports that node i uses what its files hold, and that all know it: its
// new key was met.
func (r rotation) known(i int) bool {
	r.s.t.Helper()
	of := r.s.nodes[i]
	pair, err := tls.LoadX509KeyPair(r.file(i, "pem"), r.file(i, "key"))
	if err != nil {
		r.s.t.Fatal(err)
	}
	cas, err := os.ReadFile(r.file(i, "ca"))
	if err != nil {
		r.s.t.Fatal(err)
	}
	key := pki.KeyOf(pair.Leaf)
	if of.transport.Certificates().Key() != key || len(of.held()) != 1+bytes.Count(cas, []byte("BEGIN CERT")) {
		return false
	}
	for _, n := range r.s.nodes {
		if f := n.cluster.View().Node(of.id); f == nil || f.Key != key {
			return false
		}
	}
	return true
}

// nobodyIsRefused looks at what nodes say of certificates.
func (r rotation) nobodyIsRefused() {
	for i, n := range r.s.nodes {
		for _, text := range n.transport.Troubles() {
			r.s.t.Errorf("node %d: %s", i, text)
		}
	}
}
