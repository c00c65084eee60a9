package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/gate"
)

// Run listens until ctx ends, then closes every connection and waits for the
// goroutines that it started.
func (t *Transport) Run(ctx context.Context) error {
	ln, err := t.net.Listen(ctx, "tcp", t.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening for nodes on %s: %w", t.cfg.Listen, err)
	}
	defer t.close()
	t.log.Info("listening for nodes", "address", t.cfg.Listen, "advertise", t.cfg.Advertise, "tls", t.tls != nil)
	var group errgroup.Group
	stop := context.AfterFunc(ctx, func() { ln.Close(); t.close() })
	defer stop()
	group.Go(func() error { return t.acceptLoop(ctx, ln, &group) })
	return group.Wait()
}

// acceptLoop starts one handshake per connection. Errors of accept other than
// the end (out of file descriptors) are waited out.
func (t *Transport) acceptLoop(ctx context.Context, ln net.Listener, group *errgroup.Group) error {
	for {
		nc, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return nil
		}
		if err != nil {
			t.log.Warn("connections of nodes cannot be accepted; it is tried again", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		pass, crowded := t.gate.Enter(nc)
		if crowded {
			t.noteCrowd(nc.RemoteAddr())
		}
		if pass != nil {
			group.Go(func() error { t.serve(nc, pass); return nil })
		}
	}
}

// noteCrowd counts a connection that was closed to make room, or for coming
// too fast, and says so once in a minute.
func (t *Transport) noteCrowd(from net.Addr) {
	n := t.stats.refused("too-many").Add(1)
	if t.troubles.MaySay("too many") {
		t.log.Warn("connections are closed that have not proven to be a node's: they are too many, or come too fast", "last from", from.String(), "so far", n)
	}
}

// serve carries one inbound connection through TLS and hello and hands it to
// its listener.
func (t *Transport) serve(raw net.Conn, pass *gate.Pass) {
	defer pass.Leave()
	if !t.trackRaw(raw) {
		raw.Close()
		return
	}
	deadline := time.Now().Add(t.cfg.HandshakeTimeout)
	_ = raw.SetDeadline(deadline)
	c, err := t.greet(raw)
	if err != nil {
		raw.Close()
		t.untrackRaw(raw)
		t.noteRefusal(raw.RemoteAddr(), err)
		return
	}
	pass.Proven()
	_ = raw.SetDeadline(time.Time{})
	t.track(c)
	if err := t.guard(c.meeting()); err != nil { // a Review before now has not seen it
		c.Close()
		t.noteRefusal(raw.RemoteAddr(), err)
		return
	}
	t.stats.accepted(c.kind).Add(1)
	l := t.listener(c.kind)
	if l == nil {
		c.Close()
		return
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case l.queue <- c:
		// A listener that closed meanwhile has closed c, because it was tracked.
	case <-l.done:
		c.Close()
	case <-timer.C:
		t.stats.refused("busy").Add(1)
		c.Close()
	}
}

// greet is the acceptor's half of the handshake.
func (t *Transport) greet(raw net.Conn) (*Conn, error) {
	nc := raw
	if t.tls != nil {
		server := tls.Server(raw, t.tls.server())
		if err := server.HandshakeContext(context.Background()); err != nil {
			return nil, t.tls.cause(err, hostOf(raw.RemoteAddr()), x509.ExtKeyUsageServerAuth, t.cfg.AdvertisedHost())
		}
		nc = server
	}
	var first [1]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil {
		return nil, err
	}
	kind := Kind(first[0])
	if !kind.valid() {
		return nil, fmt.Errorf("%w: first byte 0x%02x: %s", ErrBadHandshake, first[0], explainFirstByte(first[0], t.tls == nil))
	}
	theirs, err := readHello(nc)
	if err != nil {
		return nil, err
	}
	self := t.Self()
	peer, err := peerOf(nc, theirs.Identity, hostOf(raw.RemoteAddr()))
	if err == nil {
		err = judge(kind, self, theirs)
	}
	if err == nil {
		err = t.guard(Meeting{Kind: kind, Peer: peer, Inbound: true})
	}
	if err == nil && t.listener(kind) == nil {
		err = fmt.Errorf("%w: %s", ErrNotReady, kind)
	}
	reply := hello{Version: ProtocolVersion, Identity: self}
	if err != nil {
		reply.Refused, reply.Detail = refusalCode(err), err.Error()
		if twin, ok := errors.AsType[*TwinError](err); ok {
			reply.Alive = twin.Alive
		}
		if cert, ok := errors.AsType[*CertificateError](err); ok {
			reply.Detail = "it " + cert.Reason
		}
		_ = writeHello(nc, 0, reply)
		return nil, err
	}
	if err := writeHello(nc, 0, reply); err != nil {
		return nil, err
	}
	return &Conn{Conn: nc, t: t, kind: kind, peer: peer, inbound: true}, nil
}

// noteRefusal counts a failed inbound handshake and logs it, each kind of
// failure of a host once in a minute, and of few hosts. A connection that says nothing and goes
// is a probe.
func (t *Transport) noteRefusal(from net.Addr, err error) {
	code := refusalCode(err)
	level := t.log.Warn
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET):
		t.stats.refused("probe").Add(1)
		return
	case errors.As(err, &timeout) && timeout.Timeout():
		code = "timeout"
	case errors.Is(err, ErrNotReady):
		level = t.log.Debug
	}
	t.stats.refused(code).Add(1)
	if t.troubles.mayName(code, hostOf(from)) {
		level("refused a connection", "from", from.String(), "code", code, "error", err)
	}
}

// hostOf is the host of a socket's other end.
func hostOf(a net.Addr) string {
	host, _, _ := net.SplitHostPort(a.String())
	return host
}
