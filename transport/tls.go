package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"sluice/pki"
)

// session makes the TLS sessions of a node, each with what its files hold at
// that moment; nil: the node runs without.
type session struct{ *pki.Store }

// server returns the configuration for one inbound connection.
func (s *session) server() *tls.Config {
	cert, roots := s.Current()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{*cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              roots,
		VerifyConnection:       mustBeNamed,
		SessionTicketsDisabled: true, // a resumed session would outlive a changed CA
	}
}

// client returns the configuration for dialling host, whose certificate must
// name it. This node shows its own to whatever authorities the server asks for:
// of its own accord Go would show none to those that do not fit, and the server
// could not say what is wrong with it.
func (s *session) client(host string) *tls.Config {
	cert, roots := s.Current()
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil },
		RootCAs:              roots,
		VerifyConnection:     mustBeNamed,
		ServerName:           host,
	}
}

// cause makes a CertificateError of what TLS said to the peer, where it is one.
// use is what this node's own certificate was shown as; host is where others
// dial this node (empty: not known).
func (s *session) cause(err error, peer string, use x509.ExtKeyUsage, host string) error {
	if s == nil || err == nil {
		return err
	}
	now, files := time.Now(), s.Files()
	var theirs *tls.CertificateVerificationError
	if errors.As(err, &theirs) && len(theirs.UnverifiedCertificates) > 0 {
		leaf := theirs.UnverifiedCertificates[0]
		return &CertificateError{Peer: peer, Reason: pki.ReasonOf(theirs.Err, leaf, files.CA, now), err: err}
	}
	if _, ok := errors.AsType[unnamedError](err); ok {
		return &CertificateError{Peer: peer, Reason: pki.Unnamed, err: err}
	}
	var reason string
	own, _ := s.Current()
	switch alertOf(err) {
	case alertExpired:
		reason = fmt.Sprintf("for its clock it is not valid now, for this one's it is until %s: compare the clocks", pki.Stamp(own.Leaf.NotAfter))
	case alertUnknownCA:
		reason = fmt.Sprintf("the authorities that it trusts (its peer.tls.ca) do not hold %q, which signed %s", own.Leaf.Issuer.CommonName, files.Cert)
	case alertRequired:
		reason = "it got none"
	case alertBad, alertUnsupported, alertRevoked, alertUnknown:
		reason = fmt.Sprintf("its log says why; perhaps the authorities that it trusts (its peer.tls.ca) do not hold %q, which signed %s", own.Leaf.Issuer.CommonName, files.Cert)
	default:
		return fmt.Errorf("TLS: %w", err)
	}
	if fault := pki.FaultOf(own.Leaf, use, host, now); fault != "" && alertOf(err) != alertUnknownCA {
		reason = files.Cert + " " + fault
	}
	return &CertificateError{Peer: peer, Ours: true, Reason: reason, err: err}
}

// unnamedError ends a TLS handshake.
type unnamedError struct{}

func (unnamedError) Error() string { return "the certificate " + pki.Unnamed }

// mustBeNamed is a tls.Config's VerifyConnection.
func mustBeNamed(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 || pki.NameOf(s.PeerCertificates[0]) == "" {
		return unnamedError{}
	}
	return nil
}
