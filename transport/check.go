package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"sluice/words"
)

// RenewWithin is how long before its end a certificate is told of.
const RenewWithin = 14 * 24 * time.Hour

// Fault is something wrong with a node's TLS files.
type Fault struct {
	Key     string // of TLSFiles: cert, key or ca
	Expired bool   // the certificate's time has not come or is over, and nothing else
	Warning bool   // it works, for now or for whoever has taken care
	Open    bool   // it works, and others can read what they must not
	Message string // names the file
}

// faults gathers what is wrong.
type faults []Fault

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, Fault{Key: key, Message: fmt.Sprintf(format, args...)})
}

// Check finds everything that is wrong with the files, at that time, for the
// node of a name that others dial at a host (empty: not known). Without a CA
// only the pair is looked at, as a server's.
func (files TLSFiles) Check(name, host string, now time.Time) []Fault {
	var f faults
	f.checkKeyMode(files.Key)
	cert := f.pair(files)
	if cert != nil {
		f.checkTime(files.Cert, cert.Leaf, now)
		if host != "" && cert.Leaf.VerifyHostname(host) != nil {
			f.add("cert", "%s is for %s and not for %s, where other nodes dial this one: make one with `sluice cert node NAME --host %s`",
				files.Cert, hostsOf(cert.Leaf), host, host)
		}
	}
	if files.CA == "" {
		return f
	}
	if cert != nil {
		f.checkName(files.Cert, cert.Leaf, name, host)
	}
	roots, err := readRoots(files.CA)
	if err != nil {
		f.add("ca", "%v", err)
		return f
	}
	if cert != nil {
		f.checkChain(files, cert, roots, now)
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
		(*f)[len(*f)-1].Open = true
	case mode&0o077 != 0:
		*f = append(*f, Fault{Key: "key", Warning: true, Message: fmt.Sprintf("the group of the private key %s can read it too (mode %#o)", path, mode)})
	}
}

// pair reads certificate and key, each for itself, so that both are told of.
func (f *faults) pair(files TLSFiles) *tls.Certificate {
	certPEM, certErr := os.ReadFile(files.Cert)
	keyPEM, keyErr := os.ReadFile(files.Key)
	if certErr != nil {
		f.add("cert", "%v", unread(files.Cert, certErr))
	}
	if keyErr != nil {
		f.add("key", "%v", unread(files.Key, keyErr))
	}
	if certErr != nil || keyErr != nil {
		return nil
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err == nil {
		return &cert
	}
	if _, err := leafOf(certPEM); err != nil {
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

func (f *faults) checkTime(path string, leaf *x509.Certificate, now time.Time) {
	left := leaf.NotAfter.Sub(now)
	switch {
	case now.Before(leaf.NotBefore):
		f.add("cert", "the certificate %s is valid only from %s; is this machine's clock right?", path, stampOf(leaf.NotBefore))
	case left < 0:
		f.add("cert", "the certificate %s has expired at %s: make a new one with `sluice cert node`", path, stampOf(leaf.NotAfter))
	case left < RenewWithin:
		*f = append(*f, Fault{Key: "cert", Warning: true, Message: fmt.Sprintf("the certificate %s ends at %s, %s: make a new one with `sluice cert node`; a running node takes it up by itself", path, stampOf(leaf.NotAfter), in(left))})
		return
	default:
		return
	}
	(*f)[len(*f)-1].Expired = true
}

// checkName looks whether the certificate is the node's own.
func (f *faults) checkName(path string, leaf *x509.Certificate, name, host string) {
	switch of := nameOf(leaf); {
	case of == "":
		f.add("cert", "%s names no Sluice node, and other nodes refuse it: make one with `sluice cert node %s --host %s`", path, cmp.Or(name, "NAME"), cmp.Or(host, "HOST"))
	case name != "" && of != name:
		f.add("cert", "%s is the certificate of the node %s, and this node is %s: make one with `sluice cert node %s --host %s`", path, of, name, name, cmp.Or(host, "HOST"))
	}
}

// in words a time that is left.
func in(left time.Duration) string {
	days := int(left / (24 * time.Hour))
	if days == 0 {
		return "within a day"
	}
	return "in " + words.Count(days, "day")
}

// checkChain verifies the certificate as other nodes do, now or at the moment
// next to it at which it is valid.
func (f *faults) checkChain(files TLSFiles, cert *tls.Certificate, roots *x509.CertPool, now time.Time) {
	if at := cert.Leaf.NotAfter; now.After(at) {
		now = at
	}
	if at := cert.Leaf.NotBefore; now.Before(at) {
		now = at
	}
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	verify := func(use x509.ExtKeyUsage) error {
		_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}})
		return err
	}
	if err := verify(x509.ExtKeyUsageAny); err != nil {
		f.add("cert", "%s %s", files.Cert, reasonOf(err, cert.Leaf, files.CA, now))
		return
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if verify(use) != nil {
			f.add("cert", "%s lacks the extended key usage %s: a node's certificate needs serverAuth and clientAuth, make one with `sluice cert node`", files.Cert, usageName(use))
		}
	}
}

// AdvertisedHost is the host at which others dial this node, as its
// certificate must name it; empty: not known.
func (c *Config) AdvertisedHost() string {
	host, _, err := net.SplitHostPort(c.Advertise)
	if err != nil || isUnspecified(host) {
		return ""
	}
	return host
}
