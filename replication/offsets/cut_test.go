package offsets

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// thinning is a translated stream in the facts.
type thinning struct {
	t      *rapid.T
	rand   *rand.Rand
	state  *fsm.State
	index  uint64
	source []int64       // offsets of its records
	places []fsm.Segment // of those that were copied
}

const thinTask = 2 // 1 is the link's own

func newThinning(t *rapid.T, level uint32) *thinning {
	h := &thinning{t: t, state: fsm.NewState(), rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
	for i, at := 0, int64(0); i < 5000; i, at = i+1, at+1 {
		at += h.rand.Int64N(3)
		h.source = append(h.source, at)
	}
	h.do(&fsm.ClusterInit{ClusterID: "c"}, &fsm.NodePut{Node: fsm.Node{ID: "n", Name: "n1"}}, &fsm.FeatureRaise{Level: level},
		&fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us"}, {Name: "eu"}}, Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu", Include: []string{"t"}, State: fsm.StateRunning}}}},
		&fsm.StreamsAdd{Link: 1, Streams: []fsm.StreamKey{{Topic: "t", TargetTopic: "t"}}},
		&fsm.Assign{Items: []fsm.Assignment{{Task: thinTask, To: "n"}}},
		&fsm.MappingPut{Task: thinTask, Turn: 1, Mapping: fsm.Mapping{Version: 1, Phase: fsm.PhaseTranslated, Segments: []fsm.Segment{{}}}})
	return h
}

func (h *thinning) do(list ...fsm.Command) {
	for _, c := range list {
		b, err := fsm.Encode(c)
		if err != nil {
			h.t.Fatal(err)
		}
		h.index++
		if r, err := h.state.Apply(h.index, b); err != nil || r.Refused != fsm.RefusedNot {
			h.t.Fatalf("%T: %+v, %v", c, r, err)
		}
	}
}

func (h *thinning) mapping() *fsm.Mapping { return h.state.View().Task(thinTask).Copy.Mapping }

// copies copies the next records of the source, and reports their segments as a
// pipe does.
func (h *thinning) copies(n int) {
	m := h.mapping()
	shift := m.Segments[len(m.Segments)-1].Shift()
	item := fsm.ProgressItem{Task: thinTask, Turn: 1, Version: m.Version}
	for i := range n {
		at := fsm.Segment{Source: h.source[len(h.places)], Target: int64(len(h.places))}
		if at.Shift() != shift {
			shift = at.Shift()
			item.Segments = append(item.Segments, at)
		}
		h.places = append(h.places, at)
		if i%97 == 96 || i == n-1 {
			item.Progress.Source, item.Progress.Target = at.Source+1, at.Target+1
			h.do(&fsm.ProgressBatch{Node: "n", Items: []fsm.ProgressItem{item}})
			item.Segments = nil
		}
	}
}

// cut lets the target lose what stands at end and behind, and the source some
// of it too: the stream goes on there, as recovery commits it.
func (h *thinning) cut(end int64) {
	next := *h.mapping()
	h.places = h.places[:end]
	h.source = append(h.source[:end:end], slices.DeleteFunc(slices.Clone(h.source[end:]), func(int64) bool { return h.rand.IntN(9) == 0 })...)
	from := fsm.Segment{Target: end}
	if end > 0 {
		from.Source = h.places[end-1].Source + 1
	}
	next.Version++
	next.Segments = Cut(&next, end)
	if last := next.Segments[len(next.Segments)-1]; from.Shift() != last.Shift() && from.Source > last.Source {
		next.Segments = append(next.Segments, from)
	}
	h.do(&fsm.MappingPut{Task: thinTask, Turn: 1, Mapping: next, Progress: fsm.Progress{Source: from.Source, Target: end}})
}

// The newest segments are those that are left when the newest were cut off; where
// some between them had been thinned out, none of their ranges is exact.
func TestCutOfThinnedSegmentsKnowsWhatItLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newThinning(t, fsm.FeatureLevel)
		h.copies(rapid.IntRange(0, 2500).Draw(t, "records"))
		again := 0
		for range rapid.IntRange(1, 3).Draw(t, "cuts") {
			h.cut(rapid.Int64Range(0, int64(len(h.places))).Draw(t, "end"))
			again = rapid.IntRange(0, 300).Draw(t, "copied again")
			h.copies(again)
		}
		m := Translate(h.mapping())
		for _, r := range h.places {
			p := m.Place(r.Source)
			if !p.Holds(r.Target) {
				t.Fatalf("the record at source offset %d is put at %s and stands at %d; mapping %v, thinned %d", r.Source, p, r.Target, h.mapping().Segments, h.mapping().Thinned)
			}
			if m.Settled(r.Source) == r.Source && (p.Lo != r.Target || m.Target(r.Source) != r.Target) {
				t.Fatalf("the record at source offset %d counts as exact at %s and stands at %d", r.Source, p, r.Target)
			}
		}
		// What is known is not given up: what was copied last is exact.
		for _, r := range h.places[len(h.places)-min(again, 100):] {
			if m.Settled(r.Source) != r.Source {
				t.Fatalf("the record at source offset %d is not exact; mapping %v, thinned %d", r.Source, h.mapping().Segments, h.mapping().Thinned)
			}
		}
	})
}

// A cluster some of whose nodes are too old for the fact goes on without.
func TestThinnedIsAFactOfItsLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newThinning(t, 3)
		h.copies(1500)
		h.cut(700)
		if m := h.mapping(); m.Thinned != 0 {
			t.Fatalf("thinned %d, which older nodes cannot read", m.Thinned)
		}
		h.do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
		h.copies(1500)
		h.cut(1500)
		if h.mapping().Thinned == 0 {
			t.Fatal("the fact is not kept")
		}
	})
}
