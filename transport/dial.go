package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// Target is where to dial: an address, and the ServerID that must answer
// there (empty: whoever does).
type Target struct {
	Address  string // host:port
	ServerID string
}

// String returns "serverID@address", the form that ParseTarget reads. Raft's
// pool is keyed by it.
func (g Target) String() string {
	if g.ServerID == "" {
		return g.Address
	}
	return g.ServerID + "@" + g.Address
}

// ParseTarget reads what String wrote.
func ParseTarget(s string) Target {
	if id, address, ok := strings.Cut(s, "@"); ok {
		return Target{Address: address, ServerID: id}
	}
	return Target{Address: s}
}

// Dial connects and shakes hands, within ctx and the handshake timeout. The
// error is one of this package's when the peer refused; IsRefused tells that
// nobody listens there.
func (t *Transport) Dial(ctx context.Context, kind Kind, to Target) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.HandshakeTimeout)
	defer cancel()
	c, err := t.dial(ctx, kind, to)
	t.dialEnded(t.log, to.Address, err)
	if err != nil {
		t.stats.dialFailed.Add(1)
		return nil, fmt.Errorf("dialling %s for %s: %w", to, kind, err)
	}
	t.stats.dialled(kind).Add(1)
	return c, nil
}

func (t *Transport) dial(ctx context.Context, kind Kind, to Target) (*Conn, error) {
	raw, err := t.dialRaw(ctx, to.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	c, err := t.introduce(ctx, raw, kind, to)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		t.untrackRaw(raw)
		return nil, err
	}
	t.track(c)
	if err := t.guard(c.meeting()); err != nil { // a Review before now has not seen it
		c.Close()
		return nil, err
	}
	t.gate.Know(raw.RemoteAddr())
	return c, nil
}

// dialRaw opens a tracked connection without a word on it.
func (t *Transport) dialRaw(ctx context.Context, address string) (net.Conn, error) {
	if t.tls == nil && !isLoopback(address) {
		return nil, ErrInsecure
	}
	raw, err := t.net.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if !t.trackRaw(raw) {
		raw.Close()
		return nil, ErrClosed
	}
	return raw, nil
}

// introduce is the dialler's half of the handshake.
func (t *Transport) introduce(ctx context.Context, raw net.Conn, kind Kind, to Target) (*Conn, error) {
	nc := raw
	if t.tls != nil {
		host, _, err := net.SplitHostPort(to.Address)
		if err != nil {
			return nil, err
		}
		client := tls.Client(raw, t.tls.client(host))
		if err := client.HandshakeContext(ctx); err != nil {
			return nil, t.tls.cause(err, to.Address, x509.ExtKeyUsageClientAuth, "")
		}
		nc = client
	}
	self := t.Self()
	theirs, err := exchange(nc, kind, hello{Version: ProtocolVersion, Identity: self, To: to.ServerID})
	switch {
	case alertOf(err) != 0:
		return nil, t.tls.cause(err, to.Address, x509.ExtKeyUsageClientAuth, "")
	case err != nil:
		return nil, err
	}
	if theirs.Refused == codeTwin {
		return nil, t.answered(theirs)
	}
	if theirs.Refused == codeCertificate {
		return nil, &CertificateError{Peer: to.Address, Ours: true, Reason: theirs.Detail}
	}
	if theirs.Refused == codeBanned {
		return nil, &BannedError{Detail: theirs.Detail}
	}
	if theirs.Refused != "" {
		return nil, fmt.Errorf("%w (answer of %s: %s)", refusal(theirs.Refused), theirs.Name, theirs.Detail)
	}
	if to.ServerID != "" && theirs.ServerID != to.ServerID {
		return nil, fmt.Errorf("%w: node %s (server id %s, not %s)", ErrWrongServer, theirs.Name, theirs.ServerID, to.ServerID)
	}
	theirs.To = ""
	if err := judge(kind, self, theirs); err != nil {
		return nil, err
	}
	peer, err := peerOf(nc, theirs.Identity, to.Address)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: nc, t: t, kind: kind, peer: peer, named: to.ServerID != ""}, nil
}

// exchange sends this side's hello and returns the answer. In TLS 1.3 a server
// looks at the client's certificate after the client's handshake has ended: its
// refusal is the first thing to be read, even where writing failed.
func exchange(nc net.Conn, kind Kind, ours hello) (hello, error) {
	writeErr := writeHello(nc, kind, ours)
	theirs, err := readHello(nc)
	if writeErr != nil && alertOf(err) == 0 {
		err = writeErr
	}
	return theirs, err
}

// Probe opens a connection and closes it. It answers the question that a lost
// connection raises: is the process still there? nil: something accepts;
// IsRefused(err): nothing does; else: no answer within ctx.
func (t *Transport) Probe(ctx context.Context, address string) error {
	raw, err := t.dialRaw(ctx, address)
	if err != nil {
		return fmt.Errorf("probing %s: %w", address, err)
	}
	t.untrackRaw(raw)
	return raw.Close()
}

// IsRefused reports that the machine answered and nobody listens there.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
