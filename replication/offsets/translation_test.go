package offsets

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/test/oracle"
)

// drawThinned draws a mapping whose older segments have been thinned, as the facts
// do, with all its records.
func drawThinned(t *rapid.T) (m Translation, records []fsm.Segment) {
	foreign := rapid.Bool().Draw(t, "foreign")
	full, records := oracle.Places(t, foreign)
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
	return Translate(&fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: kept}), records
}

func TestTranslationAgreesWithItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segments, records := oracle.Places(t, rapid.Bool().Draw(t, "foreign"))
		m := Translate(&fsm.Mapping{Phase: fsm.PhaseDense, Segments: segments})
		for i, r := range records {
			if p := m.Place(r.Source); p.Skipped || p.Lo != r.Target || p.Hi != r.Target {
				t.Fatalf("%v puts %d at %+v, want %d", m.segments, r.Source, p, r.Target)
			}
			if got := m.Target(r.Source); got != r.Target {
				t.Fatalf("Target(%d) = %d, want %d", r.Source, got, r.Target)
			}
			// All records before a target position come from before its source position.
			if got := m.Source(r.Target); got > r.Source || i > 0 && got <= records[i-1].Source {
				t.Fatalf("Source(%d) = %d, records at %d", r.Target, got, r.Source)
			}
			if m.Settled(r.Source) != r.Source || m.Settles(r.Source) != r.Source {
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
			p := m.Place(r.Source)
			if p.Lo > p.Hi || !p.Holds(r.Target) {
				t.Fatalf("%v puts %d at %+v, it is at %d", m.segments, r.Source, p, r.Target)
			}
			settled, settles := m.Settled(r.Source), m.Settles(r.Source)
			if settled > r.Source || settles < r.Source {
				t.Fatalf("settled(%d) = %d, settles = %d", r.Source, settled, settles)
			}
			for _, s := range []int64{settled, settles} {
				if stands, ok := at[s]; ok && m.Target(s) != stands {
					t.Fatalf("Target(%d) = %d, it is at %d", s, m.Target(s), stands)
				}
			}
			// What lies before a position stands before it, what lies behind stands behind.
			from := m.From(0, r.Target)
			if m.Target(from) < r.Target {
				t.Fatalf("From(0, %d) = %d, which is target offset %d", r.Target, from, m.Target(from))
			}
			for _, o := range records {
				if o.Source < from && o.Target >= m.Target(from) || o.Source >= from && o.Target < m.Target(from) {
					t.Fatalf("From(0, %d) = %d parts %d from its place %d", r.Target, from, o.Source, o.Target)
				}
				if before := m.Source(r.Target); o.Source < before && o.Target >= r.Target {
					t.Fatalf("Source(%d) = %d, but %d stands at %d", r.Target, before, o.Source, o.Target)
				}
			}
		}
	})
}

// thinnedBy is a mapping of which only the given segments are left of its older
// part; the newer one begins at source offset 1000 with the shift of the last.
func thinnedBy(pairs ...int64) Translation {
	older := oracle.Segments(pairs...)
	shift := older[len(older)-1].Shift()
	for i := range int64(fsm.MaxSegments / 4) {
		older = append(older, fsm.Segment{Source: 1000 + 2*i, Target: 1000 + shift + i})
	}
	return Translate(&fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: older})
}

func TestPlaceWhereSegmentsAreThinned(t *testing.T) {
	for _, tc := range []struct {
		name   string
		m      Translation
		source int64
		want   Place
	}{
		{"the start of a segment is exact", thinnedBy(0, 0, 100, 60), 100, Place{Lo: 100 - 40, Hi: 100 - 40}},
		{"gaps somewhere before or behind", thinnedBy(0, 0, 100, 60), 50, Place{Lo: 0, Hi: 59}},
		{"others wrote, or records were copied again", thinnedBy(0, 0, 100, 150), 50, Place{Lo: 0, Hi: 149}},
		{"the first record lies behind the start", thinnedBy(0, 0, 10, 1), 6, Place{Lo: 0, Hi: 0}},
		{"nothing stands between", thinnedBy(0, 5, 10, 5), 6, Place{Skipped: true}},
		{"before the first", thinnedBy(10, 0, 100, 60), 9, Place{Skipped: true}},
		{"a gap in the newer part", thinnedBy(0, 0), 1001, Place{Skipped: true}},
		{"behind the last", thinnedBy(0, 0), 5000, Place{Lo: 5000 - 127, Hi: 5000 - 127}},
	} {
		if got := tc.m.Place(tc.source); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestPositionsWhereSegmentsAreThinned(t *testing.T) {
	ours, shared := thinnedBy(0, 0, 100, 60, 200, 160), thinnedBy(0, 0, 100, 60, 200, 180)
	for _, tc := range []struct {
		name      string
		got, want int64
	}{
		{"settled inside", ours.Settled(150), 100},
		{"settled at a start", ours.Settled(100), 100},
		{"settled in the newer part", ours.Settled(1001), 1001},
		{"settles inside", ours.Settles(150), 200},
		{"settles at a start", ours.Settles(200), 200},
		{"settles in the newer part", ours.Settles(1001), 1001},
		{"from a source position", ours.From(150, 0), 200},
		{"from a target position", ours.From(0, 61), 200},
		{"from the target position of a start", ours.From(0, 60), 100},
		{"from both", ours.From(150, 161), 1000},
		{"from the start", ours.From(0, 0), 0},
		{"from behind the end", ours.From(0, 5000), 5000 + 40 + 127},
		{"shared, from a target position", shared.From(0, 61), 200},
		{"shared, from the target position of a start", shared.From(0, 60), 100},
		{"shared, from a source position", shared.From(150, 0), 200},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, tc.got, tc.want)
		}
	}
}

// A thinned range holds the places of all its records, also where one of the
// segments that were dropped went on behind records that it copied again: the
// shift rises and falls inside.
func TestThinnedRangeHoldsWhatWasCopiedAgain(t *testing.T) {
	full := oracle.Segments(0, 0, 10, 4, 10, 15, 100, 60) // from 10 on copied again, as position-unknown does
	at := func(source int64) int64 {
		if source < 10 {
			return min(source, 3)
		}
		return source + 5
	}
	m := thinnedBy(full[0].Source, full[0].Target, full[3].Source, full[3].Target)
	for source := range int64(40) {
		if p := m.Place(source); p.Skipped || p.Lo > p.Hi || !p.Holds(at(source)) {
			t.Fatalf("%d is put at %+v and stands at %d", source, p, at(source))
		}
	}
}

func TestMeant(t *testing.T) {
	m := Translate(dense(0, oracle.Segments(0, 0, 10, 15, 40, 40)...)) // target 10 to 14 is no offset's place; 25 to 29 are left out
	for target, want := range map[int64]bool{-1: false, 0: true, 9: true, 10: false, 14: false, 15: true, 39: true, 40: true, 1000: true} {
		if got := m.Meant(target); got != want {
			t.Errorf("Meant(%d) = %v", target, got)
		}
	}
	if !thinnedBy(0, 0, 100, 150).Meant(120) {
		t.Error("where segments were dropped it is not known")
	}
}
