package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// handshake is the talk with a broker before requests are pipelined: one
// request, one answer. Deadlines are the socket's.
type handshake struct {
	nc        net.Conn
	formatter *kmsg.RequestFormatter
	corr      int32
}

// tlsAlert begins what a TLS listener answers to what is not TLS (RFC 8446,
// section 5.1).
const tlsAlert = 21

// maxHandshake bounds a response during the handshake, in bytes.
const maxHandshake = 1 << 20

// shake asks for the API versions, logs in with log (nil: no login), lets check
// (nil: none) ask what it wants, and returns the versions and how long the
// login holds (0: for ever).
func shake(ctx context.Context, nc net.Conn, clientID string, log loginFunc, check func(askFunc) error) (apiVersions, time.Duration, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if at, ok := ctx.Deadline(); ok {
		if err := nc.SetDeadline(at); err != nil {
			return nil, 0, fmt.Errorf("setting deadline: %w", err)
		}
	}
	h := &handshake{nc: nc, formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))}
	versions, err := h.apiVersions()
	var lifetime time.Duration
	ask := func(req kmsg.Request) (kmsg.Response, error) { return h.ask(versions, req) }
	if err == nil && log != nil {
		lifetime, err = log(ctx, ask)
	}
	if err == nil && check != nil {
		err = check(ask)
	}
	if err == nil && stop() {
		err = nc.SetDeadline(time.Time{})
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, 0, ctxErr
	}
	return versions, lifetime, err
}

// apiVersions asks with version 3 and, if the broker is too old for that, as
// it then says in the format of version 0, with 0.
func (h *handshake) apiVersions() (apiVersions, error) {
	req := newVersionsRequest()
	resp := kmsg.NewPtrApiVersionsResponse()
	for _, version := range []int16{3, 0} {
		req.SetVersion(version)
		body, err := h.roundTrip(req)
		if err != nil {
			return nil, fmt.Errorf("asking for API versions: %w", err)
		}
		if len(body) >= 2 && int16(binary.BigEndian.Uint16(body)) == kerr.UnsupportedVersion.Code && version > 0 {
			continue
		}
		resp.SetVersion(version)
		if err := resp.ReadFrom(body); err != nil {
			return nil, fmt.Errorf("asking for API versions: %w: %w", ErrProtocol, err)
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, fmt.Errorf("asking for API versions: %w", err)
		}
		break
	}
	return newAPIVersions(resp), nil
}

// newVersionsRequest names this software, without which brokers refuse
// version 3 and up.
func newVersionsRequest() *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "sluice", "1"
	return req
}

// ask sends req in the best version and returns the answer.
func (h *handshake) ask(versions apiVersions, req kmsg.Request) (kmsg.Response, error) {
	version, err := versions.best(req.Key(), 0, req.MaxVersion())
	if err != nil {
		return nil, err
	}
	req.SetVersion(version)
	resp := req.ResponseKind()
	resp.SetVersion(version)
	body, err := h.roundTrip(req)
	if err != nil {
		return nil, err
	}
	return resp, decode(resp, body)
}

// roundTrip sends req and returns the body of its answer, behind the
// correlation id.
func (h *handshake) roundTrip(req kmsg.Request) ([]byte, error) {
	h.corr--
	if _, err := h.nc.Write(h.formatter.AppendRequest(nil, req, h.corr)); err != nil {
		return nil, err
	}
	var head [8]byte
	n, err := io.ReadFull(h.nc, head[:])
	if n > 2 && head[0] == tlsAlert && head[1] == 3 { // the major version of all of TLS
		return nil, fmt.Errorf("%w: %w", ErrProtocol, errTLSWanted)
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w (wrong listener, or not logged in as it wants?)", io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	size := int32(binary.BigEndian.Uint32(head[:])) - 4
	if corr := int32(binary.BigEndian.Uint32(head[4:])); corr != h.corr || size < 0 || size > maxHandshake {
		return nil, fmt.Errorf("%w: not a Kafka response (plaintext to a TLS listener?)", ErrProtocol)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(h.nc, body)
	return body, err
}

// decode reads a response behind its correlation id into resp.
func decode(resp kmsg.Response, body []byte) error {
	if resp.IsFlexible() && resp.Key() != keyAPIVersions {
		r := wireReader{b: body}
		r.skipTags()
		if r.bad {
			return fmt.Errorf("%w: response header cut short", ErrProtocol)
		}
		body = body[r.at:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrProtocol, kmsg.NameForKey(resp.Key()), err)
	}
	return nil
}

const keyAPIVersions = 18
