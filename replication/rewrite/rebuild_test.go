package rewrite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/test/oracle"
)

func seg(source, target int64) fsm.Segment { return fsm.Segment{Source: source, Target: target} }

func keysOf(t oracle.Failer, b record.Batch) string {
	if b == nil {
		return ""
	}
	_, got := oracle.Decode(t, b)
	var out []string
	for _, e := range got {
		out = append(out, string(e.Key[1:]))
	}
	return strings.Join(out, " ")
}

func TestRebuild(t *testing.T) {
	type segs = []fsm.Segment
	dense := oracle.Source{Base: 100, Entries: oracle.At(100, 101, 102, 103)}
	gaps := oracle.Source{Base: 100, LastDelta: 9, Entries: oracle.At(102, 103, 106, 108)}
	odd := filtering(t, fsm.Filter{Keep: `key.endsWith("1") || key.endsWith("3")`})
	for _, tc := range []struct {
		name     string
		batches  []oracle.Source
		cursor   Cursor
		job      Job
		keys     string
		segments segs
		end      Cursor
		done     int
	}{
		{"a whole batch", []oracle.Source{dense}, Cursor{100, 100, 0}, Job{},
			"100 101 102 103", nil, Cursor{104, 104, 0}, 1},
		{"resume inside, identical", []oracle.Source{dense}, Cursor{102, 102, 0}, Job{},
			"102 103", nil, Cursor{104, 104, 0}, 1},
		{"resume inside, shifted", []oracle.Source{dense}, Cursor{102, 12, -90}, Job{},
			"102 103", nil, Cursor{104, 14, -90}, 1},
		{"nothing is left", []oracle.Source{dense}, Cursor{104, 104, 0}, Job{},
			"", nil, Cursor{104, 104, 0}, 1},
		{"a segment for each gap, none for the tail", []oracle.Source{gaps}, Cursor{100, 100, 0}, Job{},
			"102 103 106 108", segs{seg(102, 100), seg(106, 102), seg(108, 103)}, Cursor{110, 104, -5}, 1},
		{"resume between gaps", []oracle.Source{gaps}, Cursor{104, 102, -2}, Job{},
			"106 108", segs{seg(106, 102), seg(108, 103)}, Cursor{110, 104, -5}, 1},
		{"an emptied batch", []oracle.Source{{Base: 100, LastDelta: 9}}, Cursor{100, 100, 0}, Job{},
			"", nil, Cursor{110, 100, 0}, 1},
		{"a filter", []oracle.Source{dense}, Cursor{100, 100, 0}, Job{Filter: odd},
			"101 103", segs{seg(101, 100), seg(103, 101)}, Cursor{104, 102, -2}, 1},
		{"a filter that drops the tail", []oracle.Source{dense}, Cursor{103, 50, -53}, Job{Filter: filtering(t, fsm.Filter{Keep: `!key.endsWith("103")`})},
			"", nil, Cursor{104, 50, -53}, 1},
		{"merged", []oracle.Source{dense, {Base: 104, Entries: oracle.At(104)}, {Base: 105, Entries: oracle.At(105, 106)}}, Cursor{100, 100, 0}, Job{},
			"100 101 102 103 104 105 106", nil, Cursor{107, 107, 0}, 3},
		{"merged over a gap between batches", []oracle.Source{dense, {Base: 110, Entries: oracle.At(110)}}, Cursor{100, 100, 0}, Job{},
			"100 101 102 103 110", segs{seg(110, 104)}, Cursor{111, 105, -6}, 2},
		{"at most three records", []oracle.Source{dense, {Base: 104, Entries: oracle.At(104)}}, Cursor{100, 100, 0}, Job{MaxRecords: 3},
			"100 101 102", nil, Cursor{103, 103, 0}, 0},
		{"a limit that ends with a batch", []oracle.Source{dense, {Base: 104, Entries: oracle.At(104)}}, Cursor{100, 100, 0}, Job{MaxRecords: 4},
			"100 101 102 103", nil, Cursor{104, 104, 0}, 1},
		{"one record is larger than the limit", []oracle.Source{dense}, Cursor{100, 100, 0}, Job{MaxBytes: 10},
			"100", nil, Cursor{101, 101, 0}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, s := range tc.batches {
				tc.job.Batches = append(tc.job.Batches, s.Encode(t))
			}
			tc.job.Cursor = tc.cursor
			got, err := NewRebuilder().Rebuild(tc.job, nil)
			if err != nil {
				t.Fatal(err)
			}
			if keys := keysOf(t, got.Batch); keys != tc.keys {
				t.Errorf("records %q, want %q", keys, tc.keys)
			}
			if !reflect.DeepEqual(got.Segments, tc.segments) {
				t.Errorf("segments %v, want %v", got.Segments, tc.segments)
			}
			if got.Cursor != tc.end || got.Done != tc.done {
				t.Errorf("ends at %+v after %d batches, want %+v after %d", got.Cursor, got.Done, tc.end, tc.done)
			}
		})
	}
}

