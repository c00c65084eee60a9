package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
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

// Peer is who is at the other end of a connection. Its Name is its
// certificate's, unless the connection is plaintext: then there is no proof of
// anything.
type Peer struct {
	Identity
	From string // host:port as this machine sees it
	Key  string // hex SHA-256 of its certificate's public key (SubjectPublicKeyInfo); empty: plaintext
	leaf *x509.Certificate
}

// Proven reports that a certificate proves the name.
func (p Peer) Proven() bool { return p.Key != "" }

// Serves reports whether the peer's certificate is for the host of an address;
// without one nothing speaks against it.
func (p Peer) Serves(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (p.leaf == nil || p.leaf.VerifyHostname(host) == nil)
}

// peerOf joins what a peer said of itself with what its certificate proves. A
// CertificateError says that the two differ; who is the peer for it.
func peerOf(nc net.Conn, said Identity, who string) (Peer, error) {
	p := Peer{Identity: said, From: nc.RemoteAddr().String()}
	session, ok := nc.(*tls.Conn)
	if !ok {
		return p, nil
	}
	p.leaf = session.ConnectionState().PeerCertificates[0]
	p.Key = keyOf(p.leaf)
	if name := nameOf(p.leaf); name != said.Name {
		return p, &CertificateError{Peer: who, Reason: fmt.Sprintf("is of the node %s, and the node calls itself %s: `name` in its node.yaml must be the certificate's", name, said.Name)}
	}
	return p, nil
}
