package rewrite

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// single is a batch of one record of this size, which compresses well.
func single(t oracle.Failer, codec record.Attributes, offset int64, size int) record.Batch {
	e := oracle.Entry{Offset: offset, Timestamp: 1_000 + offset, Key: fmt.Append(nil, "k", offset), Value: bytes.Repeat([]byte("0123456789"), size/10)}
	return oracle.Source{Base: offset, Attributes: codec, Entries: []oracle.Entry{e}}.Encode(t)
}

// TestMerge: the records of several batches of any codec in one of the same.
func TestMerge(t *testing.T) {
	r := NewRebuilder()
	rapid.Check(t, func(t *rapid.T) {
		codec, java := oracle.DrawCodec(t)
		var batches []record.Batch
		var want []oracle.Entry
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			es := oracle.DrawEntries(t, int64(len(want)), true)
			batches = append(batches, oracle.Source{Base: int64(len(want)), Attributes: codec, Java: java, Entries: es}.Encode(t))
			want = append(want, es...)
		}
		got, taken, err := r.Merge(slices.Values(batches), nil)
		if err != nil || taken != len(batches) {
			t.Fatalf("%d of %d batches are taken, %v", taken, len(batches), err)
		}
		h, es := oracle.Decode(t, got)
		if record.Attributes(h.Attributes) != codec || !reflect.DeepEqual(es, want) {
			t.Fatalf("codec %d, want %d\ngot  %+v\nwant %+v", h.Attributes, codec, es, want)
		}
	})
}

// TestMergeStops before what does not fit into its room, and before a batch that
// cannot be opened: that goes to the broker as it came.
func TestMergeStops(t *testing.T) {
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		var batches []record.Batch
		for o := range int64(8) {
			batches = append(batches, single(t, codec, o, 1000))
		}
		r := NewRebuilder()
		r.Room = 3500
		got, taken, err := r.Merge(slices.Values(batches), nil)
		if err != nil || taken != 3 || keysOf(t, got) != "0 1 2" {
			t.Errorf("codec %d: in a room for three: %d, %v, %v", codec, taken, keysOf(t, got), err)
		}
		r.Room = 500
		if got, taken, err = r.Merge(slices.Values(batches), nil); err != nil || codec != record.CodecNone && (taken != 0 || got != nil) {
			t.Errorf("codec %d: in a room for none: %d, %v", codec, taken, err)
		}
		r.Room = 1 << 20
		batches[5][len(batches[5])-1] ^= 1
		if got, taken, err = r.Merge(slices.Values(batches), nil); err != nil || taken != 5 || keysOf(t, got) != "0 1 2 3 4" {
			t.Errorf("codec %d: before a damaged one: %d, %v, %v", codec, taken, keysOf(t, got), err)
		}
	}
}

// BenchmarkMerge: one operation makes one batch of 150 that hold a record of 400
// bytes each.
func BenchmarkMerge(b *testing.B) {
	for codec, name := range codecNames {
		b.Run(name, func(b *testing.B) {
			var batches []record.Batch
			size := 0
			for o := range int64(150) {
				batches = append(batches, single(b, record.Attributes(codec), o, 400))
				size += len(batches[o])
			}
			r := NewRebuilder()
			dst := make([]byte, 0, 1<<20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, taken, err := r.Merge(slices.Values(batches), dst); err != nil || taken != len(batches) {
					b.Fatal(taken, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batches)), "ns/record")
		})
	}
}
