package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/test/oracle"
)

// side of "A B - C": one record for each letter at the offset of its place.
func records(text string, base int64) []item {
	var out []item
	for i, w := range strings.Fields(text) {
		if w != "-" {
			out = append(out, item{offset: base + int64(i), value: uint64(w[0])})
		}
	}
	return out
}

// feed gives both sides to c and closes it.
func feed(c *comparison, source, target []item, n int) {
	chunks(c, source, target, n)
	c.close()
}

// chunks gives both sides to c in chunks of n.
func chunks(c *comparison, source, target []item, n int) {
	for c.source.wants() || c.target.wants() {
		var s, t []item
		if c.source.wants() {
			s, source = source[:min(n, len(source))], source[min(n, len(source)):]
		}
		if c.target.wants() {
			t, target = target[:min(n, len(target))], target[min(n, len(target)):]
		}
		c.push(s, t, len(source) == 0, len(target) == 0)
	}
}

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		name           string
		source, target string
		base           int64 // of the target
		segments       []fsm.Segment
		compacted      bool
		floor          int64 // below it is gone at one side
		head           int64 // of the target
		due            int64
		want           Counts
		faults         string // kind source target
	}{
		{name: "equal", source: "A B C", target: "A B C", want: Counts{Compared: 3}},
		{name: "nothing", want: Counts{}},
		{name: "shifted", source: "A B C", target: "A B C", base: 40, segments: oracle.Segments(0, 40), want: Counts{Compared: 3}},
		{name: "missing inside", source: "A B C D", target: "A B D",
			want: Counts{Compared: 3, Missing: 1, OffsetMismatch: 1}, faults: "missing 2 -1; offset-mismatch 3 2"},
		{name: "missing inside, its offset left out", source: "A B C D", target: "A B - D",
			want: Counts{Compared: 3, Missing: 1}, faults: "missing 2 -1"},
		{name: "missing tail", source: "A B C", target: "A",
			want: Counts{Compared: 1, Missing: 2}, faults: "missing 1 -1; missing 2 -1"},
		{name: "missing all", source: "A B", want: Counts{Missing: 2}, faults: "missing 0 -1; missing 1 -1"},
		{name: "strange record", source: "A B C", target: "A X B C",
			want: Counts{Compared: 3, Extra: 1, OffsetMismatch: 2}, faults: "extra -1 1; offset-mismatch 1 2; offset-mismatch 2 3"},
		{name: "twice in a row", source: "A B C", target: "A B B C",
			want: Counts{Compared: 3, Extra: 1, OffsetMismatch: 1}, faults: "extra -1 2; offset-mismatch 2 3"},
		{name: "a batch twice, at the end", source: "A B C", target: "A B C B C",
			want: Counts{Compared: 3, Extra: 2}, faults: "extra -1 3; extra -1 4"},
		{name: "copied again from where it was not known", source: "A B C D E", target: "A B C D C D E", segments: oracle.Segments(0, 0, 2, 4),
			want: Counts{Compared: 5, Extra: 2}, faults: "extra -1 2; extra -1 3"},
		{name: "copied again, and nothing behind", source: "A B C D", target: "A B C D C D", segments: oracle.Segments(0, 0, 2, 4),
			want: Counts{Compared: 4, Extra: 2}, faults: "extra -1 2; extra -1 3"},
		{name: "another record at its place", source: "A B C", target: "A X C",
			want: Counts{Compared: 2, Differing: 1}, faults: "differing 1 1"},
		{name: "another record before equal ones", source: "A B B B", target: "A X B B",
			want: Counts{Compared: 3, Differing: 1}, faults: "differing 1 1"},
		{name: "swapped", source: "A B C D", target: "B A C D",
			want: Counts{Compared: 3, Misordered: 1, OffsetMismatch: 1}, faults: "misordered 1 0; offset-mismatch 0 1"},
		{name: "one came late", source: "A B C D E", target: "B C D A E",
			want: Counts{Compared: 4, Misordered: 1, OffsetMismatch: 3}, faults: "misordered 0 3; offset-mismatch 1 0; offset-mismatch 2 1; offset-mismatch 3 2"},
		{name: "all differ", source: "A B C", target: "X Y Z",
			want: Counts{Differing: 3}, faults: "differing 0 0; differing 1 1; differing 2 2"},
		{name: "a gap that the mapping knows", source: "A B C D", target: "A D", segments: oracle.Segments(0, 0, 3, 1),
			want: Counts{Compared: 2, Skipped: 2}},
		{name: "records before the start", source: "A B C", target: "C", segments: oracle.Segments(2, 0),
			want: Counts{Compared: 1, Skipped: 2}},
		{name: "control records left out", source: "A - B - C", target: "A B C", segments: oracle.Segments(0, 0, 2, 1, 4, 2),
			want: Counts{Compared: 3}},
		{name: "control records, unknown to the mapping", source: "A - B", target: "A B",
			want: Counts{Compared: 2, OffsetMismatch: 1}, faults: "offset-mismatch 2 1"},
		{name: "compacted on both sides", source: "A - C D - F", target: "- B C - E F", compacted: true,
			want: Counts{Compared: 2, Compacted: 4}},
		{name: "compacted, but another record", source: "A - C", target: "- B X", compacted: true,
			want: Counts{Compacted: 2, Differing: 1}, faults: "differing 2 2"},
		{name: "compacted, equal records at different offsets", source: "- A A", target: "A - A", compacted: true,
			want: Counts{Compared: 1, Compacted: 2}},
		{name: "gone at the target alone", source: "A B C D", target: "- - C D", floor: 2, head: 2,
			want: Counts{Compared: 2, Missing: 2, TargetGone: 2}, faults: "missing 0 -1; missing 1 -1"},
		{name: "gone at the target, one of them about to go at the source", source: "A B C D", target: "- - C D", floor: 2, head: 2, due: 1,
			want: Counts{Compared: 2, Trimmed: 1, Missing: 1, TargetGone: 1}, faults: "missing 1 -1"},
		{name: "gone at the source alone", source: "- - C D", target: "A B C D", floor: 2,
			want: Counts{Compared: 2, SourceGone: 2}},
	} {
		for _, n := range []int{1, 2, 100} {
			t.Run(fmt.Sprint(tc.name, "/", n), func(t *testing.T) {
				if tc.segments == nil {
					tc.segments = oracle.Segments(0, 0)
				}
				c := &comparison{edges: edges{floor: tc.floor, head: tc.head, due: tc.due}, alone: alone{
					mapping: offsets.Translate(&fsm.Mapping{Segments: tc.segments}), tally: tally{maxFaults: 20, topic: "t"}, cleaners: cleaners{runs: [2]bool{tc.compacted, tc.compacted}},
				}}
				feed(c, records(tc.source, 0), records(tc.target, tc.base), n)
				if c.counts != tc.want {
					t.Errorf("got  %+v\nwant %+v", c.counts, tc.want)
				}
				var faults []string
				for _, f := range c.faults {
					faults = append(faults, fmt.Sprint(string(f.Kind), " ", f.Source, " ", f.Target))
				}
				slices.Sort(faults)
				want := strings.Split(tc.faults, "; ")
				slices.Sort(want)
				if got := strings.Join(faults, "; "); got != strings.Join(want, "; ") {
					t.Errorf("faults %q, want %q", got, tc.faults)
				}
			})
		}
	}
}

