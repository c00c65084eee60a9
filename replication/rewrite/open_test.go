package rewrite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka"
)

const plenty = 64 << 20

func TestOpenReadsWhatTheOracleWrites(t *testing.T) {
	c := NewCodec() // one for all: state must not leak from batch to batch
	rapid.Check(t, func(t *rapid.T) {
		codec, java := drawCodec(t)
		base := rapid.Int64Range(0, 1<<50).Draw(t, "base")
		want := drawEntries(t, base, rapid.Bool().Draw(t, "dense"))
		got, err := readAllRecords(c, source{base: base, attributes: codec, entries: want, java: java}.encode(t), plenty)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestBuildWritesWhatTheOracleReads(t *testing.T) {
	c := NewCodec()
	rapid.Check(t, func(t *rapid.T) {
		codec, _ := drawCodec(t)
		want := drawEntries(t, 0, true)
		var builder Builder
		for _, e := range want {
			r := e.record()
			builder.Add(&r)
		}
		prefix := []byte("kept")
		b, err := c.Build(bytes.Clone(prefix), codec, &builder)
		if err != nil {
			t.Fatal(err)
		}
		rb, got := decodeOracle(t, b)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		largest := want[0].Timestamp
		for _, e := range want {
			largest = max(largest, e.Timestamp)
		}
		if rb.MaxTimestamp != largest || rb.FirstTimestamp != want[0].Timestamp {
			t.Fatalf("timestamps %d to %d, want %d to %d", rb.FirstTimestamp, rb.MaxTimestamp, want[0].Timestamp, largest)
		}
		if rb.Attributes != int16(codec) || rb.PartitionLeaderEpoch != -1 || rb.ProducerID != -1 || rb.LastOffsetDelta != int32(len(want)-1) {
			t.Fatalf("header %+v", rb)
		}
	})
}

func TestAppendTimeIsTheTimestampOfEveryRecord(t *testing.T) {
	b := source{base: 7, attributes: kafka.AttrLogAppendTime, maxStamp: 5_000, entries: []entry{
		{Offset: 7, Timestamp: 1, Value: []byte("a")}, {Offset: 8, Timestamp: 2, Value: []byte("b")},
	}}.encode(t)
	got, err := readAllRecords(NewCodec(), b, plenty)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got {
		if e.Timestamp != 5_000 {
			t.Errorf("offset %d has timestamp %d, want the append time", e.Offset, e.Timestamp)
		}
	}
}

// A batch as large as the limit opens, one byte more is over budget, and the
// caller's buffer is used where it suffices.
func TestOpenKeepsToTheBudget(t *testing.T) {
	// Zeros compress so well that every decoder has to grow its room.
	value := make([]byte, 3<<20)
	for codec := CodecGzip; codec <= CodecZstd; codec++ {
		for _, java := range []bool{false, true} {
			if java && codec != CodecSnappy && codec != CodecZstd {
				continue
			}
			t.Run(fmt.Sprint(codec, java), func(t *testing.T) {
				e := entry{Value: value}
				size := len(encodeEntry(e, 0, 0))
				b := source{attributes: codec, entries: []entry{e}, java: java}.encode(t)
				c := NewCodec()
				if _, err := c.Open(b, nil, size-1); !errors.Is(err, ErrOverBudget) {
					t.Errorf("limit of size-1: %v, want ErrOverBudget", err)
				}
				if _, err := c.Open(b, nil, 0); !errors.Is(err, ErrOverBudget) {
					t.Errorf("limit 0: %v, want ErrOverBudget", err)
				}
				rs, err := c.Open(b, nil, size)
				if err != nil {
					t.Fatalf("limit of exactly the size: %v", err)
				}
				if len(rs.Scratch) != size || cap(rs.Scratch) > size+size/4+4096 {
					t.Errorf("decompressed into %d of %d bytes, want %d", len(rs.Scratch), cap(rs.Scratch), size)
				}
				scratch := make([]byte, 0, size+10)
				rs, err = c.Open(b, scratch, size+100)
				if err != nil {
					t.Fatal(err)
				}
				if &rs.Scratch[0] != &scratch[:1][0] {
					t.Error("the caller's buffer sufficed and was not used")
				}
			})
		}
	}
}

func TestOpenRefusesWhatIsDamaged(t *testing.T) {
	entries := []entry{
		{Offset: 50, Timestamp: 10, Key: []byte("k"), Value: []byte("v"), Headers: []header{{"h", []byte("x")}}},
		{Offset: 51, Timestamp: 11, Value: []byte("w")},
	}
	whole := source{base: 50, entries: entries}.encode(t)
	// body replaces the records and repairs length and CRC.
	body := func(count int32, records ...byte) kafka.Batch {
		b := kafka.Batch(append(bytes.Clone(whole[:kafka.HeaderSize]), records...))
		b.SetLength()
		setCounts(b, max(count, 1)-1, count)
		b.UpdateCRC()
		return b
	}
	change := func(at int, v byte) kafka.Batch {
		b := kafka.Batch(bytes.Clone(whole))
		b[at] = v
		return b
	}
	with := func(b kafka.Batch, f func(kafka.Batch)) kafka.Batch {
		b = bytes.Clone(b)
		f(b)
		b.UpdateCRC()
		return b
	}
	for name, tc := range map[string]struct {
		b    kafka.Batch
		want error
		at   string
	}{
		"one bit of a value":       {change(len(whole)-2, 'x'), kafka.ErrCorruptBatch, "offset 50"},
		"cut off":                  {whole[:len(whole)-1], kafka.ErrCorruptBatch, ""},
		"more after it":            {append(bytes.Clone(whole), 0), kafka.ErrCorruptBatch, "offset 50"},
		"format 1":                 {change(16, 1), kafka.ErrUnsupportedFormat, "offset 50"},
		"format 0":                 {change(16, 0), kafka.ErrUnsupportedFormat, "offset 50"},
		"unknown codec":            {with(whole, func(b kafka.Batch) { b.SetAttributes(6) }), kafka.ErrCorruptBatch, "offset 50"},
		"gzip that is none":        {with(whole, func(b kafka.Batch) { b.SetAttributes(CodecGzip) }), kafka.ErrCorruptBatch, "offset 50"},
		"snappy that is none":      {with(whole, func(b kafka.Batch) { b.SetAttributes(CodecSnappy) }), kafka.ErrCorruptBatch, "offset 50"},
		"lz4 that is none":         {with(whole, func(b kafka.Batch) { b.SetAttributes(CodecLZ4) }), kafka.ErrCorruptBatch, "offset 50"},
		"zstd that is none":        {with(whole, func(b kafka.Batch) { b.SetAttributes(CodecZstd) }), kafka.ErrCorruptBatch, "offset 50"},
		"more records than told":   {with(whole, func(b kafka.Batch) { setCounts(b, 1, 1) }), kafka.ErrCorruptBatch, "offset 51"},
		"fewer records than told":  {with(whole, func(b kafka.Batch) { setCounts(b, 2, 3) }), kafka.ErrCorruptBatch, "offset 52"},
		"no records but bytes":     {with(whole, func(b kafka.Batch) { setCounts(b, 1, 0) }), kafka.ErrCorruptBatch, "offset 50"},
		"record longer than bytes": {body(1, 0x7e, 0), kafka.ErrCorruptBatch, "offset 50"},
		"negative record length":   {body(1, 1, 0), kafka.ErrCorruptBatch, "offset 50"},
		"endless varint":           {body(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), kafka.ErrCorruptBatch, "offset 50"},
		"empty record":             {body(1, 0), kafka.ErrCorruptBatch, "offset 50"},
		"key longer than record":   {body(1, 12, 0, 0, 0, 40, 1, 0), kafka.ErrCorruptBatch, "offset 50"},
		"key length -2":            {body(1, 12, 0, 0, 0, 3, 1, 0), kafka.ErrCorruptBatch, "offset 50"},
		"bytes after the headers":  {body(1, 14, 0, 0, 0, 1, 1, 0, 9), kafka.ErrCorruptBatch, "offset 50"},
		"many headers, no bytes":   {body(1, 12, 0, 0, 0, 1, 1, 0x7e), kafka.ErrCorruptBatch, "offset 50"},
		"header without a key":     {body(1, 16, 0, 0, 0, 1, 1, 2, 1, 1), kafka.ErrCorruptBatch, "offset 50"},
		"negative header count":    {body(1, 12, 0, 0, 0, 1, 1, 1), kafka.ErrCorruptBatch, "offset 50"},
		"offset delta beyond last": {body(1, 12, 0, 0, 4, 1, 1, 0), kafka.ErrCorruptBatch, "offset 50"},
		"offset delta twice":       {body(2, 12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0), kafka.ErrCorruptBatch, "offset 51"},
		"negative offset delta":    {body(1, 12, 0, 0, 1, 1, 1, 0), kafka.ErrCorruptBatch, "offset 50"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAllRecords(NewCodec(), tc.b, plenty)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v (records %+v)", err, tc.want, got)
			}
			if !strings.Contains(err.Error(), tc.at) {
				t.Errorf("%q does not name %q", err, tc.at)
			}
		})
	}
}

func setCounts(b kafka.Batch, lastDelta, count int32) {
	b.SetLastOffsetDelta(lastDelta)
	b.SetCount(count)
}

// After an error Next keeps failing, whatever the caller does.
func TestNextFailsForGood(t *testing.T) {
	b := source{entries: []entry{{Value: []byte("a")}, {Offset: 1, Value: []byte("b")}}}.encode(t)
	b[kafka.HeaderSize] = 0x7e
	b.UpdateCRC()
	rs, err := NewCodec().Open(b, nil, plenty)
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	for range 3 {
		if more, err := rs.Next(&rec); more || !errors.Is(err, kafka.ErrCorruptBatch) {
			t.Fatalf("%v, %v", more, err)
		}
	}
}

// FuzzOpen opens any bytes; what opens is rebuilt and must hold the same
// records, for the oracle too.
func FuzzOpen(f *testing.F) {
	entries := []entry{
		{Offset: 50, Timestamp: 10, Key: []byte("k"), Value: []byte("v"), Headers: []header{{"h", []byte("x")}, {"", nil}}},
		{Offset: 53, Timestamp: 9, Value: bytes.Repeat([]byte("w"), 300)},
	}
	for codec := CodecNone; codec <= CodecZstd; codec++ {
		f.Add([]byte(source{base: 50, attributes: codec, entries: entries}.encode(f)))
	}
	f.Add([]byte(source{base: 50, attributes: CodecSnappy, java: true, entries: entries}.encode(f)))
	f.Add([]byte(source{base: 50, attributes: CodecZstd, java: true, entries: entries}.encode(f)))
	f.Add([]byte(source{base: 50, lastDelta: 4}.encode(f)))
	c := NewCodec()
	f.Fuzz(func(t *testing.T, data []byte) {
		b := kafka.Batch(bytes.Clone(data))
		if len(b) > kafka.HeaderSize { // else nothing would get past the CRC
			binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		}
		want, err := readAllRecords(c, b, 1<<20)
		if err != nil {
			if !errors.Is(err, kafka.ErrCorruptBatch) && !errors.Is(err, kafka.ErrUnsupportedFormat) && !errors.Is(err, ErrOverBudget) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		out, err := c.Rebuild(Job{Batches: []kafka.Batch{b}, Budget: 1 << 20}, nil)
		if err != nil || out.Done != 1 {
			t.Fatalf("opened but not rebuilt: %v, %+v", err, out)
		}
		if len(want) == 0 {
			if out.Batch != nil {
				t.Fatal("a batch out of nothing")
			}
			return
		}
		_, got := decodeOracle(t, out.Batch)
		for i := range want {
			want[i].Offset = int64(i)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}
