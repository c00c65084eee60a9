package record_test

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

	"sluice/kafka/record"
	"sluice/test/oracle"
)

const plenty = 64 << 20

func TestOpenReadsWhatTheOracleWrites(t *testing.T) {
	c := record.NewCodec() // one for all: state must not leak from batch to batch
	rapid.Check(t, func(t *rapid.T) {
		codec, java := oracle.DrawCodec(t)
		base := rapid.Int64Range(0, 1<<50).Draw(t, "base")
		want := oracle.DrawEntries(t, base, rapid.Bool().Draw(t, "dense"))
		got, err := oracle.Read(c, oracle.Source{Base: base, Attributes: codec, Entries: want, Java: java}.Encode(t), plenty)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestBuildWritesWhatTheOracleReads(t *testing.T) {
	c := record.NewCodec()
	rapid.Check(t, func(t *rapid.T) {
		codec, _ := oracle.DrawCodec(t)
		want := oracle.DrawEntries(t, 0, true)
		var builder record.Builder
		for _, e := range want {
			r := e.Record()
			builder.Add(&r)
		}
		prefix := []byte("kept")
		b, err := c.Build(bytes.Clone(prefix), codec, &builder)
		if err != nil {
			t.Fatal(err)
		}
		rb, got := oracle.Decode(t, b)
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
	b := oracle.Source{Base: 7, Attributes: record.AttrLogAppendTime, MaxStamp: 5_000, Entries: []oracle.Entry{
		{Offset: 7, Timestamp: 1, Value: []byte("a")}, {Offset: 8, Timestamp: 2, Value: []byte("b")},
	}}.Encode(t)
	got, err := oracle.Read(record.NewCodec(), b, plenty)
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
	for codec := record.CodecGzip; codec <= record.CodecZstd; codec++ {
		for _, java := range []bool{false, true} {
			if java && codec != record.CodecSnappy && codec != record.CodecZstd {
				continue
			}
			t.Run(fmt.Sprint(codec, java), func(t *testing.T) {
				e := oracle.Entry{Value: value}
				size := len(oracle.EncodeEntry(e, 0, 0))
				b := oracle.Source{Attributes: codec, Entries: []oracle.Entry{e}, Java: java}.Encode(t)
				c := record.NewCodec()
				if _, err := c.Open(b, nil, size-1); !errors.Is(err, record.ErrOverBudget) {
					t.Errorf("limit of size-1: %v, want ErrOverBudget", err)
				}
				if _, err := c.Open(b, nil, 0); !errors.Is(err, record.ErrOverBudget) {
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
	entries := []oracle.Entry{
		{Offset: 50, Timestamp: 10, Key: []byte("k"), Value: []byte("v"), Headers: []oracle.Header{{Key: "h", Value: []byte("x")}}},
		{Offset: 51, Timestamp: 11, Value: []byte("w")},
	}
	whole := oracle.Source{Base: 50, Entries: entries}.Encode(t)
	// body replaces the records and repairs length and CRC.
	body := func(count int32, records ...byte) record.Batch {
		b := record.Batch(append(bytes.Clone(whole[:record.HeaderSize]), records...))
		b.SetLength()
		setCounts(b, max(count, 1)-1, count)
		b.UpdateCRC()
		return b
	}
	change := func(at int, v byte) record.Batch {
		b := record.Batch(bytes.Clone(whole))
		b[at] = v
		return b
	}
	with := func(b record.Batch, f func(record.Batch)) record.Batch {
		b = bytes.Clone(b)
		f(b)
		b.UpdateCRC()
		return b
	}
	for name, tc := range map[string]struct {
		b    record.Batch
		want error
		at   string
	}{
		"one bit of a value":       {change(len(whole)-2, 'x'), record.ErrCorruptBatch, "offset 50"},
		"cut off":                  {whole[:len(whole)-1], record.ErrCorruptBatch, ""},
		"more after it":            {append(bytes.Clone(whole), 0), record.ErrCorruptBatch, "offset 50"},
		"taken for format 1":       {change(16, 1), record.ErrCorruptBatch, "offset 50"},
		"format 3":                 {change(16, 3), record.ErrUnsupportedFormat, "offset 50"},
		"format -1":                {change(16, 255), record.ErrUnsupportedFormat, "offset 50"},
		"unknown codec":            {with(whole, func(b record.Batch) { b.SetAttributes(6) }), record.ErrCorruptBatch, "offset 50"},
		"gzip that is none":        {with(whole, func(b record.Batch) { b.SetAttributes(record.CodecGzip) }), record.ErrCorruptBatch, "offset 50"},
		"snappy that is none":      {with(whole, func(b record.Batch) { b.SetAttributes(record.CodecSnappy) }), record.ErrCorruptBatch, "offset 50"},
		"lz4 that is none":         {with(whole, func(b record.Batch) { b.SetAttributes(record.CodecLZ4) }), record.ErrCorruptBatch, "offset 50"},
		"zstd that is none":        {with(whole, func(b record.Batch) { b.SetAttributes(record.CodecZstd) }), record.ErrCorruptBatch, "offset 50"},
		"more records than told":   {with(whole, func(b record.Batch) { setCounts(b, 1, 1) }), record.ErrCorruptBatch, "offset 51"},
		"fewer records than told":  {with(whole, func(b record.Batch) { setCounts(b, 2, 3) }), record.ErrCorruptBatch, "offset 52"},
		"no records but bytes":     {with(whole, func(b record.Batch) { setCounts(b, 1, 0) }), record.ErrCorruptBatch, "offset 50"},
		"record longer than bytes": {body(1, 0x7e, 0), record.ErrCorruptBatch, "offset 50"},
		"negative record length":   {body(1, 1, 0), record.ErrCorruptBatch, "offset 50"},
		"endless varint":           {body(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), record.ErrCorruptBatch, "offset 50"},
		"empty record":             {body(1, 0), record.ErrCorruptBatch, "offset 50"},
		"key longer than record":   {body(1, 12, 0, 0, 0, 40, 1, 0), record.ErrCorruptBatch, "offset 50"},
		"key length -2":            {body(1, 12, 0, 0, 0, 3, 1, 0), record.ErrCorruptBatch, "offset 50"},
		"bytes after the headers":  {body(1, 14, 0, 0, 0, 1, 1, 0, 9), record.ErrCorruptBatch, "offset 50"},
		"many headers, no bytes":   {body(1, 12, 0, 0, 0, 1, 1, 0x7e), record.ErrCorruptBatch, "offset 50"},
		"header without a key":     {body(1, 16, 0, 0, 0, 1, 1, 2, 1, 1), record.ErrCorruptBatch, "offset 50"},
		"negative header count":    {body(1, 12, 0, 0, 0, 1, 1, 1), record.ErrCorruptBatch, "offset 50"},
		"offset delta beyond last": {body(1, 12, 0, 0, 4, 1, 1, 0), record.ErrCorruptBatch, "offset 50"},
		"offset delta twice":       {body(2, 12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0), record.ErrCorruptBatch, "offset 51"},
		"negative offset delta":    {body(1, 12, 0, 0, 1, 1, 1, 0), record.ErrCorruptBatch, "offset 50"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := oracle.Read(record.NewCodec(), tc.b, plenty)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v (records %+v)", err, tc.want, got)
			}
			if !strings.Contains(err.Error(), tc.at) {
				t.Errorf("%q does not name %q", err, tc.at)
			}
		})
	}
}

func setCounts(b record.Batch, lastDelta, count int32) {
	b.SetLastOffsetDelta(lastDelta)
	b.SetCount(count)
}

// After an error Next keeps failing, whatever the caller does.
func TestNextFailsForGood(t *testing.T) {
	b := oracle.Source{Entries: []oracle.Entry{{Value: []byte("a")}, {Offset: 1, Value: []byte("b")}}}.Encode(t)
	b[record.HeaderSize] = 0x7e
	b.UpdateCRC()
	rs, err := record.NewCodec().Open(b, nil, plenty)
	if err != nil {
		t.Fatal(err)
	}
	var rec record.Record
	for range 3 {
		if more, err := rs.Next(&rec); more || !errors.Is(err, record.ErrCorruptBatch) {
			t.Fatalf("%v, %v", more, err)
		}
	}
}

// FuzzOpen opens any bytes; a batch built of what opens must hold the same
// records, for the oracle too.
func FuzzOpen(f *testing.F) {
	entries := []oracle.Entry{
		{Offset: 50, Timestamp: 10, Key: []byte("k"), Value: []byte("v"), Headers: []oracle.Header{{Key: "h", Value: []byte("x")}, {}}},
		{Offset: 53, Timestamp: 9, Value: bytes.Repeat([]byte("w"), 300)},
	}
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		f.Add([]byte(oracle.Source{Base: 50, Attributes: codec, Entries: entries}.Encode(f)))
	}
	f.Add([]byte(oracle.Source{Base: 50, Attributes: record.CodecSnappy, Java: true, Entries: entries}.Encode(f)))
	f.Add([]byte(oracle.Source{Base: 50, Attributes: record.CodecZstd, Java: true, Entries: entries}.Encode(f)))
	f.Add([]byte(oracle.Source{Base: 50, LastDelta: 4}.Encode(f)))
	for codec := record.CodecNone; codec <= record.CodecLZ4; codec++ {
		for magic := range int8(2) {
			f.Add(oracle.Old{Magic: magic, Codec: codec, Java: true, Base: 49, Entries: entries[:1]}.Encode(f))
			f.Add(oracle.Old{Magic: magic, Codec: codec, AppendTime: 7 * int64(magic), Entries: entries}.Encode(f))
		}
	}
	c := record.NewCodec()
	f.Fuzz(func(t *testing.T, data []byte) {
		b := record.Batch(bytes.Clone(data))
		mend(b)
		want, err := oracle.Read(c, b, 1<<20)
		if err != nil {
			if !errors.Is(err, record.ErrCorruptBatch) && !errors.Is(err, record.ErrUnsupportedFormat) && !errors.Is(err, record.ErrOverBudget) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		var builder record.Builder
		for _, e := range want {
			r := e.Record()
			builder.Add(&r)
		}
		for i := 1; i < len(want); i++ {
			if want[i].Offset <= want[i-1].Offset || want[i].Offset > b.LastOffset() {
				t.Fatalf("offset %d after %d, in a batch up to %d", want[i].Offset, want[i-1].Offset, b.LastOffset())
			}
		}
		out, err := c.Build(nil, b.Attributes()&record.AttrCodecMask, &builder)
		if err != nil {
			t.Fatalf("opened but not built: %v", err)
		}
		if len(want) == 0 {
			if out != nil {
				t.Fatal("a batch out of nothing")
			}
			return
		}
		_, got := oracle.Decode(t, out)
		for i := range want {
			want[i].Offset = int64(i)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// mend makes the CRC that of the bytes, else nothing would get past it.
func mend(b []byte) {
	switch {
	case len(b) > record.HeaderSize && b[16] == 2:
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	case len(b) > 16:
		binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
	}
}
