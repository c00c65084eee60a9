package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certStore holds the node's certificate and the CA, and reads the files again
// when one of them has changed.
type certStore struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex
	stamps [3]stamp
	cert   *tls.Certificate
	roots  *x509.CertPool
}

// stamp tells one state of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

func newCertStore(files TLSFiles, log *slog.Logger) (*certStore, error) {
	s := &certStore{files: files, log: log}
	s.mu.Lock()
	defer s.mu.Unlock()
	stamps, err := s.stat()
	if err != nil {
		return nil, err
	}
	if err := s.load(stamps); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *certStore) stat() (stamps [3]stamp, err error) {
	for i, file := range []string{s.files.Cert, s.files.Key, s.files.CA} {
		info, err := os.Stat(file)
		if err != nil {
			return stamps, fmt.Errorf("reading TLS files: %w", err)
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

// load reads all three files; on an error the store is as before. Callers hold
// mu.
func (s *certStore) load(stamps [3]stamp) error {
	if info, err := os.Stat(s.files.Key); err == nil && info.Mode().Perm()&0o077 != 0 {
		s.log.Warn("private key is readable by others", "file", s.files.Key, "mode", fmt.Sprintf("%#o", info.Mode().Perm()))
	}
	cert, err := tls.LoadX509KeyPair(s.files.Cert, s.files.Key)
	if err != nil {
		return fmt.Errorf("reading %s and %s: %w", s.files.Cert, s.files.Key, err)
	}
	roots, err := readRoots(s.files.CA)
	if err != nil {
		return fmt.Errorf("reading CA: %w", err)
	}
	s.cert, s.roots, s.stamps = &cert, roots, stamps
	return nil
}

// current returns what the files hold. While they cannot be read (a renewal in
// progress writes them one by one) the last good state stays.
func (s *certStore) current() (*tls.Certificate, *x509.CertPool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamps, err := s.stat()
	if err == nil && stamps != s.stamps {
		if err = s.load(stamps); err == nil {
			s.log.Info("TLS files changed: loaded", "cert", s.files.Cert)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("TLS files changed: keeping the former ones", "error", err)
	}
	return s.cert, s.roots
}

// server returns the configuration for one inbound connection.
func (s *certStore) server() *tls.Config {
	cert, roots := s.current()
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
func (s *certStore) client(host string) *tls.Config {
	cert, roots := s.current()
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
func (s *certStore) cause(err error, peer string, use x509.ExtKeyUsage, host string) error {
	if s == nil || err == nil {
		return err
	}
	now := time.Now()
	var theirs *tls.CertificateVerificationError
	if errors.As(err, &theirs) && len(theirs.UnverifiedCertificates) > 0 {
		leaf := theirs.UnverifiedCertificates[0]
		return &CertificateError{Peer: peer, Reason: reasonOf(theirs.Err, leaf, s.files.CA, now), err: err}
	}
	if _, ok := errors.AsType[unnamedError](err); ok {
		return &CertificateError{Peer: peer, Reason: unnamed, err: err}
	}
	var reason string
	own, _ := s.current()
	switch alertOf(err) {
	case alertExpired:
		reason = fmt.Sprintf("for its clock it is not valid now, for this one's it is until %s: compare the clocks", stampOf(own.Leaf.NotAfter))
	case alertUnknownCA:
		reason = fmt.Sprintf("the authorities that it trusts (its peer.tls.ca) do not hold %q, which signed %s", own.Leaf.Issuer.CommonName, s.files.Cert)
	case alertRequired:
		reason = "it got none"
	case alertBad, alertUnsupported, alertRevoked, alertUnknown:
		reason = fmt.Sprintf("its log says why; perhaps the authorities that it trusts (its peer.tls.ca) do not hold %q, which signed %s", own.Leaf.Issuer.CommonName, s.files.Cert)
	default:
		return fmt.Errorf("TLS: %w", err)
	}
	if fault := ownFault(own.Leaf, use, host, now); fault != "" && alertOf(err) != alertUnknownCA {
		reason = s.files.Cert + " " + fault
	}
	return &CertificateError{Peer: peer, Ours: true, Reason: reason, err: err}
}
