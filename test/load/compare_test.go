package load

import (
	"context"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// put writes records to partition 0 of "t" in one go.
func put(t testing.TB, ctx context.Context, client []kgo.Opt, recs ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, client...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// sequence makes records of the load with the given numbers, the first timestamp at start.
func sequence(start time.Time, numbers ...int) []*kgo.Record {
	m := newMaker("t", 1, 100, start, time.Millisecond)
	var out []*kgo.Record
	for _, n := range numbers {
		out = append(out, m.record(0, int64(n), time.Unix(1, 0)))
	}
	return out
}

func TestCompareFinds(t *testing.T) {
	start := time.Now().Truncate(time.Second)
	change := func(n int, f func(*kgo.Record)) func() []*kgo.Record {
		return func() []*kgo.Record {
			recs := sequence(start, 0, 1, 2, 3, 4, 5)
			f(recs[n])
			return recs
		}
	}
	numbers := func(n ...int) func() []*kgo.Record {
		return func() []*kgo.Record { return sequence(start, n...) }
	}
	for name, tc := range map[string]struct {
		target func() []*kgo.Record
		want   map[Kind]int64
	}{
		"equal":          {numbers(0, 1, 2, 3, 4, 5), nil},
		"missing at end": {numbers(0, 1, 2, 3), map[Kind]int64{Missing: 2}},
		"missing inside": {numbers(0, 1, 3, 4, 5), map[Kind]int64{Missing: 1, OffsetMismatch: 3}},
		"nothing there":  {numbers(), map[Kind]int64{Missing: 6}},
		"twice at end":   {numbers(0, 1, 2, 3, 4, 5, 4, 5), map[Kind]int64{Duplicate: 2}},
		"twice inside":   {numbers(0, 1, 2, 1, 2, 3, 4, 5), map[Kind]int64{Duplicate: 2, OffsetMismatch: 3}},
		"swapped":        {numbers(0, 1, 3, 2, 4, 5), map[Kind]int64{OutOfOrder: 1, OffsetMismatch: 2}},
		"extra":          {numbers(0, 1, 2, 3, 4, 5, 9), map[Kind]int64{Extra: 1}},
		"value":          {change(2, func(r *kgo.Record) { r.Value[40]++ }), map[Kind]int64{Differing: 1}},
		"key":            {change(2, func(r *kgo.Record) { r.Key = []byte("other") }), map[Kind]int64{Differing: 1}},
		"header":         {change(2, func(r *kgo.Record) { r.Headers = append(r.Headers, kgo.RecordHeader{Key: "x"}) }), map[Kind]int64{Differing: 1}},
		"timestamp":      {change(2, func(r *kgo.Record) { r.Timestamp = r.Timestamp.Add(time.Millisecond) }), map[Kind]int64{Differing: 1}},
		"no value":       {change(2, func(r *kgo.Record) { r.Value = nil }), map[Kind]int64{Differing: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			source, target := fake(t, 1), fake(t, 1)
			put(t, ctx, source, sequence(start, 0, 1, 2, 3, 4, 5)...)
			put(t, ctx, target, tc.target()...)
			r, err := Compare(ctx, source, target, []string{"t"}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(r.Counts) != fmt.Sprint(mapOr(tc.want)) {
				t.Errorf("found %v, want %v", r, tc.want)
			}
			if (r.Err() == nil) != (tc.want == nil) {
				t.Errorf("error %v", r.Err())
			}
			if tc.want != nil && len(r.Examples) == 0 {
				t.Error("no example")
			}
			for _, d := range r.Examples {
				if d.Kind == Differing && d.Detail == "" {
					t.Errorf("not described: %v", d)
				}
			}
		})
	}
}

func mapOr(m map[Kind]int64) map[Kind]int64 {
	if m == nil {
		return map[Kind]int64{}
	}
	return m
}

// All that a copy must keep changes the hash; absent is not empty.
func TestHashTellsApart(t *testing.T) {
	header := func(key string, value []byte) []kgo.RecordHeader { return []kgo.RecordHeader{{Key: key, Value: value}} }
	at := time.UnixMilli(1700000000000)
	records := []*kgo.Record{
		{Timestamp: at},
		{Timestamp: at.Add(time.Millisecond)},
		{Timestamp: at, Key: []byte{}},
		{Timestamp: at, Key: []byte("a")},
		{Timestamp: at, Value: []byte{}},
		{Timestamp: at, Value: []byte("a")},
		{Timestamp: at, Key: []byte("a"), Value: []byte("b")},
		{Timestamp: at, Key: []byte("ab"), Value: []byte{}},
		{Timestamp: at, Headers: header("a", nil)},
		{Timestamp: at, Headers: header("a", []byte{})},
		{Timestamp: at, Headers: header("a", []byte("b"))},
		{Timestamp: at, Headers: header("ab", nil)},
		{Timestamp: at, Headers: append(header("a", nil), header("a", nil)...)},
	}
	h := (&comparison{seed: maphash.MakeSeed()}).hasher()
	seen := map[uint64]int{}
	for i, r := range records {
		hash := h.record(r)
		if j, ok := seen[hash]; ok {
			t.Errorf("records %d and %d hash alike", j, i)
		}
		if seen[hash] = i; h.record(r) != hash {
			t.Errorf("record %d hashes to two values", i)
		}
	}
}

func TestCompareShiftAndFrom(t *testing.T) {
	ctx := testContext(t)
	start := time.Now()
	source, target := fake(t, 1), fake(t, 1)
	put(t, ctx, source, sequence(start, 0, 1, 2, 3, 4, 5)...)
	put(t, ctx, target, sequence(start, 2, 3, 4, 5)...)
	from := func(string, int32) int64 { return 2 }
	shift := func(string, int32) int64 { return -2 }
	good := Options{From: from, Shift: shift}
	if r, err := Compare(ctx, source, target, []string{"t"}, good); err != nil || r.Err() != nil || r.Source != 4 {
		t.Errorf("shifted: %v, %v", r, err)
	}
	if err := WaitCopied(ctx, source, target, []string{"t"}, good); err != nil {
		t.Error(err)
	}
	wrong := Options{From: from, Shift: func(string, int32) int64 { return -1 }}
	if r, err := Compare(ctx, source, target, []string{"t"}, wrong); err != nil || r.Err() == nil {
		t.Errorf("wrong shift: %v, %v", r, err)
	}
	if r, err := Compare(ctx, source, target, []string{"t"}, Options{}); err != nil || r.Counts[Missing] == 0 {
		t.Errorf("no shift: %v, %v", r, err)
	}
	if r, err := Compare(ctx, source, target, []string{"t"}, Options{IgnoreOffsets: true, From: from}); err != nil || r.Err() != nil {
		t.Errorf("offsets ignored: %v, %v", r, err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := WaitCopied(short, source, target, []string{"t"}, Options{}); err == nil {
		t.Error("waited for less than all")
	}
	if _, err := Compare(ctx, source, fake(t, 2), []string{"t"}, Options{}); err == nil {
		t.Error("another number of partitions is no error")
	}
	brief, cancel := context.WithTimeout(ctx, time.Second) // it may be there soon
	defer cancel()
	if _, err := Compare(brief, source, target, []string{"missing"}, Options{}); err == nil {
		t.Error("a missing topic is no error")
	}
	if r, err := Compare(ctx, fake(t, 1), fake(t, 1), []string{"t"}, Options{}); err != nil || r.Err() == nil {
		t.Errorf("an empty source proves something: %v, %v", r, err)
	}
}

func TestCompareCompacted(t *testing.T) {
	ctx := testContext(t)
	rec := func(key, value string) *kgo.Record {
		r := &kgo.Record{Topic: "t", Key: []byte(key), Timestamp: time.UnixMilli(1700000000000)}
		if value != "" {
			r.Value = []byte(value)
		}
		return r
	}
	source, target := fake(t, 1), fake(t, 1)
	// The source's cleaner went further: it has removed a1, and b with its tombstone.
	put(t, ctx, source, rec("c", "1"), rec("a", "2"))
	put(t, ctx, target, rec("a", "1"), rec("b", "1"), rec("c", "1"), rec("b", ""), rec("a", "2"))
	if r, err := Compare(ctx, source, target, []string{"t"}, Options{Compacted: true}); err != nil || r.Err() != nil {
		t.Errorf("%v, %v", r, err)
	}
	put(t, ctx, source, rec("d", "1"))
	if r, err := Compare(ctx, source, target, []string{"t"}, Options{Compacted: true}); err != nil || r.Counts[Missing] != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

// Whatever happens to a copy, the counts add up: each source record is matched, missing or differing,
// each target record is matched, duplicate, differing or extra; no difference means equal.
func TestDifferAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SliceOfN(rapid.Uint64Range(0, 8), 0, 12)
		s, g := hashes.Draw(t, "source"), hashes.Draw(t, "target")
		counts := map[Kind]int{}
		d := &differ{report: func(k Kind, _, _ int64) { counts[k]++ }, noOffsets: rapid.Bool().Draw(t, "no offsets")}
		feed := func(source []uint64, target []uint64, so, to int) {
			var es, et []entry
			for i, h := range source {
				es = append(es, entry{int64(so + i), h})
			}
			for i, h := range target {
				et = append(et, entry{int64(to + i), h})
			}
			d.feed(es, et)
		}
		cutS, cutG := rapid.IntRange(0, len(s)).Draw(t, "cut"), rapid.IntRange(0, len(g)).Draw(t, "cut")
		feed(s[:cutS], nil, 0, 0)
		feed(nil, g[:cutG], 0, 0)
		feed(s[cutS:], g[cutG:], cutS, cutG)
		d.finish()
		matched := len(s) - counts[Missing] - counts[Differing]
		if other := len(g) - counts[Duplicate] - counts[Differing] - counts[Extra]; other != matched {
			t.Fatalf("source matched %d, target %d: %v", matched, other, counts)
		}
		if same := fmt.Sprint(s) == fmt.Sprint(g); same != (len(counts) == 0) {
			t.Fatalf("same %v, found %v", same, counts)
		}
	})
}
