package offsets

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

func dense(zero int64, segs ...fsm.Segment) *fsm.Mapping {
	return &fsm.Mapping{Version: 1, Generation: 1, Phase: fsm.PhaseDense, ProducerID: 7, SequenceZero: zero, Segments: segs}
}

func TestSequenceWraps(t *testing.T) {
	m := dense(1000, fsm.Segment{Target: 1000})
	for _, c := range []struct {
		target int64
		want   int32
	}{
		{1000, 0}, {1001, 1}, {1000 + math.MaxInt32, math.MaxInt32}, {1000 + 1<<31, 0}, {1005 + 1<<31, 5},
		{1000 + 5<<31, 0}, {999 + 5<<31, math.MaxInt32}, {999, math.MaxInt32},
	} {
		if got := Sequence(m, c.target); got != c.want {
			t.Errorf("Sequence(%d) = %d, want %d", c.target, got, c.want)
		}
	}
}

func TestOffsetOfIsTheNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := dense(rapid.Int64Range(0, 1<<40).Draw(t, "zero"), fsm.Segment{})
		near := m.SequenceZero + rapid.Int64Range(0, 1<<40).Draw(t, "near")
		off := near + rapid.Int64Range(-1<<30+1, 1<<30-1).Draw(t, "distance")
		if got := OffsetOf(m, Sequence(m, off), near); got != off {
			t.Fatalf("OffsetOf(Sequence(%d), near %d) = %d", off, near, got)
		}
	})
}

// gapped: source 60 to 69 are skipped at target 60; another writer's records
// stand at target 80 to 84.
func gapped() *fsm.Mapping {
	return dense(0, fsm.Segment{Source: 0, Target: 0}, fsm.Segment{Source: 70, Target: 60}, fsm.Segment{Source: 90, Target: 85})
}

func TestSource(t *testing.T) {
	for _, c := range []struct{ target, want int64 }{
		{0, 0}, {59, 59}, {60, 70}, {61, 71}, {79, 89}, {85, 90}, {86, 91}, {-1, 0},
	} {
		if got := Source(gapped(), c.target); got != c.want {
			t.Errorf("Source(%d) = %d, want %d", c.target, got, c.want)
		}
	}
}

func TestTarget(t *testing.T) {
	m := gapped()
	m.Segments[0] = fsm.Segment{Source: 5, Target: 5}
	for _, c := range []struct {
		source, want int64
		ok           bool
	}{
		{4, 5, false}, {5, 5, true}, {59, 59, true}, {60, 60, false}, {69, 60, false}, {70, 60, true}, {89, 79, true}, {90, 85, true}, {100, 95, true},
	} {
		if got, ok := Target(m, c.source); got != c.want || ok != c.ok {
			t.Errorf("Target(%d) = %d %v, want %d %v", c.source, got, ok, c.want, c.ok)
		}
	}
}

// A log that lost its end behind another writer's records has no place for
// the segment that stood behind them: kept, it would be reached by counting
// and its records copied twice.
func TestCutDropsSegmentsBehindLostForeignRecords(t *testing.T) {
	m := gapped()
	all := m.Segments
	for _, c := range []struct {
		end  int64
		want []fsm.Segment
	}{
		{100, all},
		{85, all},
		{70, all[:2]},
		{60, all[:2]},
		{50, all[:2]}, // the gap is still ahead
		{0, all[:2]},
	} {
		got := Cut(m, c.end)
		if len(got) != len(c.want) {
			t.Errorf("Cut(%d) = %v, want %v", c.end, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("Cut(%d) = %v, want %v", c.end, got, c.want)
			}
		}
		cut := *m
		cut.Segments = got
		if Source(&cut, c.end) != Source(m, c.end) {
			t.Errorf("Cut(%d) moves the source from %d to %d", c.end, Source(m, c.end), Source(&cut, c.end))
		}
	}
	m.Phase = fsm.PhaseTranslated
	if got := Cut(m, 50); len(got) != 1 {
		t.Errorf("a translated stream keeps %v", got)
	}
}

