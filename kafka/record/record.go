package record

import (
	"encoding/binary"
	"iter"
	"math"
)

// Record is one record of a batch. Its slices alias what the batch was opened
// from. A nil Key or Value is Kafka's null; an empty one is empty.
type Record struct {
	Offset      int64
	Timestamp   int64 // ms since 1970; of a LogAppendTime batch the append time
	Key, Value  []byte
	HeaderCount int
	RawHeaders  []byte // HeaderCount headers as they stand in the batch
}

// Headers yields keys and values in their order; a nil value is null. Record
// must come from Records.Next or have RawHeaders as a batch has them.
func (r *Record) Headers() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		in := input{b: r.RawHeaders}
		for range r.HeaderCount {
			key, value := in.sized(), in.sized()
			if in.bad || !yield(key, value) {
				return
			}
		}
	}
}

// Records walks over the records of an opened batch.
type Records struct {
	Header Header
	// Scratch is the buffer that the records were decompressed into, the one
	// handed to Open or a larger one; hand it to the next Open when the
	// records are no longer in use.
	Scratch []byte

	in    input
	left  int32 // records still to come
	delta int32 // of the record before
	shift int64 // formats 0 and 1: from the offset that a message carries to its own
}

// Size is how many bytes of records are still to come.
func (r *Records) Size() int { return len(r.in.b) }

// The body of a record (Kafka protocol guide, "Record"): its length, then
// attributes int8 (unused, 0), timestampDelta varlong, offsetDelta varint,
// key and value with their lengths (-1: null), the number of headers, and for
// each its key and value with their lengths. All varints are zigzag.
func appendRecord(dst []byte, r *Record, timestampDelta int64, offsetDelta int32) []byte {
	size := 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) +
		sizedSize(r.Key) + sizedSize(r.Value) + varintSize(int64(r.HeaderCount)) + len(r.RawHeaders)
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0)
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, int64(offsetDelta))
	dst = appendSized(dst, r.Key)
	dst = appendSized(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(r.HeaderCount))
	return append(dst, r.RawHeaders...)
}

func appendSized(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // zigzag of -1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func sizedSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// input reads the parts of records. After a read that the bytes cannot serve,
// bad is set and every further read gives zero, so a parser checks once.
type input struct {
	b   []byte
	bad bool
}

func (in *input) int8() int8 {
	s := in.span(1)
	if s == nil {
		return 0
	}
	return int8(s[0])
}

func (in *input) varlong() int64 {
	v, n := binary.Varint(in.b)
	if n <= 0 {
		in.fail()
		return 0
	}
	in.b = in.b[n:]
	return v
}

func (in *input) varint() int32 {
	// One byte is by far the most frequent case.
	if len(in.b) > 0 && in.b[0] < 0x80 {
		u := in.b[0]
		in.b = in.b[1:]
		return int32(u>>1) ^ -int32(u&1)
	}
	v := in.varlong()
	if v < math.MinInt32 || v > math.MaxInt32 {
		in.fail()
		return 0
	}
	return int32(v)
}

func (in *input) span(n int) []byte {
	if n < 0 || n > len(in.b) {
		in.fail()
		return nil
	}
	s := in.b[:n:n]
	in.b = in.b[n:]
	return s
}

// sized reads bytes with their length before them, nil for the length -1.
func (in *input) sized() []byte {
	n := in.varint()
	if n == -1 {
		return nil
	}
	return in.span(int(n))
}

// sized32 is sized with the length as an int32, as formats 0 and 1 have it.
func (in *input) sized32() []byte {
	n := in.span(4)
	if n == nil {
		return nil
	}
	if size := int32(binary.BigEndian.Uint32(n)); size != -1 {
		return in.span(int(size))
	}
	return nil
}

func (in *input) fail() { in.bad, in.b = true, nil }