func TestDuplicateIsNamed(t *testing.T) {
	c := &comparison{alone: alone{mapping: offsets.Translate(&fsm.Mapping{Segments: oracle.Segments(0, 0)}), tally: tally{maxFaults: 20}}}
	feed(c, records("A B C", 0), records("A B C B", 0), 100)
	if len(c.faults) != 1 || !strings.Contains(c.faults[0].Message, "duplicate of target offset 1") {
		t.Errorf("%+v", c.faults)
	}
}

func TestFaultsAreBoundedCountsAreNot(t *testing.T) {
	c := &comparison{alone: alone{mapping: offsets.Translate(&fsm.Mapping{Segments: oracle.Segments(0, 0)}), tally: tally{maxFaults: 3}}}
	var s []item
	for i := range int64(5000) {
		s = append(s, item{offset: i, value: uint64(i)})
	}
	feed(c, s, nil, 100)
	if len(c.faults) != 3 || c.counts.Missing != 5000 || len(c.missing) > memory {
		t.Errorf("%d faults, %+v, %d remembered", len(c.faults), c.counts, len(c.missing))
	}
}

// drawWorld draws a source with gaps, its mapping and a faithful target.
func drawWorld(t *rapid.T) (m offsets.Translation, source, target []item) {
	segments, records := oracle.Places(t, false)
	for i, r := range records {
		it := item{offset: r.Source, value: uint64(i), key: uint64(rapid.IntRange(0, 2).Draw(t, "key"))}
		source = append(source, it)
		it.offset = r.Target
		target = append(target, it)
	}
	return offsets.Translate(&fsm.Mapping{Segments: segments}), source, target
}

func TestFaithfulCopiesAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, source, target := drawWorld(t)
		c := &comparison{alone: alone{mapping: m, tally: tally{maxFaults: 5}}}
		feed(c, source, target, rapid.IntRange(1, 50).Draw(t, "chunk"))
		if want := (Counts{Compared: int64(len(source))}); c.counts != want {
			t.Fatalf("%+v, want %+v; faults %v", c.counts, want, c.faults)
		}
	})
}

// One thing done to the target is found, whatever else is there.
func TestOneFaultIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, source, target := drawWorld(t)
		if len(target) < 2 {
			return
		}
		n := rapid.IntRange(0, len(target)-2).Draw(t, "place")
		var want func(Counts) bool
		switch what := rapid.SampledFrom([]string{"drop", "alter", "repeat", "swap", "move"}).Draw(t, "what"); what {
		case "drop":
			target = slices.Delete(target, n, n+1)
			want = func(c Counts) bool { return c.Missing == 1 && c.Extra == 0 && c.Differing == 0 && c.Misordered == 0 }
		case "alter":
			target[n].timestamp++
			want = func(c Counts) bool {
				return c.Differing == 1 && c.Missing == 0 && c.Extra == 0 && c.Misordered == 0 && c.OffsetMismatch == 0
			}
		case "repeat":
			target = slices.Insert(target, n+1, target[n])
			for i := n + 1; i < len(target); i++ {
				target[i].offset++
			}
			want = func(c Counts) bool { return c.Extra == 1 && c.Missing == 0 && c.Differing == 0 && c.Misordered == 0 }
		case "swap":
			a, b := target[n].offset, target[n+1].offset
			target[n], target[n+1] = target[n+1], target[n]
			target[n].offset, target[n+1].offset = a, b
			want = func(c Counts) bool { return c.Misordered == 1 && c.Missing == 0 && c.Extra == 0 && c.Differing == 0 }
		case "move":
			for i := n; i < len(target); i++ {
				target[i].offset++
			}
			want = func(c Counts) bool {
				return c.OffsetMismatch == int64(len(target)-n) && c.Missing == 0 && c.Extra == 0 && c.Differing == 0
			}
		}
		c := &comparison{alone: alone{mapping: m, tally: tally{maxFaults: 5}}}
		feed(c, source, target, rapid.IntRange(1, 50).Draw(t, "chunk"))
		if !want(c.counts) || c.counts.Faults() == 0 {
			t.Fatalf("%+v; faults %v", c.counts, c.faults)
		}
	})
}