func TestBehind(t *testing.T) {
	m := gapped()
	all := m.Segments
	for _, c := range []struct {
		source, end int64
		want        []fsm.Segment
	}{
		{95, 95, []fsm.Segment{all[0], all[1], all[2], {Source: 95, Target: 95}}},
		{90, 95, []fsm.Segment{all[0], all[1], {Source: 90, Target: 95}}}, // nothing was written of the last
		{95, 85, []fsm.Segment{all[0], all[1], {Source: 95, Target: 85}}},
		{0, 10, []fsm.Segment{{Source: 0, Target: 10}}}, // others wrote before us
		{50, 50, []fsm.Segment{all[0], {Source: 50, Target: 50}}},
	} {
		if got := Behind(m, c.source, c.end); !slices.Equal(got, c.want) {
			t.Errorf("Behind(%d, %d) = %v, want %v", c.source, c.end, got, c.want)
		}
	}
}

func TestMixed(t *testing.T) {
	for target, want := range map[int64]bool{0: false, 59: false, 60: false, 61: true, 84: true, 85: false, 90: false} {
		if got := Mixed(gapped(), target); got != want {
			t.Errorf("Mixed(%d) = %v", target, got)
		}
	}
}

func TestGuardedByThePredecessor(t *testing.T) {
	const day, now = int64(24 * 3600_000), int64(1_000_000_000_000)
	for _, c := range []struct {
		name             string
		last, expiration int64
		want             bool
	}{
		{"no batch yet", -1, day, false},
		{"just now", now, day, true},
		{"an hour before the expiry", now - day + hour, day, false},
		{"a little younger than that", now - day + hour + 1, day, true},
		{"short expiry: a quarter is kept clear", now - 750, 1000, false},
		{"short expiry: younger", now - 749, 1000, true},
		{"expiry not known", now, 0, false},
		{"three days old", now - 3*day, day, false},
		{"ahead of the clock", now + day, day, true},
	} {
		if got := Guarded(c.last, now, c.expiration); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestMoved(t *testing.T) {
	m := dense(0, fsm.Segment{Source: 0, Target: 0}, fsm.Segment{Source: 13, Target: 10}) // sources 10 to 12 are a gap
	for _, c := range []struct {
		name string
		ours []Placed
		want []fsm.Segment
	}{
		{"none", nil, m.Segments},
		{"where they should be", []Placed{{6, 6}, {8, 8}}, m.Segments},
		{"moved, and over the gap", []Placed{{6, 6}, {9, 8}, {12, 10}}, []fsm.Segment{{Source: 0, Target: 0}, {Source: 8, Target: 9}, {Source: 13, Target: 12}}},
		{"moved twice", []Placed{{7, 6}, {8, 7}, {10, 8}}, []fsm.Segment{{Source: 0, Target: 0}, {Source: 6, Target: 7}, {Source: 8, Target: 10}}},
		{"from the first on", []Placed{{2, 0}}, []fsm.Segment{{Source: 0, Target: 2}}},
		{"by as much as the gap", []Placed{{12, 9}, {13, 10}}, []fsm.Segment{{Source: 0, Target: 0}, {Source: 9, Target: 12}, {Source: 13, Target: 13}}},
	} {
		if got := Moved(m, 5, c.ours); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// Ours stands before a segment that is ahead: that is void, whatever its source.
	ahead := dense(0, fsm.Segment{}, fsm.Segment{Source: 80, Target: 70})
	if got, want := Moved(ahead, 70, []Placed{{50, 100}}), []fsm.Segment{{}, {Source: 110, Target: 50}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestEdge: where copying on leaves a segment.
func TestEdge(t *testing.T) {
	m := &fsm.Mapping{Segments: []fsm.Segment{{Source: 100, Target: 0}, {Source: 120, Target: 12}, {Source: 150, Target: 20}}}
	for target, want := range map[int64]int64{0: 112, 11: 112, 12: 128, 19: 128, 20: 0, 500: 0, -1: 0} {
		if got := Edge(m, target); got != want {
			t.Errorf("from target offset %d on up to %d, want %d", target, got, want)
		}
	}
}
