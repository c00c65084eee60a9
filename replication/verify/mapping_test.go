package verify

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// drawPlaces draws where the records of a stream stand, and the segments that
// say so: gaps in the source, and with foreign also other writers' records in
// the target.
func drawPlaces(t *rapid.T, foreign bool) (segments, records []fsm.Segment) {
	at, to := rapid.Int64Range(0, 50).Draw(t, "start"), rapid.Int64Range(0, 50).Draw(t, "target start")
	segments = []fsm.Segment{{Source: at, Target: to}}
	for range rapid.IntRange(0, 300).Draw(t, "records") {
		gap, jump := int64(0), int64(0)
		if rapid.IntRange(0, 9).Draw(t, "gap?") == 0 {
			gap = rapid.Int64Range(1, 5).Draw(t, "gap")
		}
		if foreign && rapid.IntRange(0, 9).Draw(t, "jump?") == 0 {
			jump = rapid.Int64Range(1, 5).Draw(t, "jump")
		}
		at, to = at+gap, to+jump
		if p := (fsm.Segment{Source: at, Target: to}); gap != jump && at > segments[len(segments)-1].Source {
			segments = append(segments, p)
		} else if gap != 0 || jump != 0 { // a segment begins behind the one before it
			at, to = at-gap, to-jump
		}
		records = append(records, fsm.Segment{Source: at, Target: to})
		at, to = at+1, to+1
	}
	return segments, records
}

// drawThinned draws a mapping whose older segments have been thinned, as the facts
// do, with all its records.
func drawThinned(t *rapid.T) (m mapping, records []fsm.Segment) {
	foreign := rapid.Bool().Draw(t, "foreign")
	full, records := drawPlaces(t, foreign)
	kept := []fsm.Segment{full[0]}
	for _, s := range full[1:] {
		if rapid.Bool().Draw(t, "kept") {
			kept = append(kept, s)
		}
	}
	last := full[len(full)-1]
	if n := len(records); n > 0 {
		last = records[n-1]
	}
	for range fsm.MaxSegments / 4 { // the newest, which are all there
		last.Source, last.Target = last.Source+1_000_000, last.Target+1_000
		kept, records = append(kept, last), append(records, last)
	}
	return newMapping(&fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: kept}, foreign), records
}

func TestMappingAgreesWithItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segments, records := drawPlaces(t, rapid.Bool().Draw(t, "foreign"))
		m := newMapping(&fsm.Mapping{Phase: fsm.PhaseDense, Segments: segments}, false)
		for i, r := range records {
			if p := m.locate(r.Source); p.skipped || p.lo != r.Target || p.hi != r.Target {
				t.Fatalf("%v puts %d at %+v, want %d", m.segments, r.Source, p, r.Target)
			}
			if got := m.target(r.Source); got != r.Target {
				t.Fatalf("target(%d) = %d, want %d", r.Source, got, r.Target)
			}
			// All records before a target position come from before its source position.
			if got := m.source(r.Target); got > r.Source || i > 0 && got <= records[i-1].Source {
				t.Fatalf("source(%d) = %d, records at %d", r.Target, got, r.Source)
			}
			if m.settled(r.Source) != r.Source || m.settles(r.Source) != r.Source {
				t.Fatalf("a dense mapping is exact everywhere, not at %d", r.Source)
			}
		}
	})
}

// Where the facts have thinned out segments, the places of records are ranges
// that hold the truth.
func TestThinnedMapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, records := drawThinned(t)
		at := map[int64]int64{}
		for _, r := range records {
			at[r.Source] = r.Target
		}
		for _, r := range records {
			p := m.locate(r.Source)
			if p.lo > p.hi || !p.holds(r.Target) {
				t.Fatalf("%v puts %d at %+v, it is at %d", m.segments, r.Source, p, r.Target)
			}
			settled, settles := m.settled(r.Source), m.settles(r.Source)
			if settled > r.Source || settles < r.Source {
				t.Fatalf("settled(%d) = %d, settles = %d", r.Source, settled, settles)
			}
			for _, s := range []int64{settled, settles} {
				if stands, ok := at[s]; ok && m.target(s) != stands {
					t.Fatalf("target(%d) = %d, it is at %d", s, m.target(s), stands)
				}
			}
			// What lies before a position stands before it, what lies behind stands behind.
			from := m.from(0, r.Target)
			if m.target(from) < r.Target {
				t.Fatalf("from(0, %d) = %d, which is target offset %d", r.Target, from, m.target(from))
			}
			for _, o := range records {
				if o.Source < from && o.Target >= m.target(from) || o.Source >= from && o.Target < m.target(from) {
					t.Fatalf("from(0, %d) = %d parts %d from its place %d", r.Target, from, o.Source, o.Target)
				}
				if before := m.source(r.Target); o.Source < before && o.Target >= r.Target {
					t.Fatalf("source(%d) = %d, but %d stands at %d", r.Target, before, o.Source, o.Target)
				}
			}
		}
	})
}

