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
