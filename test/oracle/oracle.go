// Package oracle makes and reads record batches with franz-go's own code, as a
// second opinion on what kafka/record does, and draws where records of a copy
// stand. It knows nothing of who uses them.
package oracle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"sluice/kafka/record"
)

// Failer is what *testing.T and *rapid.T have in common.
type Failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Header is one header of an Entry; a nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// Entry is a record as a person sees it.
type Entry struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []Header
}

// Source describes a batch to be made by the oracle.
type Source struct {
	Base       int64
	Attributes record.Attributes // codec included
	LastDelta  int32             // 0: that of the last record
	MaxStamp   int64             // 0: of the records
	Producer   int64
	Java       bool // compressed as Java does: snappy in xerial frames, zstd without its size
	Entries    []Entry
}

// Encode makes the batch, CRC and all.
func (s Source) Encode(t Failer) record.Batch {
	t.Helper()
	rb := kmsg.RecordBatch{
		FirstOffset: s.Base, PartitionLeaderEpoch: 4, Magic: 2, Attributes: int16(s.Attributes),
		LastOffsetDelta: s.LastDelta, MaxTimestamp: s.MaxStamp, ProducerID: s.Producer, ProducerEpoch: 3, FirstSequence: 9,
		NumRecords: int32(len(s.Entries)),
	}
	var body []byte
	for i, e := range s.Entries {
		if i == 0 {
			rb.FirstTimestamp = e.Timestamp
		}
		if s.MaxStamp == 0 {
			rb.MaxTimestamp = max(rb.MaxTimestamp, e.Timestamp)
		}
		delta := int32(e.Offset - s.Base)
		if s.LastDelta == 0 {
			rb.LastOffsetDelta = delta
		}
		body = append(body, EncodeEntry(e, rb.FirstTimestamp, delta)...)
	}
	rb.Records = compress(t, s.Attributes&record.AttrCodecMask, body, s.Java)
	rb.Length = int32(49 + len(rb.Records))
	b := rb.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// EncodeEntry makes one record: base is the batch's first timestamp, delta the
// record's offset less the batch's.
func EncodeEntry(e Entry, base int64, delta int32) []byte {
	r := kmsg.Record{TimestampDelta64: e.Timestamp - base, OffsetDelta: delta, Key: e.Key, Value: e.Value}
	for _, h := range e.Headers {
		r.Headers = append(r.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	// Length counts what follows its own varint.
	n := len(r.AppendTo(nil)) - 1
	r.Length = int32(n)
	return r.AppendTo(nil)
}

func compress(t Failer, codec record.Attributes, body []byte, java bool) []byte {
	t.Helper()
	if codec == record.CodecNone || len(body) == 0 {
		return body
	}
	if java && codec == record.CodecZstd { // a frame that does not tell its size
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(2<<20))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if java {
		out := append([]byte("\x82SNAPPY\x00"), 0, 0, 0, 1, 0, 0, 0, 1)
		for len(body) > 0 {
			block := s2.EncodeSnappy(nil, body[:min(len(body), 100)])
			out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
			out = append(out, block...)
			body = body[min(len(body), 100):]
		}
		return out
	}
	choice := map[record.Attributes]kgo.CompressionCodec{
		record.CodecGzip: kgo.GzipCompression(), record.CodecSnappy: kgo.SnappyCompression(), record.CodecLZ4: kgo.Lz4Compression(), record.CodecZstd: kgo.ZstdCompression(),
	}[codec]
	c, err := kgo.DefaultCompressor(choice)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := c.Compress(new(bytes.Buffer), body)
	return bytes.Clone(out)
}

// Decode reads a batch that is dense, with franz-go alone.
func Decode(t Failer, b record.Batch) (kmsg.RecordBatch, []Entry) {
	t.Helper()
	var rb kmsg.RecordBatch
	if err := rb.ReadFrom(b); err != nil {
		t.Fatalf("oracle refuses the batch: %v", err)
	}
	if sum := crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)); uint32(rb.CRC) != sum {
		t.Fatalf("crc %08x, bytes give %08x", uint32(rb.CRC), sum)
	}
	if int(rb.Length) != len(b)-12 {
		t.Fatalf("length %d in a batch of %d bytes", rb.Length, len(b))
	}
	body, err := kgo.DefaultDecompressor().Decompress(rb.Records, kgo.CompressionCodecType(rb.Attributes&7))
	if err != nil {
		t.Fatalf("oracle cannot decompress: %v", err)
	}
	var out []Entry
	for i := range rb.NumRecords {
		length, n := binary.Varint(body)
		var r kmsg.Record
		if err := r.ReadFrom(body[:n+int(length)]); err != nil {
			t.Fatalf("oracle refuses record %d: %v", i, err)
		}
		body = body[n+int(length):]
		if r.OffsetDelta != i {
			t.Fatalf("record %d has offset delta %d", i, r.OffsetDelta)
		}
		e := Entry{Offset: rb.FirstOffset + int64(i), Timestamp: rb.FirstTimestamp + r.TimestampDelta64, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			e.Headers = append(e.Headers, Header{h.Key, h.Value})
		}
		out = append(out, e)
	}
	if len(body) != 0 {
		t.Fatalf("%d bytes after the last record", len(body))
	}
	return rb, out
}

// Read opens b with our own code and returns copies of its records.
func Read(c *record.Codec, b record.Batch, limit int) ([]Entry, error) {
	rs, err := c.Open(b, nil, limit)
	if err != nil {
		return nil, err
	}
	var out []Entry
	var rec record.Record
	for {
		more, err := rs.Next(&rec)
		if err != nil || !more {
			return out, err
		}
		out = append(out, entryOf(&rec))
	}
}

func entryOf(r *record.Record) Entry {
	e := Entry{Offset: r.Offset, Timestamp: r.Timestamp, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	for k, v := range r.Headers() {
		e.Headers = append(e.Headers, Header{string(k), bytes.Clone(v)})
	}
	return e
}

// Record returns the entry as our own code takes it.
func (e Entry) Record() record.Record {
	r := record.Record{Offset: e.Offset, Timestamp: e.Timestamp, Key: e.Key, Value: e.Value, HeaderCount: len(e.Headers)}
	for _, h := range e.Headers {
		r.RawHeaders = appendHeader(r.RawHeaders, h)
	}
	return r
}

// DrawEntries draws records with ascending offsets from base on; gaps when
// dense is false.
func DrawEntries(t *rapid.T, base int64, dense bool) []Entry {
	n := rapid.IntRange(1, 40).Draw(t, "records")
	blob := rapid.OneOf(rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.SliceOfN(rapid.Byte(), 0, 300))
	var out []Entry
	at := base
	for range n {
		if !dense {
			at += int64(rapid.IntRange(0, 3).Draw(t, "gap"))
		}
		e := Entry{Offset: at, Timestamp: rapid.Int64Range(0, 1<<41).Draw(t, "timestamp"), Key: blob.Draw(t, "key"), Value: blob.Draw(t, "value")}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			e.Headers = append(e.Headers, Header{rapid.StringN(0, 8, 20).Draw(t, "header"), blob.Draw(t, "header value")})
		}
		out = append(out, e)
		at++
	}
	return out
}

// DrawCodec draws a codec, and whether to compress as Java does.
func DrawCodec(t *rapid.T) (codec record.Attributes, java bool) {
	codec = record.Attributes(rapid.IntRange(0, 4).Draw(t, "codec"))
	return codec, (codec == record.CodecSnappy || codec == record.CodecZstd) && rapid.Bool().Draw(t, "java")
}

// At returns an entry for each of the offsets, with its number in key, value
// and timestamp.
func At(offsets ...int64) []Entry {
	var out []Entry
	for _, o := range offsets {
		out = append(out, Entry{Offset: o, Timestamp: 1_000 + o, Key: []byte(fmt.Sprint("k", o)), Value: []byte(fmt.Sprint("v", o))})
	}
	return out
}

// Compressible returns a batch for benchmarks: 256 records of 1 KB that
// compress about 2:1.
func Compressible(t Failer, base int64, codec record.Attributes) record.Batch {
	s := Source{Base: base, Attributes: codec}
	for i := range 256 {
		value := make([]byte, 1024)
		x := uint32(i + 1)
		for j := range value[:512] {
			x = x*1664525 + 1013904223
			value[j] = byte(x >> 24)
		}
		s.Entries = append(s.Entries, Entry{Offset: s.Base + int64(i), Timestamp: 1_700_000_000_000 + int64(i), Key: fmt.Append(nil, "key-", i), Value: value})
	}
	return s.Encode(t)
}

// appendHeader appends one header in the form of Record.RawHeaders: key and
// value, each with its length before it (Kafka protocol guide, "Record").
func appendHeader(dst []byte, h Header) []byte {
	dst = binary.AppendVarint(dst, int64(len(h.Key)))
	dst = append(dst, h.Key...)
	if h.Value == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(h.Value)))
	return append(dst, h.Value...)
}
