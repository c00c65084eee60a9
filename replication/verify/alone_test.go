package verify

import (
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/test/oracle"
)

// Records that are equal in all they hold cannot be told apart where only a range
// is known: what the target has of them may be either.
func TestEqualRecordsWherePlacesAreRanges(t *testing.T) {
	m := fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: oracle.Segments(0, 0, 100, 50), Thinned: 100}
	for name, tc := range map[string]struct {
		source, target string
		want           Counts
	}{
		"the target removed one":      {"a1 a- a- b1", "- - a- b1", Counts{Compared: 2, Compacted: 2}},
		"the source did":              {"a1 - a- b1", "a1 a- a- b1", Counts{Compared: 3, Compacted: 1}},
		"it removed what came behind": {"a1 a- a2 a- b1", "- - - a- b1", Counts{Compared: 2, Compacted: 3}},
		"it lost another":             {"a1 a- a2 b1", "- a- - b1", Counts{Compared: 2, Compacted: 1, Missing: 1}},
	} {
		source, target := keyed(tc.source), keyed(tc.target)
		for _, list := range [][]item{source, target} {
			for i := range list {
				list[i].timestamp = 5
			}
		}
		c := cleanedSides(offsets.Translate(&m))
		chunks(c, source, target, 100)
		finish(c, source, target, nil, nil)
		if c.counts != tc.want {
			t.Errorf("%s: %+v %+v, want %+v", name, c.counts, c.faults, tc.want)
		}
	}
}

// Where only a range is known both sides are followed by what they hold: what
// both have is compared, and little waits.
func TestSidesKeepInStepWherePlacesAreRanges(t *testing.T) {
	m := fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: oracle.Segments(0, 0, 10_000, 5_000), Thinned: 10_000}
	var source, target []item
	both, bare := int64(0), int64(0)
	for i := range int64(5_000) {
		it := item{offset: 2 * i, timestamp: i, key: uint64(i%50+1) * 0x9e3779b97f4a7c15, value: uint64(i) + 1}
		atSource, atTarget := i%5 != 0 && i/100%7 != 0 || i >= 4_950, i%3 != 0 && i/100%11 != 0 || i >= 4_950
		if atSource {
			source = append(source, it)
		}
		if it.offset = i; atTarget {
			target = append(target, it)
		}
		if atSource && atTarget {
			both++
		} else if atSource || atTarget {
			bare++
		}
	}
	c := cleanedSides(offsets.Translate(&m))
	c.most = 100
	chunks(c, source, target, 40)
	finish(c, source, target, nil, nil)
	if want := (Counts{Compared: both, Compacted: bare}); c.counts != want {
		t.Errorf("%+v %+v, want %+v", c.counts, c.faults, want)
	}
}

// What was not opened may hold the cause.
func TestCauseMayStandInWhatWasNotOpened(t *testing.T) {
	c := cleanedSides(offsets.Translate(&fsm.Mapping{Segments: oracle.Segments(0, 0)}))
	c.leaveOut(nil, []hole{{from: 2, to: 3, records: 1}})
	chunks(c, keyed("a1 b1 c1"), keyed("- b1"), 100)
	finish(c, nil, nil, nil, nil)
	if want := (Counts{Compared: 1, TooLarge: 1, Undecided: 1}); c.counts != want {
		t.Errorf("%+v, want %+v", c.counts, want)
	}
	p := &pair{all: c, in: &reader{}}
	if left := p.found(fsm.StreamKey{}).left; len(left) != 2 || left[1].Why != CompactionUnsure || !strings.Contains(left[1].Message, "are not compared") {
		t.Errorf("%+v", left)
	}
}

// What the link went past is at the source all the same, and may be the cause.
func TestCauseMayStandInWhatWasSkipped(t *testing.T) {
	c := cleanedSides(offsets.Translate(&fsm.Mapping{Segments: oracle.Segments(0, 0, 3, 1)}))
	source, target := keyed("- a2 - b1"), keyed("a1 b1")
	target[1].timestamp = source[1].timestamp
	chunks(c, source, target, 100)
	finish(c, nil, nil, nil, nil)
	if want := (Counts{Compared: 1, Undecided: 1, Skipped: 1}); c.counts != want {
		t.Errorf("%+v %+v, want %+v", c.counts, c.faults, want)
	}
}
