package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"strings"
)

// A certificate names its node in a URI of its own kind, which nobody puts
// there for another reason: sluice://node/NAME.
const (
	nodeScheme = "sluice"
	nodeHost   = "node"
)

func nodeURI(name string) *url.URL {
	return &url.URL{Scheme: nodeScheme, Host: nodeHost, Path: "/" + name}
}

// nameOf is the name of the node that a certificate is of; empty: it names
// none, or several.
func nameOf(leaf *x509.Certificate) string {
	name := ""
	for _, u := range leaf.URIs {
		if u.Scheme != nodeScheme || u.Host != nodeHost {
			continue
		}
		if name != "" {
			return ""
		}
		name = strings.TrimPrefix(u.Path, "/")
	}
	return name
}

// unnamed is what is wrong with a certificate that names no node, as the end of
// a sentence that begins with whose it is.
const unnamed = "is not a Sluice node's, for it names none: make one with `sluice cert node`"

// unnamedError ends a TLS handshake.
type unnamedError struct{}

func (unnamedError) Error() string { return "the certificate " + unnamed }

// mustBeNamed is a tls.Config's VerifyConnection.
func mustBeNamed(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 || nameOf(s.PeerCertificates[0]) == "" {
		return unnamedError{}
	}
	return nil
}

// keyOf is the fingerprint of a certificate's public key.
func keyOf(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
