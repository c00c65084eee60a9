// Package certs makes certificates for tests: of any authority, for any time,
// host and use, as `sluice cert` would never make them. It imports nothing of
// Sluice.
package certs

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Node says what a certificate is to be; what is left out is what a good one
// has.
type Node struct {
	Name     string
	Hosts    []string           // IP addresses or names
	Node     string             // the node that it names; empty: Name; NoNode: none
	From, To time.Time          // zero: 1990, and 2090
	Uses     []x509.ExtKeyUsage // none: a server's and a client's
}

// NoNode is the Node of a certificate that names none, as all were once.
const NoNode = "-"

// New makes an authority of that name, ca.pem and ca.key in dir.
func New(t testing.TB, dir, name string) *Authority {
	t.Helper()
	return Lasting(t, dir, name, time.Time{})
}

// Lasting makes one that ends at that time; zero: in 2090.
func Lasting(t testing.TB, dir, name string, to time.Time) *Authority {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := &Authority{t: t, dir: dir, key: newKey(t)}
	c := template(Node{Name: name, Node: NoNode, To: to})
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	der := a.sign(c, c, &a.key.PublicKey)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca", der, a.key)
	return a
}

// Issue writes NAME.pem and NAME.key beside the authority's, in place of
// former ones.
func (a *Authority) Issue(n Node) {
	a.t.Helper()
	key := newKey(a.t)
	a.write(n.Name, a.sign(template(n), a.cert, &key.PublicKey), key)
}

func template(n Node) *x509.Certificate {
	if n.From.IsZero() {
		n.From = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if n.To.IsZero() {
		n.To = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if n.Uses == nil {
		n.Uses = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	c := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes([]byte(rand.Text())), Subject: pkix.Name{CommonName: n.Name},
		NotBefore: n.From, NotAfter: n.To, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: n.Uses,
	}
	c.SerialNumber.Rsh(c.SerialNumber, 64)
	if name := cmp.Or(n.Node, n.Name); name != NoNode {
		c.URIs = []*url.URL{{Scheme: "sluice", Host: "node", Path: "/" + name}}
	}
	for _, h := range n.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *Authority) sign(cert, parent *x509.Certificate, public *ecdsa.PublicKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *Authority) write(name string, der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		path := filepath.Join(a.dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}
