package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Store holds what a node's files held when that was last good. A nil Store
// holds nothing.
type Store struct {
	files      Files
	name, host string
	log        *slog.Logger

	looking sync.Mutex // who looks at the files

	mu    sync.Mutex // of what follows; no file is read under it
	in    *loaded
	held  []Held
	fault string // why what stands in the files now is not used; empty: it is
}

// Open reads the files for the node of a name that others dial at a host
// (empty: not known). Whatever can be read is good enough to begin with; Check
// says what is wrong with it.
func Open(files Files, name, host string, log *slog.Logger) (*Store, error) {
	s := &Store{files: files, name: name, host: host, log: log}
	l, f := files.load(files.read())
	if l == nil {
		return nil, fmt.Errorf("reading certificates: %s", f.hard())
	}
	s.use(l)
	return s, nil
}

func (s *Store) use(l *loaded) { s.in, s.held = l, l.held(s.files) }

// look reads the files again. What Check would refuse is not taken up: while
// they are replaced one by one, and if somebody errs, what was read before goes
// on. Modification times are not asked, since copies keep them. While somebody
// else looks nobody waits for him: a file system may hang.
func (s *Store) look() {
	if !s.looking.TryLock() {
		return
	}
	defer s.looking.Unlock()
	t := s.files.read()
	s.mu.Lock()
	same := t.equal(s.in.text)
	s.mu.Unlock()
	var l *loaded
	fault := ""
	if err := t.err(); err != nil {
		fault = err.Error()
	} else if !same {
		var f faults
		if l, f = s.files.load(t); l != nil {
			f = s.files.judge(l, s.name, s.host, time.Now())
		}
		fault = f.hard()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault = fault; l == nil || fault != "" {
		return
	}
	s.use(l)
	s.log.Info("certificates have changed: from now on the new ones are used", "cert", s.files.Cert, "until", Stamp(s.held[0].Until))
}

// Current is the certificate to show and the authorities to trust, after a look
// at the files; nil where these name none.
func (s *Store) Current() (*tls.Certificate, *x509.CertPool) {
	s.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.cert, s.in.roots
}

// GetCertificate is the one for a server to show, for a tls.Config.
func (s *Store) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, _ := s.Current()
	return cert, nil
}

// Key is the fingerprint of the public key of the certificate in use; empty:
// there is none.
func (s *Store) Key() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return KeyOf(s.in.cert.Leaf)
}

// Files are those that it reads.
func (s *Store) Files() Files { return s.files }

// Held lists the certificates that are in use, the node's own first, with what
// was wrong with the files at the last look. It reads none.
func (s *Store) Held() []Held {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.held)
	out[0].Fault = s.fault
	return out
}

// Look is Held after a look at the files.
func (s *Store) Look() []Held {
	if s != nil {
		s.look()
	}
	return s.Held()
}
