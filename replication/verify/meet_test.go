package verify

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/test/oracle"
)

// meetIn lets the sides meet, reading n records at a time.
func meetIn(source, target []item, limit fsm.Segment, n int) *meeting {
	m := newMeeting(limit.Source, limit.Target)
	left := [2][]item{source, target}
	for at, ok := m.wants(); ok; at, ok = m.wants() {
		k := min(n, len(left[at]))
		m.add(at, left[at][:k], k == len(left[at]))
		left[at] = left[at][k:]
	}
	return m
}

func TestMeeting(t *testing.T) {
	at := func(s, t int64) fsm.Segment { return fsm.Segment{Source: s, Target: t} }
	for _, tc := range []struct {
		name           string
		source, target string
		want           fsm.Segment
		found          bool
	}{
		{"the target lost the first ones", "A B C D E", "D E", at(3, 100), true},
		{"the source did", "- - - D E", "A B C D E", at(3, 103), true},
		{"both begin with the same", "A B C", "A B C", at(0, 100), true},
		{"equal ones before it", "A A B A A C", "A A C", at(3, 100), true},
		{"equal ones alone", "A A A A", "A A", at(2, 100), true}, // by their ends
		{"equal ones in plenty before it", strings.Repeat("A ", 50) + "B C D", strings.Repeat("A ", 38) + "B C D", at(12, 100), true},
		{"nothing in common", "A B C", "X Y", at(0, 0), false},
		{"one lost inside", "A B C D E", "C E", at(0, 0), false},
		{"nothing at the target", "A B C", "", at(0, 0), false},
		{"nothing at the source", "", "A B C", at(0, 0), false},
		{"nothing", "", "", at(0, 0), false},
	} {
		for _, n := range []int{1, 2, 100} {
			m := meetIn(records(tc.source, 0), records(tc.target, 100), at(1000, 1000), n)
			if m.found != tc.found || m.at != tc.want {
				t.Errorf("%s, %d at a time: %+v, %v", tc.name, n, m.at, m.found)
			}
		}
	}
}

// Wherever the logs begin, they are found to meet where they do, and the mapping
// with that place still holds the truth. Records that repeat themselves are not
// taken for one another.
func TestLogsMeetWhereTheyDo(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		_, places := oracle.Places(t, false)
		if len(places) == 0 {
			return
		}
		last := places[len(places)-1]
		end := fsm.Segment{Source: last.Source + 1000, Target: last.Target + 1}
		m := offsets.Translate(&fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: []fsm.Segment{places[0], end}, Thinned: end.Source})
		values := uint64(rapid.SampledFrom([]int{1, 2, 1000}).Draw(t, "values"))
		var source, target []item
		sourceFrom, targetFrom := rapid.IntRange(0, len(places)).Draw(t, "source begins"), rapid.IntRange(0, len(places)).Draw(t, "target begins")
		for i, p := range places {
			it := item{offset: p.Source, value: uint64(i) * 2654435761 % values}
			if i >= sourceFrom {
				source = append(source, it)
			}
			if it.offset = p.Target; i >= targetFrom {
				target = append(target, it)
			}
		}
		x := meetIn(source, target, end, rapid.IntRange(1, 50).Draw(t, "chunk"))
		both := max(sourceFrom, targetFrom)
		if x.found && (both == len(places) || x.at != places[both]) {
			t.Fatalf("they meet at %+v, which is not so: %v", x.at, places[both:])
		}
		if !x.found && both < len(places) {
			if values == 1000 {
				t.Fatal("they are not found to meet")
			}
			return
		}
		if !x.found {
			return
		}
		found++
		for _, w := range []offsets.Translation{m.With(x.at), m.With(x.at).With(x.at)} {
			for _, p := range places {
				if !w.Place(p.Source).Holds(p.Target) {
					t.Fatalf("with %+v the record at %d is put at %s", x.at, p.Source, w.Place(p.Source))
				}
			}
			if from, to := w.Open(places[sourceFrom].Source, places[targetFrom].Target); from < to {
				t.Fatalf("with %+v it is not known where %d to %d stand", x.at, from, to)
			}
		}
	})
	if found == 0 {
		t.Error("they never met")
	}
}