// Rebuilding in any number of steps gives the records, timestamps and target
// offsets of rebuilding at once, and the segments give each record's offset.
func TestRebuildInSteps(t *testing.T) {
	c := NewRebuilder()
	rapid.Check(t, func(t *rapid.T) {
		var batches []record.Batch
		var want []oracle.Entry
		base := int64(0)
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			base += int64(rapid.IntRange(0, 4).Draw(t, "between"))
			codec, java := oracle.DrawCodec(t)
			s := oracle.Source{Base: base, Attributes: codec, Java: java, Entries: oracle.DrawEntries(t, base, rapid.Bool().Draw(t, "dense"))}
			if rapid.Bool().Draw(t, "append time") {
				s.Attributes |= record.AttrLogAppendTime
				s.MaxStamp = 77
			}
			batches = append(batches, s.Encode(t))
			base = s.Entries[len(s.Entries)-1].Offset + 1
			for _, e := range s.Entries {
				if s.MaxStamp != 0 {
					e.Timestamp = s.MaxStamp
				}
				want = append(want, e)
			}
		}
		cur := Cursor{Source: rapid.Int64Range(0, base).Draw(t, "from"), Target: 1_000, Shift: 5}
		want = slices.DeleteFunc(want, func(e oracle.Entry) bool { return e.Offset < cur.Source })
		var got []oracle.Entry
		segments := []fsm.Segment{{Source: 0, Target: 5}}
		for len(batches) > 0 {
			job := Job{Batches: batches, Cursor: cur, MaxRecords: rapid.IntRange(0, 20).Draw(t, "records at most"), MaxBytes: rapid.IntRange(0, 2000).Draw(t, "bytes at most")}
			out, err := c.Rebuild(job, nil)
			if err != nil {
				t.Fatal(err)
			}
			if out.Batch != nil {
				_, part := oracle.Decode(t, out.Batch)
				for i := range part {
					part[i].Offset += cur.Target
				}
				got = append(got, part...)
			}
			batches, cur = batches[out.Done:], out.Cursor
			segments = append(segments, out.Segments...)
		}
		if cur.Source != base || cur.Target != 1_000+int64(len(want)) {
			t.Fatalf("ends at %+v, want %d and %d", cur, base, 1_000+len(want))
		}
		for i := range want {
			source := want[i].Offset
			want[i].Offset = 1_000 + int64(i)
			if target := translate(segments, source); target != want[i].Offset {
				t.Fatalf("segments %v put %d at %d, want %d", segments, source, target, want[i].Offset)
			}
		}
		if !slices.EqualFunc(got, want, func(a, b oracle.Entry) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func translate(segments []fsm.Segment, source int64) int64 {
	i := len(segments) - 1
	for segments[i].Source > source {
		i--
	}
	return source + segments[i].Shift()
}

func TestRebuildUsesTheCallersBuffer(t *testing.T) {
	dst := make([]byte, 10, 4096)
	out, err := NewRebuilder().Rebuild(Job{Batches: []record.Batch{oracle.Source{Entries: oracle.At(0, 1)}.Encode(t)}}, dst)
	if err != nil {
		t.Fatal(err)
	}
	if &out.Batch[0] != &dst[0] {
		t.Error("the buffer sufficed and was not used")
	}
}

// TestRebuilderKeepsLittle: a batch that decompresses to much leaves no memory
// behind with the connection that it came over.
func TestRebuilderKeepsLittle(t *testing.T) {
	large := oracle.Source{Attributes: record.CodecZstd, Entries: oracle.At(0, 1)}
	for i := range large.Entries {
		large.Entries[i].Value = make([]byte, 4*keepMost)
	}
	r := NewRebuilder()
	out, err := r.Rebuild(Job{Batches: []record.Batch{large.Encode(t)}}, nil)
	if err != nil || out.Batch == nil || out.Batch.Count() != 2 {
		t.Fatal(out, err)
	}
	if kept := cap(r.scratch) + r.builder.Size(); kept > 2*keepMost {
		t.Errorf("%d bytes are kept", kept)
	}
}

func TestRebuildNamesTheBatchThatFails(t *testing.T) {
	bad := oracle.Source{Base: 7, Entries: oracle.At(7)}.Encode(t)
	bad[len(bad)-1] ^= 1
	_, err := NewRebuilder().Rebuild(Job{Batches: []record.Batch{oracle.Source{Entries: oracle.At(0)}.Encode(t), bad}}, nil)
	if !errors.Is(err, record.ErrCorruptBatch) || !strings.Contains(err.Error(), "offset 7") {
		t.Errorf("%v", err)
	}
}

func TestCursorPassAndSkip(t *testing.T) {
	cur := Cursor{Source: 10, Target: 10}
	pass := func(base int64, count int32, want ...fsm.Segment) {
		t.Helper()
		got, changed := cur.Pass(&record.Header{BaseOffset: base, LastOffsetDelta: count - 1, Count: count})
		if changed != (len(want) == 1) || changed && got != want[0] {
			t.Errorf("batch at %d: segment %v %v, want %v", base, got, changed, want)
		}
	}
	pass(10, 5)
	cur.Skip(&record.Header{BaseOffset: 15}) // a marker
	if want := (Cursor{16, 15, 0}); cur != want {
		t.Errorf("after the marker: %+v, want %+v", cur, want)
	}
	pass(16, 4, seg(16, 15))
	pass(20, 1)
	pass(25, 1, seg(25, 20))
	if want := (Cursor{26, 21, -5}); cur != want {
		t.Errorf("at the end: %+v, want %+v", cur, want)
	}
}

func TestClassify(t *testing.T) {
	dense := record.Header{Magic: 2, BaseOffset: 10, LastOffsetDelta: 4, Count: 5}
	with := func(f func(*record.Header)) record.Header {
		h := dense
		f(&h)
		return h
	}
	for name, tc := range map[string]struct {
		h      record.Header
		from   int64
		class  Class
		reason Reason
	}{
		"plain":           {dense, 10, Closed, ReasonNone},
		"after a gap":     {dense, 3, Closed, ReasonNone},
		"inside":          {dense, 12, NeedsOpening, ReasonResume},
		"compacted":       {with(func(h *record.Header) { h.Count = 3 }), 10, NeedsOpening, ReasonGaps},
		"emptied":         {with(func(h *record.Header) { h.Count = 0 }), 10, NeedsOpening, ReasonGaps},
		"append time":     {with(func(h *record.Header) { h.Attributes = record.AttrLogAppendTime }), 10, NeedsOpening, ReasonLogAppendTime},
		"transactional":   {with(func(h *record.Header) { h.Attributes = record.AttrTransactional | record.CodecZstd }), 10, Closed, ReasonNone},
		"delete horizon":  {with(func(h *record.Header) { h.Attributes = record.AttrDeleteHorizon }), 10, Closed, ReasonNone},
		"marker":          {with(func(h *record.Header) { h.Attributes = record.AttrControl | record.AttrTransactional }), 10, Control, ReasonNone},
		"emptied marker":  {with(func(h *record.Header) { h.Attributes, h.Count = record.AttrControl, 0 }), 10, Control, ReasonNone},
		"format 1":        {with(func(h *record.Header) { h.Magic = 1 }), 10, NeedsOpening, ReasonOldFormat},
		"a later format":  {with(func(h *record.Header) { h.Magic = 3 }), 10, Unsupported, ReasonNone},
		"compacted, both": {with(func(h *record.Header) { h.Count, h.Attributes = 3, record.AttrLogAppendTime }), 12, NeedsOpening, ReasonGaps},
	} {
		if class, reason := Classify(&tc.h, tc.from); class != tc.class || reason != tc.reason {
			t.Errorf("%s: %v, %v; want %v, %v", name, class, reason, tc.class, tc.reason)
		}
	}
}

// FuzzRebuild opens any bytes; what opens is rebuilt and must hold the same
// records, for the oracle too.
func FuzzRebuild(f *testing.F) {
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
	c := NewRebuilder()
	c.Room = 1 << 20
	f.Fuzz(func(t *testing.T, data []byte) {
		b := record.Batch(bytes.Clone(data))
		if len(b) > record.HeaderSize { // else nothing would get past the CRC
			binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		}
		want, err := oracle.Read(c.Codec, b, 1<<20)
		if err != nil {
			if !errors.Is(err, record.ErrCorruptBatch) && !errors.Is(err, record.ErrUnsupportedFormat) && !errors.Is(err, record.ErrOverBudget) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		out, err := c.Rebuild(Job{Batches: []record.Batch{b}}, nil)
		if err != nil || out.Done != 1 {
			t.Fatalf("opened but not rebuilt: %v, %+v", err, out)
		}
		if len(want) == 0 {
			if out.Batch != nil {
				t.Fatal("a batch out of nothing")
			}
			return
		}
		_, got := oracle.Decode(t, out.Batch)
		for i := range want {
			want[i].Offset = int64(i)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}
