package transport

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// reasonOf says what is wrong with a certificate that was not accepted, as the
// end of a sentence that begins with whose it is. ca is the file of the
// authorities that were asked, at the moment of asking.
func reasonOf(err error, leaf *x509.Certificate, ca string, at time.Time) string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, &host):
		return fmt.Sprintf("is for %s, not for %s", hostsOf(leaf), host.Host)
	case errors.As(err, &authority):
		return fmt.Sprintf("is signed by %q, which %s does not hold", leaf.Issuer.CommonName, ca)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && at.Before(leaf.NotBefore):
		return "is valid only from " + stampOf(leaf.NotBefore)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && at.After(leaf.NotAfter):
		return "has expired at " + stampOf(leaf.NotAfter)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("is signed by %q, whose own certificate is not valid now", leaf.Issuer.CommonName)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "lacks an extended key usage: a node's needs serverAuth and clientAuth"
	}
	return fmt.Sprintf("is not valid: %v", err)
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

// stampOf writes a moment as all messages do.
func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

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

// readRoots reads a file of authorities.
func readRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unread(path, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate of an authority", path)
	}
	return roots, nil
}

// unread words why a file could not be read.
func unread(path string, err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}
