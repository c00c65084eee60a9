package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// joined makes one batch of several.
func joined(c *record.Codec, codec record.Attributes, batches ...record.Batch) (record.Batch, error) {
	var b record.Builder
	for _, part := range batches {
		rs, err := c.Open(part, nil, plenty)
		if err == nil {
			err = b.Join(&rs)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.Build(nil, codec, &b)
}

// TestJoin: one batch made of several holds the records of all, in their order,
// with all that they are: keys, values, headers and timestamps.
func TestJoin(t *testing.T) {
	c := record.NewCodec()
	rapid.Check(t, func(t *rapid.T) {
		var batches []record.Batch
		var want []oracle.Entry
		base := rapid.Int64Range(0, 1<<40).Draw(t, "offset")
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			codec, java := oracle.DrawCodec(t)
			s := oracle.Source{Base: base, Attributes: codec, Java: java, Entries: oracle.DrawEntries(t, base, true)}
			if rapid.IntRange(0, 3).Draw(t, "odd clock") == 0 {
				at := rapid.SampledFrom([]int64{-1, 0, math.MaxInt64, math.MinInt64}).Draw(t, "timestamp")
				s.Entries[rapid.IntRange(0, len(s.Entries)-1).Draw(t, "of")].Timestamp = at
			}
			if rapid.IntRange(0, 3).Draw(t, "append time") == 0 {
				s.Attributes |= record.AttrLogAppendTime
				s.MaxStamp = rapid.Int64Range(1, 1<<41).Draw(t, "appended")
			}
			batches = append(batches, s.Encode(t))
			for _, e := range s.Entries {
				if s.MaxStamp != 0 {
					e.Timestamp = s.MaxStamp
				}
				e.Offset = int64(len(want))
				want = append(want, e)
			}
			base += int64(len(s.Entries))
		}
		got, err := joined(c, record.Attributes(rapid.IntRange(0, 4).Draw(t, "codec of all")), batches...)
		if err != nil {
			t.Fatal(err)
		}
		h, entries := oracle.Decode(t, got)
		if !reflect.DeepEqual(entries, want) {
			t.Fatalf("got  %+v\nwant %+v", entries, want)
		}
		latest := want[0].Timestamp
		for _, e := range want {
			latest = max(latest, e.Timestamp)
		}
		if h.MaxTimestamp != latest || h.FirstTimestamp != want[0].Timestamp || int(h.NumRecords) != len(want) || int(h.LastOffsetDelta) != len(want)-1 {
			t.Fatalf("header %+v of %d records, the latest at %d", h, len(want), latest)
		}
	})
}

// TestJoinIsTheBytesOfAdd: where nothing is unusual, deltas written anew give
// the bytes that writing each record anew gives.
func TestJoinIsTheBytesOfAdd(t *testing.T) {
	c := record.NewCodec()
	one, two := oracle.At(7, 8, 9), oracle.At(10)
	two[0].Headers = []oracle.Header{{Key: "h", Value: []byte("x")}, {Key: "null"}}
	got, err := joined(c, record.CodecNone, oracle.Source{Base: 7, Entries: one}.Encode(t), oracle.Source{Base: 10, Entries: two}.Encode(t))
	if err != nil {
		t.Fatal(err)
	}
	var b record.Builder
	for _, e := range append(one, two...) {
		r := e.Record()
		b.Add(&r)
	}
	want, err := c.Build(nil, record.CodecNone, &b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestJoinRefuses what does not hold a record for each offset, or lies about how
// many there are, and adds nothing of it.
func TestJoinRefuses(t *testing.T) {
	sound := oracle.Source{Base: 3, Entries: oracle.At(3, 4)}.Encode(t)
	more, fewer := bytes.Clone(sound), bytes.Clone(sound)
	record.Batch(more).SetCount(3)
	record.Batch(more).SetLastOffsetDelta(2)
	record.Batch(fewer).SetCount(1)
	record.Batch(fewer).SetLastOffsetDelta(0)
	c := record.NewCodec()
	for name, bad := range map[string]record.Batch{
		"a gap":                  oracle.Source{Base: 3, Entries: oracle.At(3, 5)}.Encode(t),
		"a gap before the first": oracle.Source{Base: 3, Entries: oracle.At(4, 5)}.Encode(t),
		"more records than told": fewer,
		"fewer":                  more,
	} {
		bad.UpdateCRC()
		var b record.Builder
		for _, part := range []record.Batch{sound, bad} {
			rs, err := c.Open(part, nil, plenty)
			if err != nil {
				t.Fatal(name, err)
			}
			if err := b.Join(&rs); (err != nil) != (&part[0] == &bad[0]) || err != nil && !errors.Is(err, record.ErrCorruptBatch) {
				t.Errorf("%s: %v", name, err)
			}
		}
		got, err := c.Build(nil, record.CodecNone, &b)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, es := oracle.Decode(t, got); len(es) != 2 || string(es[1].Key) != "k4" {
			t.Errorf("%s: what was there before has become %+v", name, es)
		}
	}
}

// FuzzJoin: whatever the bytes are, what can be read record by record is the
// same once it is joined behind another batch.
func FuzzJoin(f *testing.F) {
	entries := oracle.At(50, 51)
	entries[0].Headers, entries[1].Value = []oracle.Header{{Key: "h", Value: []byte("x")}, {}}, bytes.Repeat([]byte("w"), 300)
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		f.Add([]byte(oracle.Source{Base: 50, Attributes: codec, Entries: entries}.Encode(f)))
	}
	f.Add([]byte(oracle.Source{Base: 50, LastDelta: 4}.Encode(f)))
	c := record.NewCodec()
	first := oracle.Source{Entries: oracle.At(0)}.Encode(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b := record.Batch(bytes.Clone(data))
		if len(b) > record.HeaderSize { // else nothing would get past the CRC
			binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		}
		want, err := oracle.Read(c, b, plenty)
		if err != nil || b.Count() != b.Header().LastOffsetDelta+1 {
			_, _ = joined(c, record.CodecNone, first, b)
			return
		}
		got, err := joined(c, record.CodecNone, first, b)
		if err != nil {
			t.Fatalf("it can be read and not joined: %v", err)
		}
		_, es := oracle.Decode(t, got)
		for i := range want {
			want[i].Offset = int64(i) + 1
		}
		if es = es[1:]; len(es) != len(want) || len(want) > 0 && !reflect.DeepEqual(es, want) {
			t.Fatalf("got  %+v\nwant %+v", es, want)
		}
	})
}

// BenchmarkJoin: one operation is a record of 400 bytes, alone in its batch.
func BenchmarkJoin(b *testing.B) {
	for codec, name := range codecNames {
		b.Run(name, func(b *testing.B) {
			e := oracle.Entry{Timestamp: 1_700_000_000_000, Key: []byte("a key"), Value: bytes.Repeat([]byte("0123456789"), 40)}
			batch := oracle.Source{Attributes: record.Attributes(codec), Entries: []oracle.Entry{e}}.Encode(b)
			c := record.NewCodec()
			var into record.Builder
			var scratch, dst []byte
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				rs, err := c.Open(batch, scratch, plenty)
				if err == nil {
					scratch = rs.Scratch
					err = into.Join(&rs)
				}
				if err == nil && into.Count() == 150 {
					dst, err = c.Build(dst[:0], record.Attributes(codec), &into)
					into.Reset()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
