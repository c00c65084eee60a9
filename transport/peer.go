package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"sluice/pki"
)

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
	p.Key = pki.KeyOf(p.leaf)
	if name := pki.NameOf(p.leaf); name != said.Name {
		return p, &CertificateError{Peer: who, Reason: fmt.Sprintf("is of the node %s, and the node calls itself %s: `name` in its node.yaml must be the certificate's", name, said.Name)}
	}
	return p, nil
}
