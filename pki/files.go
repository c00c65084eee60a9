package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Files names PEM files: a certificate, with those between it and its authority
// behind it, its private key, and for the peer port the authorities that may
// sign nodes. Without authorities they are those of the HTTP port.
type Files struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	CA   string `json:"ca"`
}

// text is what the files hold at one moment.
type text struct{ cert, key, ca content }

// content is one file; err says why it could not be read.
type content struct {
	bytes []byte
	err   error
}

func (files Files) read() text {
	read := func(path string) content {
		b, err := os.ReadFile(path)
		if err != nil {
			err = unread(path, err)
		}
		return content{b, err}
	}
	t := text{cert: read(files.Cert), key: read(files.Key)}
	if files.CA != "" {
		t.ca = read(files.CA)
	}
	return t
}

// err is what could not be read.
func (t text) err() error { return errors.Join(t.cert.err, t.key.err, t.ca.err) }

func (t text) equal(o text) bool {
	return bytes.Equal(t.cert.bytes, o.cert.bytes) && bytes.Equal(t.key.bytes, o.key.bytes) && bytes.Equal(t.ca.bytes, o.ca.bytes)
}

// loaded is what can be used of the files.
type loaded struct {
	text  text
	cert  *tls.Certificate
	chain []*x509.Certificate // those of the certificate's file, it first
	cas   []*x509.Certificate // the authorities
	roots *x509.CertPool      // them; nil: the files name none
}

// load reads the text. Without a usable pair, or without usable authorities
// where they are named, there is nothing to use; the faults say why.
func (files Files) load(t text) (l *loaded, f faults) {
	l = &loaded{text: t}
	l.cert = f.pair(files, t)
	if files.CA != "" {
		cas, err := t.ca.authorities(files.CA)
		if err != nil {
			f.add("ca", "%v", err)
		}
		l.cas = cas
	}
	if len(f) > 0 {
		return nil, f
	}
	for _, der := range l.cert.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			l.chain = append(l.chain, c)
		}
	}
	if l.cas != nil {
		l.roots = x509.NewCertPool()
		for _, c := range l.cas {
			l.roots.AddCert(c)
		}
	}
	return l, nil
}

// pair reads certificate and key, each for itself, so that both are told of.
func (f *faults) pair(files Files, t text) *tls.Certificate {
	if t.cert.err != nil {
		f.add("cert", "%v", t.cert.err)
	}
	if t.key.err != nil {
		f.add("key", "%v", t.key.err)
	}
	if t.cert.err != nil || t.key.err != nil {
		return nil
	}
	cert, err := tls.X509KeyPair(t.cert.bytes, t.key.bytes)
	if err == nil {
		return &cert
	}
	if _, err := leafOf(t.cert.bytes); err != nil {
		f.add("cert", "%s holds no certificate that can be read: %v", files.Cert, err)
		return nil
	}
	if strings.Contains(err.Error(), "does not match") { // crypto/tls has no type for it
		f.add("key", "%s is not the private key of the certificate in %s", files.Key, files.Cert)
	} else {
		f.add("key", "%s holds no private key that can be read: %v", files.Key, err)
	}
	return nil
}

// authorities reads all certificates of a file; what cannot be read among them
// is passed over, as crypto/x509 does.
func (c content) authorities(path string) ([]*x509.Certificate, error) {
	if c.err != nil {
		return nil, c.err
	}
	var out []*x509.Certificate
	for rest := c.bytes; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			out = append(out, cert)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no certificate of an authority", path)
	}
	return out, nil
}

// held lists the certificates, the node's own first.
func (l *loaded) held(files Files) []Held {
	use := UsePeer
	if files.CA == "" {
		use = UseHTTP
	}
	leaf := l.chain[0]
	first := l.firstToEnd()
	own := Held{Use: use, Name: subject(leaf), File: files.Cert, From: leaf.NotBefore, Until: first.NotAfter, Life: lifeOf(first)}
	if first != leaf {
		own.By = subject(first)
	}
	out := []Held{own}
	for _, c := range l.cas {
		out = append(out, Held{Use: UsePeerCA, Name: subject(c), File: files.CA, From: c.NotBefore, Until: c.NotAfter, Life: lifeOf(c)})
	}
	return out
}

func lifeOf(c *x509.Certificate) time.Duration { return c.NotAfter.Sub(c.NotBefore) }

// firstToEnd is the one of the certificates from the node's own up to its
// authority whose time is over first; of those that end together the highest.
// Where several have signed one, the one that lasts longest counts.
func (l *loaded) firstToEnd() *x509.Certificate {
	at := l.chain[0]
	first := at
	for range l.chain {
		anchor := latest(at, l.cas)
		parent := anchor
		if parent == nil {
			parent = latest(at, l.chain[1:])
		}
		if parent == nil {
			break
		}
		if !parent.NotAfter.After(first.NotAfter) {
			first = parent
		}
		if at = parent; anchor != nil {
			break
		}
	}
	return first
}

// latest is the one among those that signed a certificate whose time is over
// last.
func latest(of *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	var out *x509.Certificate
	for _, c := range among {
		if c != of && of.CheckSignatureFrom(c) == nil && (out == nil || c.NotAfter.After(out.NotAfter)) {
			out = c
		}
	}
	return out
}
