package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// maxFrame is the largest request or response that a proxy lets through; more means that the bytes
// are no Kafka protocol (TLS, say).
const maxFrame = 256 << 20

var errNotKafka = errors.New("not the Kafka protocol")

// Request is what a request's header says, in Kafka's words.
type Request struct {
	APIKey        int16
	Version       int16
	CorrelationID int32
	ClientID      string
}

// frame is one request or response with its length prefix, in a buffer of the pool.
type frame struct {
	buf *[]byte
}

func (f frame) bytes() []byte { return *f.buf }

// body returns the frame without its length.
func (f frame) body() []byte { return (*f.buf)[4:] }

// framePool recycles the frames' buffers: fetch responses come in megabytes.
type framePool struct{ pool sync.Pool }

func (p *framePool) get(n int) frame {
	buf, _ := p.pool.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = slices.Grow((*buf)[:0], n)[:n]
	return frame{buf}
}

func (p *framePool) put(f frame) { p.pool.Put(f.buf) }

// readFrame reads one frame; io.EOF means an orderly end between two frames.
func (p *framePool) readFrame(r io.Reader) (frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := int32(binary.BigEndian.Uint32(head[:]))
	if n < 4 || n > maxFrame {
		return frame{}, fmt.Errorf("%w: a frame of %d bytes", errNotKafka, n)
	}
	f := p.get(4 + int(n))
	copy(f.bytes(), head[:])
	if _, err := io.ReadFull(r, f.body()); err != nil {
		p.put(f)
		return frame{}, err
	}
	return f, nil
}

// parseRequest reads a request's header: api key, version, correlation id, client id (the same in
// header versions 1 and 2; ApiVersions and ControlledShutdown 0 aside).
func parseRequest(body []byte) (Request, error) {
	if len(body) < 10 {
		return Request{}, fmt.Errorf("%w: a request of %d bytes", errNotKafka, len(body))
	}
	r := Request{
		APIKey:        int16(binary.BigEndian.Uint16(body)),
		Version:       int16(binary.BigEndian.Uint16(body[2:])),
		CorrelationID: int32(binary.BigEndian.Uint32(body[4:])),
	}
	n := int(int16(binary.BigEndian.Uint16(body[8:])))
	if n > len(body)-10 {
		return Request{}, fmt.Errorf("%w: a client id of %d bytes", errNotKafka, n)
	}
	if n > 0 { // -1 is null
		r.ClientID = string(body[10 : 10+n])
	}
	return r, nil
}

func correlationID(response []byte) int32 { return int32(binary.BigEndian.Uint32(response)) }
