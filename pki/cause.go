package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// ReasonOf says what is wrong with a certificate that was not accepted, as the
// end of a sentence that begins with whose it is. ca is the file of the
// authorities that were asked, at the moment of asking.
func ReasonOf(err error, leaf *x509.Certificate, ca string, at time.Time) string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, &host):
		return fmt.Sprintf("is for %s, not for %s", hostsOf(leaf), host.Host)
	case errors.As(err, &authority):
		return fmt.Sprintf("is signed by %q, which %s does not hold", leaf.Issuer.CommonName, ca)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && at.Before(leaf.NotBefore):
		return "is valid only from " + Stamp(leaf.NotBefore)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && at.After(leaf.NotAfter):
		return "has expired at " + Stamp(leaf.NotAfter)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("is signed by %q, whose own certificate is not valid now", leaf.Issuer.CommonName)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "lacks an extended key usage: a node's needs serverAuth and clientAuth"
	}
	return fmt.Sprintf("is not valid: %v", err)
}

// FaultOf is what a node itself can see of why its certificate is refused, shown
// as a server's or a client's to whoever dials that host (empty: not known), as
// the end of a sentence that begins with it; empty: nothing.
func FaultOf(leaf *x509.Certificate, use x509.ExtKeyUsage, host string, now time.Time) string {
	switch {
	case now.Before(leaf.NotBefore):
		return "is valid only from " + Stamp(leaf.NotBefore)
	case now.After(leaf.NotAfter):
		return "has expired at " + Stamp(leaf.NotAfter)
	case !allows(leaf, use):
		return "lacks the extended key usage " + usageName(use)
	case use == x509.ExtKeyUsageServerAuth && host != "" && leaf.VerifyHostname(host) != nil:
		return fmt.Sprintf("is for %s, not for %s", hostsOf(leaf), host)
	case NameOf(leaf) == "":
		return Unnamed
	}
	return ""
}

// allows reports whether a certificate is good for a use.
func allows(leaf *x509.Certificate, use x509.ExtKeyUsage) bool {
	return len(leaf.ExtKeyUsage) == 0 || slices.Contains(leaf.ExtKeyUsage, use) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// usageName is what openssl calls one.
func usageName(use x509.ExtKeyUsage) string {
	if use == x509.ExtKeyUsageClientAuth {
		return "clientAuth"
	}
	return "serverAuth"
}

// hostsOf lists what a certificate is for.
func hostsOf(leaf *x509.Certificate) string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no host at all"
	}
	return strings.Join(names, ", ")
}

// Stamp writes a moment as all messages do.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// leafOf reads the first certificate of a PEM text.
func leafOf(text []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("no PEM block CERTIFICATE")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}

// unread words why a file could not be read.
func unread(path string, err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}
