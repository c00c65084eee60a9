package kafka

import (
	"encoding/binary"
	"math"
)

// The primitives of the Kafka protocol (protocol guide, "Protocol Primitive
// Types") that our own requests need, all of flexible versions: compact
// lengths are uvarints of the length plus one, 0 is null, and each structure
// ends in tagged fields.

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// appendLen appends a compact length, of an array as of bytes.
func appendLen(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)+1) }

func appendCompactString(dst []byte, s string) []byte { return append(appendLen(dst, len(s)), s...) }

// appendRequestHeader appends size (zero for now) and a request header v2.
// The correlation id is patched in when the request is queued.
func appendRequestHeader(dst []byte, key, version int16, clientID string) []byte {
	dst = appendInt32(dst, 0) // size
	dst = appendInt16(dst, key)
	dst = appendInt16(dst, version)
	dst = appendInt32(dst, 0) // correlation id
	dst = appendInt16(dst, int16(len(clientID)))
	dst = append(dst, clientID...)
	return append(dst, 0) // no tagged fields
}

// wireReader reads primitives of flexible versions. After a read past the end
// bad is set and every further read gives zero, so a parser checks once per
// structure.
type wireReader struct {
	b   []byte
	at  int
	bad bool
}

// span returns the next n bytes, aliasing the input.
func (r *wireReader) span(n int) []byte {
	if r.bad || n < 0 || n > len(r.b)-r.at {
		r.bad = true
		return nil
	}
	s := r.b[r.at : r.at+n : r.at+n]
	r.at += n
	return s
}

func (r *wireReader) int16() int16 {
	if s := r.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (r *wireReader) int32() int32 {
	if s := r.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

func (r *wireReader) int64() int64 {
	if s := r.span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

func (r *wireReader) uuid() (id [16]byte) {
	copy(id[:], r.span(16))
	return id
}

func (r *wireReader) uvarint() int {
	if r.bad {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 || v > math.MaxInt32 {
		r.bad = true
		return 0
	}
	r.at += n
	return int(v)
}

// compactBytes returns bytes or a string, aliasing the input; nil for null.
func (r *wireReader) compactBytes() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	return r.span(n - 1)
}

// arrayLen returns the length of an array whose elements take at least least
// bytes each; 0 for null.
func (r *wireReader) arrayLen(least int) int {
	n := r.uvarint() - 1
	if n <= 0 {
		return 0
	}
	if n > (len(r.b)-r.at)/least {
		r.bad = true
		return 0
	}
	return n
}

// tags reads tagged fields and hands each to each, which may be nil.
func (r *wireReader) tags(each func(tag int, value *wireReader)) {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		tag := r.uvarint()
		value := r.span(r.uvarint())
		if each != nil && !r.bad {
			sub := wireReader{b: value}
			each(tag, &sub)
			r.bad = r.bad || sub.bad
		}
	}
}

// skipTags passes over tagged fields.
func (r *wireReader) skipTags() {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.uvarint()
		r.span(r.uvarint())
	}
}