// thinnedBy is a mapping of which only the given segments are left of its older
// part; the newer one begins at source offset 1000 with the shift of the last.
func thinnedBy(shared bool, pairs ...int64) mapping {
	older := segments(pairs...)
	shift := older[len(older)-1].Shift()
	for i := range int64(fsm.MaxSegments / 4) {
		older = append(older, fsm.Segment{Source: 1000 + 2*i, Target: 1000 + shift + i})
	}
	return newMapping(&fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: older}, shared)
}

func TestLocateWhereSegmentsAreThinned(t *testing.T) {
	for _, tc := range []struct {
		name   string
		m      mapping
		source int64
		want   place
	}{
		{"the start of a segment is exact", thinnedBy(false, 0, 0, 100, 60), 100, place{lo: 100 - 40, hi: 100 - 40}},
		{"gaps somewhere before or behind", thinnedBy(false, 0, 0, 100, 60), 50, place{lo: 10, hi: 50}},
		{"few records behind", thinnedBy(false, 0, 0, 100, 60), 99, place{lo: 59, hi: 59}},
		{"few records before", thinnedBy(false, 0, 0, 100, 60), 1, place{lo: 0, hi: 1}},
		{"no gap was left out", thinnedBy(false, 0, 0, 100, 100), 50, place{lo: 50, hi: 50}},
		// The log started with offsets that held no record: the first one stands
		// at the target's start, though a segment that was dropped said so.
		{"the first record lies behind the start", thinnedBy(false, 0, 0, 10, 1), 6, place{lo: 0, hi: 0}},
		{"nothing stands between", thinnedBy(false, 0, 5, 10, 5), 6, place{skipped: true}},
		// Others' records: the bounds that rest on gaps alone contradict one another.
		{"others wrote more than was left out", thinnedBy(false, 0, 0, 100, 150), 50, place{lo: 0, hi: 149}},
		{"others may have written as much as was left out", thinnedBy(true, 0, 0, 100, 60), 50, place{lo: 0, hi: 59}},
		{"before the first", thinnedBy(false, 10, 0, 100, 60), 9, place{skipped: true}},
		{"a gap in the newer part", thinnedBy(false, 0, 0), 1001, place{skipped: true}},
		{"behind the last", thinnedBy(false, 0, 0), 5000, place{lo: 5000 - 127, hi: 5000 - 127}},
	} {
		if got := tc.m.locate(tc.source); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestPositionsWhereSegmentsAreThinned(t *testing.T) {
	ours, shared := thinnedBy(false, 0, 0, 100, 60, 200, 160), thinnedBy(true, 0, 0, 100, 60, 200, 180)
	for _, tc := range []struct {
		name      string
		got, want int64
	}{
		{"settled inside", ours.settled(150), 100},
		{"settled at a start", ours.settled(100), 100},
		{"settled in the newer part", ours.settled(1001), 1001},
		{"settles inside", ours.settles(150), 200},
		{"settles at a start", ours.settles(200), 200},
		{"settles in the newer part", ours.settles(1001), 1001},
		{"from a source position", ours.from(150, 0), 200},
		{"from a target position", ours.from(0, 61), 200},
		{"from the target position of a start", ours.from(0, 60), 100},
		{"from both", ours.from(150, 161), 1000},
		{"from the start", ours.from(0, 0), 0},
		{"from behind the end", ours.from(0, 5000), 5000 + 40 + 127},
		{"shared, from a target position", shared.from(0, 61), 200},
		{"shared, from the target position of a start", shared.from(0, 60), 100},
		{"shared, from a source position", shared.from(150, 0), 200},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, tc.got, tc.want)
		}
	}
}
