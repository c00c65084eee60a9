package pki

import (
	"cmp"
	"crypto/x509"
	"os"
	"time"
)

// Check finds everything that is wrong with the files, at that time, for the
// node of a name that others dial at a host (empty: not known). Without a CA
// only the pair is looked at, as a server's.
func (files Files) Check(name, host string, now time.Time) []Fault {
	l, f := files.load(files.read())
	if l != nil {
		f = files.judge(l, name, host, now)
	}
	f.checkKeyMode(files.Key)
	return f
}

// judge says what is wrong with what could be read.
func (files Files) judge(l *loaded, name, host string, now time.Time) (f faults) {
	leaf := l.cert.Leaf
	held := l.held(files)
	for i, h := range held {
		f.checkTime(h, i == 0, now)
	}
	elsewhere := host != "" && leaf.VerifyHostname(host) != nil
	switch {
	case files.CA == "":
		if elsewhere {
			f.warn("cert", "%s is for %s and not for %s, where clients are told to ask: they refuse it there", files.Cert, hostsOf(leaf), host)
		}
		if !allows(leaf, x509.ExtKeyUsageServerAuth) {
			f.add("cert", "%s lacks the extended key usage %s, and clients refuse it", files.Cert, usageName(x509.ExtKeyUsageServerAuth))
			f.last().Refused = true
		}
		return f
	case elsewhere:
		f.add("cert", "%s is for %s and not for %s, where other nodes dial this one: make one with `sluice cert node NAME --host %s`",
			files.Cert, hostsOf(leaf), host, host)
	}
	f.checkName(files.Cert, leaf, name, host)
	if held[0].By == "" || held[0].Urgency(now) < Over { // else all is said
		f.checkChain(files, l, now)
	}
	return f
}

// checkKeyMode looks at who may read a private key.
func (f *faults) checkKeyMode(path string) {
	info, err := os.Stat(path)
	if err != nil {
		return // said where it is read
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o007 != 0:
		f.add("key", "every user of this machine can read the private key %s (mode %#o): chmod 0600 %s, and make a new pair if somebody may have read it", path, mode, path)
		f.last().Open = true
	case mode&0o077 != 0:
		f.warn("key", "the group of the private key %s can read it too (mode %#o)", path, mode)
	}
}

// checkTime tells of an end that is near or past. What the node's own
// certificate rests on is told of with it, as a fault; an authority in itself is
// one of several, perhaps.
func (f *faults) checkTime(h Held, own bool, now time.Time) {
	urgency := h.Urgency(now)
	if urgency == Fine {
		return
	}
	key := "cert"
	if h.Use == UsePeerCA {
		key = "ca"
	}
	f.add(key, "%s", h.Text(now))
	f.last().Warning = !own || urgency < Over
	f.last().Refused = own && urgency == Over
}

// checkName looks whether the certificate is the node's own.
func (f *faults) checkName(path string, leaf *x509.Certificate, name, host string) {
	switch of := NameOf(leaf); {
	case of == "":
		f.add("cert", "%s names no Sluice node, and other nodes refuse it: make one with `sluice cert node %s --host %s`", path, cmp.Or(name, "NAME"), cmp.Or(host, "HOST"))
	case name != "" && of != name:
		f.add("cert", "%s is the certificate of the node %s, and this node is %s: make one with `sluice cert node %s --host %s`", path, of, name, name, cmp.Or(host, "HOST"))
	}
}

// checkChain verifies the certificate as other nodes do, now or at the moment
// next to it at which it is valid.
func (f *faults) checkChain(files Files, l *loaded, now time.Time) {
	leaf := l.cert.Leaf
	if at := leaf.NotAfter; now.After(at) {
		now = at
	}
	if at := leaf.NotBefore; now.Before(at) {
		now = at
	}
	between := x509.NewCertPool()
	for _, c := range l.chain[1:] {
		between.AddCert(c)
	}
	verify := func(use x509.ExtKeyUsage) error {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: l.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}})
		return err
	}
	if err := verify(x509.ExtKeyUsageAny); err != nil {
		f.add("cert", "%s %s", files.Cert, ReasonOf(err, leaf, files.CA, now))
		return
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if verify(use) != nil {
			f.add("cert", "%s lacks the extended key usage %s: a node's certificate needs serverAuth and clientAuth, make one with `sluice cert node`", files.Cert, usageName(use))
		}
	}
}
