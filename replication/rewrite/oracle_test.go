package rewrite

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"sluice/kafka"
)

// The oracle: batches written and read by franz-go's own code.

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

type header struct {
	Key   string
	Value []byte
}

// entry is a record as a person sees it.
type entry struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []header
}

// source describes a batch to be made by the oracle.
type source struct {
	base       int64
	attributes kafka.Attributes // codec included
	lastDelta  int32            // 0: that of the last record
	maxStamp   int64            // 0: of the records
	producer   int64
	java       bool // compressed as Java does: snappy in xerial frames, zstd without its size
	entries    []entry
}

func (s source) encode(t failer) kafka.Batch {
	t.Helper()
	rb := kmsg.RecordBatch{
		FirstOffset: s.base, PartitionLeaderEpoch: 4, Magic: 2, Attributes: int16(s.attributes),
		LastOffsetDelta: s.lastDelta, MaxTimestamp: s.maxStamp, ProducerID: s.producer, ProducerEpoch: 3, FirstSequence: 9,
		NumRecords: int32(len(s.entries)),
	}
	var body []byte
	for i, e := range s.entries {
		if i == 0 {
			rb.FirstTimestamp = e.Timestamp
		}
		if s.maxStamp == 0 {
			rb.MaxTimestamp = max(rb.MaxTimestamp, e.Timestamp)
		}
		delta := int32(e.Offset - s.base)
		if s.lastDelta == 0 {
			rb.LastOffsetDelta = delta
		}
		body = append(body, encodeEntry(e, rb.FirstTimestamp, delta)...)
	}
	rb.Records = compressOracle(t, s.attributes&kafka.AttrCodecMask, body, s.java)
	rb.Length = int32(49 + len(rb.Records))
	b := rb.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func encodeEntry(e entry, base int64, delta int32) []byte {
	r := kmsg.Record{TimestampDelta64: e.Timestamp - base, OffsetDelta: delta, Key: e.Key, Value: e.Value}
	for _, h := range e.Headers {
		r.Headers = append(r.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	// Length counts what follows its own varint.
	n := len(r.AppendTo(nil)) - 1
	r.Length = int32(n)
	return r.AppendTo(nil)
}

func compressOracle(t failer, codec kafka.Attributes, body []byte, java bool) []byte {
	t.Helper()
	if codec == CodecNone || len(body) == 0 {
		return body
	}
	if java && codec == CodecZstd { // a frame that does not tell its size
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
	choice := map[kafka.Attributes]kgo.CompressionCodec{
		CodecGzip: kgo.GzipCompression(), CodecSnappy: kgo.SnappyCompression(), CodecLZ4: kgo.Lz4Compression(), CodecZstd: kgo.ZstdCompression(),
	}[codec]
	c, err := kgo.DefaultCompressor(choice)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := c.Compress(new(bytes.Buffer), body)
	return bytes.Clone(out)
}

// decodeOracle reads a batch that is dense, with the oracle alone.
func decodeOracle(t failer, b kafka.Batch) (kmsg.RecordBatch, []entry) {
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
	var out []entry
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
		e := entry{Offset: rb.FirstOffset + int64(i), Timestamp: rb.FirstTimestamp + r.TimestampDelta64, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			e.Headers = append(e.Headers, header{h.Key, h.Value})
		}
		out = append(out, e)
	}
	if len(body) != 0 {
		t.Fatalf("%d bytes after the last record", len(body))
	}
	return rb, out
}

// readAllRecords opens b and returns copies of its records.
func readAllRecords(c *Codec, b kafka.Batch, limit int) ([]entry, error) {
	rs, err := c.Open(b, nil, limit)
	if err != nil {
		return nil, err
	}
	var out []entry
	var rec Record
	for {
		more, err := rs.Next(&rec)
		if err != nil || !more {
			return out, err
		}
		out = append(out, entryOf(&rec))
	}
}

func entryOf(r *Record) entry {
	e := entry{Offset: r.Offset, Timestamp: r.Timestamp, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	for k, v := range r.Headers() {
		e.Headers = append(e.Headers, header{string(k), bytes.Clone(v)})
	}
	return e
}

func (e entry) record() Record {
	r := Record{Offset: e.Offset, Timestamp: e.Timestamp, Key: e.Key, Value: e.Value, HeaderCount: len(e.Headers)}
	for _, h := range e.Headers {
		r.RawHeaders = AppendHeader(r.RawHeaders, h.Key, h.Value)
	}
	return r
}

// drawEntries draws records with ascending offsets from base on; gaps when
// dense is false.
func drawEntries(t *rapid.T, base int64, dense bool) []entry {
	n := rapid.IntRange(1, 40).Draw(t, "records")
	blob := rapid.OneOf(rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.SliceOfN(rapid.Byte(), 0, 300))
	var out []entry
	at := base
	for range n {
		if !dense {
			at += int64(rapid.IntRange(0, 3).Draw(t, "gap"))
		}
		e := entry{Offset: at, Timestamp: rapid.Int64Range(0, 1<<41).Draw(t, "timestamp"), Key: blob.Draw(t, "key"), Value: blob.Draw(t, "value")}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			e.Headers = append(e.Headers, header{rapid.StringN(0, 8, 20).Draw(t, "header"), blob.Draw(t, "header value")})
		}
		out = append(out, e)
		at++
	}
	return out
}

func drawCodec(t *rapid.T) (codec kafka.Attributes, java bool) {
	codec = kafka.Attributes(rapid.IntRange(0, 4).Draw(t, "codec"))
	return codec, (codec == CodecSnappy || codec == CodecZstd) && rapid.Bool().Draw(t, "java")
}
