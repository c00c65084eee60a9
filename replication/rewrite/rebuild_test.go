package rewrite

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/kafka"
)

func at(offsets ...int64) []entry {
	var out []entry
	for _, o := range offsets {
		out = append(out, entry{Offset: o, Timestamp: 1_000 + o, Key: []byte(fmt.Sprint("k", o)), Value: []byte(fmt.Sprint("v", o))})
	}
	return out
}

func seg(source, target int64) fsm.Segment { return fsm.Segment{Source: source, Target: target} }

func keysOf(t failer, b kafka.Batch) string {
	if b == nil {
		return ""
	}
	_, got := decodeOracle(t, b)
	var out []string
	for _, e := range got {
		out = append(out, string(e.Key[1:]))
	}
	return strings.Join(out, " ")
}

func TestRebuild(t *testing.T) {
	type segs = []fsm.Segment
	dense := source{base: 100, entries: at(100, 101, 102, 103)}
	gaps := source{base: 100, lastDelta: 9, entries: at(102, 103, 106, 108)}
	odd := func(r *Record) bool { return r.Offset%2 == 1 }
	for _, tc := range []struct {
		name     string
		batches  []source
		cursor   Cursor
		job      Job
		keys     string
		segments segs
		end      Cursor
		done     int
	}{
		{"a whole batch", []source{dense}, Cursor{100, 100, 0}, Job{},
			"100 101 102 103", nil, Cursor{104, 104, 0}, 1},
		{"resume inside, identical", []source{dense}, Cursor{102, 102, 0}, Job{},
			"102 103", nil, Cursor{104, 104, 0}, 1},
		{"resume inside, shifted", []source{dense}, Cursor{102, 12, -90}, Job{},
			"102 103", nil, Cursor{104, 14, -90}, 1},
		{"nothing is left", []source{dense}, Cursor{104, 104, 0}, Job{},
			"", nil, Cursor{104, 104, 0}, 1},
		{"a segment for each gap, none for the tail", []source{gaps}, Cursor{100, 100, 0}, Job{},
			"102 103 106 108", segs{seg(102, 100), seg(106, 102), seg(108, 103)}, Cursor{110, 104, -5}, 1},
		{"resume between gaps", []source{gaps}, Cursor{104, 102, -2}, Job{},
			"106 108", segs{seg(106, 102), seg(108, 103)}, Cursor{110, 104, -5}, 1},
		{"an emptied batch", []source{{base: 100, lastDelta: 9}}, Cursor{100, 100, 0}, Job{},
			"", nil, Cursor{110, 100, 0}, 1},
		{"a filter", []source{dense}, Cursor{100, 100, 0}, Job{Keep: odd},
			"101 103", segs{seg(101, 100), seg(103, 101)}, Cursor{104, 102, -2}, 1},
		{"a filter that drops the tail", []source{dense}, Cursor{103, 50, -53}, Job{Keep: func(r *Record) bool { return r.Offset < 103 }},
			"", nil, Cursor{104, 50, -53}, 1},
		{"merged", []source{dense, {base: 104, entries: at(104)}, {base: 105, entries: at(105, 106)}}, Cursor{100, 100, 0}, Job{},
			"100 101 102 103 104 105 106", nil, Cursor{107, 107, 0}, 3},
		{"merged over a gap between batches", []source{dense, {base: 110, entries: at(110)}}, Cursor{100, 100, 0}, Job{},
			"100 101 102 103 110", segs{seg(110, 104)}, Cursor{111, 105, -6}, 2},
		{"at most three records", []source{dense, {base: 104, entries: at(104)}}, Cursor{100, 100, 0}, Job{MaxRecords: 3},
			"100 101 102", nil, Cursor{103, 103, 0}, 0},
		{"a limit that ends with a batch", []source{dense, {base: 104, entries: at(104)}}, Cursor{100, 100, 0}, Job{MaxRecords: 4},
			"100 101 102 103", nil, Cursor{104, 104, 0}, 1},
		{"one record is larger than the limit", []source{dense}, Cursor{100, 100, 0}, Job{MaxBytes: 10},
			"100", nil, Cursor{101, 101, 0}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, s := range tc.batches {
				tc.job.Batches = append(tc.job.Batches, s.encode(t))
			}
			tc.job.Cursor, tc.job.Budget = tc.cursor, plenty
			got, err := NewCodec().Rebuild(tc.job, nil)
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
	c := NewCodec()
	rapid.Check(t, func(t *rapid.T) {
		var batches []kafka.Batch
		var want []entry
		base := int64(0)
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			base += int64(rapid.IntRange(0, 4).Draw(t, "between"))
			codec, java := drawCodec(t)
			s := source{base: base, attributes: codec, java: java, entries: drawEntries(t, base, rapid.Bool().Draw(t, "dense"))}
			if rapid.Bool().Draw(t, "append time") {
				s.attributes |= kafka.AttrLogAppendTime
				s.maxStamp = 77
			}
			batches = append(batches, s.encode(t))
			base = s.entries[len(s.entries)-1].Offset + 1
			for _, e := range s.entries {
				if s.maxStamp != 0 {
					e.Timestamp = s.maxStamp
				}
				want = append(want, e)
			}
		}
		cur := Cursor{Source: rapid.Int64Range(0, base).Draw(t, "from"), Target: 1_000, Shift: 5}
		want = slices.DeleteFunc(want, func(e entry) bool { return e.Offset < cur.Source })
		var got []entry
		segments := []fsm.Segment{{Source: 0, Target: 5}}
		for len(batches) > 0 {
			job := Job{Batches: batches, Cursor: cur, Budget: plenty, MaxRecords: rapid.IntRange(0, 20).Draw(t, "records at most"), MaxBytes: rapid.IntRange(0, 2000).Draw(t, "bytes at most")}
			out, err := c.Rebuild(job, nil)
			if err != nil {
				t.Fatal(err)
			}
			if out.Batch != nil {
				_, part := decodeOracle(t, out.Batch)
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
		if !slices.EqualFunc(got, want, func(a, b entry) bool { return reflect.DeepEqual(a, b) }) {
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
	out, err := NewCodec().Rebuild(Job{Batches: []kafka.Batch{source{entries: at(0, 1)}.encode(t)}, Budget: plenty}, dst)
	if err != nil {
		t.Fatal(err)
	}
	if &out.Batch[0] != &dst[0] {
		t.Error("the buffer sufficed and was not used")
	}
}

func TestRebuildNamesTheBatchThatFails(t *testing.T) {
	bad := source{base: 7, entries: at(7)}.encode(t)
	bad[len(bad)-1] ^= 1
	_, err := NewCodec().Rebuild(Job{Batches: []kafka.Batch{source{entries: at(0)}.encode(t), bad}, Budget: plenty}, nil)
	if !errors.Is(err, kafka.ErrCorruptBatch) || !strings.Contains(err.Error(), "offset 7") {
		t.Errorf("%v", err)
	}
}

func TestCursorPassAndSkip(t *testing.T) {
	cur := Cursor{Source: 10, Target: 10}
	pass := func(base int64, count int32, want ...fsm.Segment) {
		t.Helper()
		got, changed := cur.Pass(&kafka.Header{BaseOffset: base, LastOffsetDelta: count - 1, Count: count})
		if changed != (len(want) == 1) || changed && got != want[0] {
			t.Errorf("batch at %d: segment %v %v, want %v", base, got, changed, want)
		}
	}
	pass(10, 5)
	cur.Skip(&kafka.Header{BaseOffset: 15}) // a marker
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
	dense := kafka.Header{Magic: 2, BaseOffset: 10, LastOffsetDelta: 4, Count: 5}
	with := func(f func(*kafka.Header)) kafka.Header {
		h := dense
		f(&h)
		return h
	}
	for name, tc := range map[string]struct {
		h      kafka.Header
		from   int64
		class  Class
		reason Reason
	}{
		"plain":           {dense, 10, Closed, ReasonNone},
		"after a gap":     {dense, 3, Closed, ReasonNone},
		"inside":          {dense, 12, NeedsOpening, ReasonResume},
		"compacted":       {with(func(h *kafka.Header) { h.Count = 3 }), 10, NeedsOpening, ReasonGaps},
		"emptied":         {with(func(h *kafka.Header) { h.Count = 0 }), 10, NeedsOpening, ReasonGaps},
		"append time":     {with(func(h *kafka.Header) { h.Attributes = kafka.AttrLogAppendTime }), 10, NeedsOpening, ReasonLogAppendTime},
		"transactional":   {with(func(h *kafka.Header) { h.Attributes = kafka.AttrTransactional | CodecZstd }), 10, Closed, ReasonNone},
		"delete horizon":  {with(func(h *kafka.Header) { h.Attributes = kafka.AttrDeleteHorizon }), 10, Closed, ReasonNone},
		"marker":          {with(func(h *kafka.Header) { h.Attributes = kafka.AttrControl | kafka.AttrTransactional }), 10, Control, ReasonNone},
		"emptied marker":  {with(func(h *kafka.Header) { h.Attributes, h.Count = kafka.AttrControl, 0 }), 10, Control, ReasonNone},
		"format 1":        {with(func(h *kafka.Header) { h.Magic = 1 }), 10, Unsupported, ReasonNone},
		"a later format":  {with(func(h *kafka.Header) { h.Magic = 3 }), 10, Unsupported, ReasonNone},
		"compacted, both": {with(func(h *kafka.Header) { h.Count, h.Attributes = 3, kafka.AttrLogAppendTime }), 12, NeedsOpening, ReasonGaps},
	} {
		if class, reason := Classify(&tc.h, tc.from); class != tc.class || reason != tc.reason {
			t.Errorf("%s: %v, %v; want %v, %v", name, class, reason, tc.class, tc.reason)
		}
	}
}

// The bytes of a built batch are fixed: a target's duplicate check rests on
// counts, but a change of format by accident must show.
func TestBuildGolden(t *testing.T) {
	var b Builder
	for _, e := range []entry{
		{Timestamp: 1_700_000_000_000, Key: []byte("key"), Value: []byte("value"), Headers: []header{{"h", []byte("x")}, {"null", nil}}},
		{Timestamp: 1_700_000_000_500, Key: []byte{}, Value: nil},
		{Timestamp: 1_699_999_999_000, Key: nil, Value: []byte(strings.Repeat("z", 70))},
	} {
		r := e.record()
		b.Add(&r)
	}
	got, err := NewCodec().Build(nil, CodecNone, &b)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/built.hex")
	if err != nil {
		t.Fatal(err)
	}
	if g := hex.EncodeToString(got); g != strings.TrimSpace(string(want)) {
		t.Errorf("got %s", g)
	}
}
