package fsm

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func drawItem(r *rapid.T) ProgressItem {
	it := ProgressItem{
		Task: TaskID(rapid.Uint64().Draw(r, "task")), Turn: rapid.Uint64().Draw(r, "turn"), Version: rapid.Uint32().Draw(r, "version"),
		Release: rapid.Bool().Draw(r, "release"),
		Progress: Progress{
			Source: rapid.Int64().Draw(r, "source"), Target: rapid.Int64().Draw(r, "target"), SourceEpoch: rapid.Int32().Draw(r, "se"),
			TargetEpoch: rapid.Int32().Draw(r, "te"), Records: rapid.Int64().Draw(r, "records"), At: rapid.Int64().Draw(r, "at"),
		},
	}
	for range rapid.IntRange(0, 3).Draw(r, "segments") {
		it.Segments = append(it.Segments, Segment{rapid.Int64().Draw(r, "s"), rapid.Int64().Draw(r, "t")})
	}
	return it
}

func TestPropertyProgressIsReadBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := &ProgressBatch{Node: rapid.String().Draw(r, "node"), At: rapid.Int64().Draw(r, "at"), Items: []ProgressItem{}}
		for range rapid.IntRange(0, 5).Draw(r, "items") {
			p.Items = append(p.Items, drawItem(r))
		}
		b, err := Encode(p)
		if err != nil {
			r.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, p) {
			r.Fatalf("%+v %v, want %+v", got, err, p)
		}
	})
}

func TestSplit(t *testing.T) {
	wide := ProgressItem{
		Task: math.MaxUint64, Turn: math.MaxUint64, Version: math.MaxUint32, Segments: make([]Segment, 20),
		Progress: Progress{math.MinInt64, math.MinInt32, math.MaxInt64, math.MinInt32, math.MinInt64, math.MinInt64},
	}
	for i := range wide.Segments {
		wide.Segments[i] = Segment{math.MinInt64, math.MinInt64}
	}
	p := &ProgressBatch{Node: "node-of-thirty-six-characters-or-so-", At: 7}
	for i := range 3000 {
		it := wide
		it.Task = TaskID(i%2)<<63 + TaskID(i)
		p.Items = append(p.Items, it)
	}
	var items []ProgressItem
	parts := p.Split()
	for i, part := range parts {
		b, err := Encode(part)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > MaxProgressBytes || i < len(parts)-1 && len(b) < MaxProgressBytes/2 {
			t.Errorf("part %d of %d has %d bytes", i, len(parts), len(b))
		}
		if part.Node != p.Node || part.At != p.At {
			t.Errorf("part %d: %s at %d", i, part.Node, part.At)
		}
		items = append(items, part.Items...)
	}
	if !reflect.DeepEqual(items, p.Items) {
		t.Error("items are lost, added or out of order")
	}
	if n := len((&ProgressBatch{Node: "a"}).Split()); n != 0 {
		t.Errorf("nothing to report makes %d commands", n)
	}
}

// TestSplitOfManySegments: however many segments an item has, each command can
// be carried, and what it keeps of them is the newest and what was reported.
func TestSplitOfManySegments(t *testing.T) {
	p := &ProgressBatch{Node: "a", At: 7}
	for task := range TaskID(20) {
		it := ProgressItem{Task: task + 1, Turn: 1, Version: 1, Progress: Progress{Source: math.MaxInt64, Target: math.MaxInt64}}
		for i := range int64(20_000) {
			it.Segments = append(it.Segments, Segment{math.MaxInt64/2 + 10*i, math.MaxInt64/2 + 9*i})
		}
		p.Items = append(p.Items, it)
	}
	items := 0
	for _, part := range p.Split() {
		b, err := Encode(part)
		if err != nil || len(b) > MaxProgressBytes {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		for _, it := range part.Items {
			items++
			if n := len(it.Segments); n > MaxSegments || n < MaxSegments/2 || it.Segments[n-1].Source != math.MaxInt64/2+10*19_999 || !ascending(it.Segments) {
				t.Errorf("task %d: %d segments", it.Task, n)
			}
			for _, s := range it.Segments {
				if i := (s.Source - math.MaxInt64/2) / 10; s.Target != math.MaxInt64/2+9*i {
					t.Fatalf("%v was never reported", s)
				}
			}
		}
	}
	if items != 20 {
		t.Errorf("%d items", items)
	}
}

// TestPropertyJoinedSegments: in one go or bit by bit, none is made up, none
// goes back, and none takes room for those that are gone.
func TestPropertyJoinedSegments(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var got []Segment
		reported := map[Segment]bool{}
		at := Segment{}
		for range rapid.IntRange(1, 30).Draw(r, "reports") {
			more := make([]Segment, rapid.IntRange(0, 3*MaxSegments/2).Draw(r, "segments"))
			for i := range more {
				at = Segment{at.Source + 2, at.Target + 1}
				more[i], reported[at] = at, true
			}
			repeated := rapid.IntRange(0, len(got)).Draw(r, "repeated") // a report whose outcome was unknown
			got = JoinSegments(got, append(append([]Segment(nil), got[repeated:]...), more...))
			if len(got) > MaxSegments || cap(got) > MaxSegments {
				r.Fatalf("%d segments in the room of %d", len(got), cap(got))
			}
		}
		for i, s := range got {
			if !reported[s] || i > 0 && s.Source <= got[i-1].Source {
				r.Fatalf("%v at %d of %v", s, i, got)
			}
		}
		if len(got) > 0 && got[len(got)-1] != at {
			r.Fatalf("the newest is %v, not %v", got[len(got)-1], at)
		}
	})
}
