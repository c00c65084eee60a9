package rewrite

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// TestSplitGivesAllRecords once, in order, whatever fits, in parts that end where
// they are told to, by the segments that rebuilding at once gives.
func TestSplitGivesAllRecords(t *testing.T) {
	r := NewRebuilder()
	rapid.Check(t, func(t *rapid.T) {
		codec, java := oracle.DrawCodec(t)
		base := rapid.Int64Range(0, 1<<40).Draw(t, "base")
		s := oracle.Source{Base: base, Attributes: codec, Java: java, Entries: oracle.DrawEntries(t, base, rapid.Bool().Draw(t, "dense"))}
		b := s.Encode(t)
		end := b.LastOffset() + 1
		cur := Cursor{Source: rapid.Int64Range(base, end).Draw(t, "from"), Target: 1_000, Shift: 5}
		whole, err := r.Rebuild(Job{Batches: []record.Batch{b}, Cursor: cur}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []oracle.Entry
		if whole.Batch != nil {
			_, want = oracle.Decode(t, whole.Batch)
		}
		most, until := rapid.IntRange(0, len(b)).Draw(t, "fits"), rapid.Int64Range(cur.Source, end).Draw(t, "until")
		segments := whole.Segments[:0:0]
		if err := r.Split(b); err != nil {
			t.Fatal(err)
		}
		for done := false; !done; {
			job := Job{Cursor: cur}
			if cur.Source < until {
				job.Until = until
			}
			out, err := r.NextPart(job, most)
			if err != nil {
				t.Fatal(err)
			}
			if out.Batch != nil {
				_, part := oracle.Decode(t, out.Batch)
				for i := range part {
					part[i].Offset += cur.Target - 1_000
				}
				got = append(got, part...)
			}
			if out.Batch == nil {
				until = 0 // nothing is left before it
			}
			cur, segments, done = out.Cursor, append(segments, out.Segments...), out.Done > 0
		}
		if !reflect.DeepEqual(got, want) || cur != whole.Cursor || !slices.Equal(segments, whole.Segments) {
			t.Fatalf("ends at %+v with segments %v, want %+v with %v\ngot  %+v\nwant %+v", cur, segments, whole.Cursor, whole.Segments, got, want)
		}
	})
}

// TestSplitHoldsNothing once all parts are made, or one could not be.
func TestSplitHoldsNothing(t *testing.T) {
	r := NewRebuilder()
	bad := oracle.Source{Entries: oracle.At(0, 1, 2)}.Encode(t)
	bad[record.HeaderSize] = 0x7e
	bad.UpdateCRC()
	for name, b := range map[string]record.Batch{"a sound batch": oracle.Source{Entries: oracle.At(0, 1, 2)}.Encode(t), "a bad one": bad} {
		if err := r.Split(b); err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			out, err := r.NextPart(Job{}, 0)
			if err != nil && !errors.Is(err, record.ErrCorruptBatch) {
				t.Fatal(err)
			}
			more = err == nil && out.Done == 0
		}
		if !reflect.DeepEqual(r.parts, parts{}) {
			t.Errorf("%s is kept: %+v", name, r.parts)
		}
	}
}
