package verify

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/test/oracle"
)

// keyed reads "a1 - b2 a-": one record for each word at the offset of its place,
// with a key, and a value or none, which is a tombstone. "a!" is a young one.
func keyed(text string) []item {
	var out []item
	for i, w := range strings.Fields(text) {
		if w == "-" {
			continue
		}
		it := item{offset: int64(i), timestamp: int64(i), key: uint64(w[0])<<56 | 1, value: uint64(w[1])}
		switch w[1] {
		case '-':
			it.value = 0
		case '!':
			it.value, it.timestamp = 0, youngest+int64(i)
		}
		out = append(out, it)
	}
	return out
}

// youngest is the timestamp from which on tombstones are too young to be removed.
const youngest = 1 << 30

// cleanedSides compares where there are cleaners at both sides.
func cleanedSides(m offsets.Translation) *comparison {
	return &comparison{alone: alone{
		mapping: m, tally: tally{maxFaults: 20, topic: "t"},
		cleaners: cleaners{runs: [2]bool{true, true}, expired: [2]int64{youngest, youngest}, now: 2 * youngest},
	}}
}

// finish does what a job does behind the comparison.
func finish(c *comparison, source, target, laterSource, laterTarget []item) {
	for _, it := range laterSource {
		c.later(atSource, it, true)
	}
	for _, it := range laterTarget {
		c.later(atTarget, it, true)
	}
	if c.doubts(atSource) {
		for _, it := range target {
			c.earlier(atTarget, it)
		}
	}
	if c.doubts(atTarget) {
		for _, it := range source {
			c.earlier(atSource, it)
		}
	}
	c.close()
}

// What one side lacks of a compacted topic is no difference where a later record
// of its key gave the cleaner cause, and a loss where none did.
func TestCompacted(t *testing.T) {
	for _, tc := range []struct {
		name                     string
		source, target           string
		laterSource, laterTarget string // behind what is compared
		compacts                 [2]bool
		want                     Counts
		faults                   string
	}{
		{name: "the target's cleaner was further", source: "a1 b1 a2", target: "- b1 a2", want: Counts{Compared: 2, Compacted: 1}},
		{name: "the source's was", source: "- b1 a2", target: "a1 b1 a2", want: Counts{Compared: 2, Compacted: 1}},
		{name: "both, not alike", source: "a1 - b1 - a3 b2", target: "- a2 - b9 a3 b2", want: Counts{Compared: 2, Compacted: 4}},
		{name: "the target lost the last of a key", source: "a1 b1 c1", target: "a1 - c1", want: Counts{Compared: 2, Missing: 1}, faults: "missing 1 -1 not at the target, which has no later record of its key"},
		{name: "the target lost all of a key", source: "b1 a1 b2 c1", target: "- a1 - c1", want: Counts{Compared: 2, Missing: 2}, faults: "missing 2 -1 not at the target, which has no later record of its key; as 1 before it of the same key"},
		{name: "the target lost its last record", source: "a1 b1", target: "a1 -", want: Counts{Compared: 1, Missing: 1}, faults: "missing 1 -1 not at the target, which has no later record of its key"},
		{name: "the target lost all", source: "a1 b1", target: "- -", want: Counts{Missing: 2}, faults: "missing 0 -1 not at the target, which has no later record of its key; missing 1 -1 not at the target, which has no later record of its key"},
		{name: "the source has one less", source: "a1 - c1", target: "a1 b1 c1", want: Counts{Compared: 2, Extra: 1}, faults: "extra -1 1 not at the source, which has no later record of its key"},
		{name: "the later one is not the target's", source: "a1 a2", target: "- -", want: Counts{Missing: 2}, faults: "missing 1 -1 not at the target, which has no later record of its key; as 1 before it of the same key"},
		{name: "an older one is no cause", source: "a1 a2 b1", target: "a1 - b1", want: Counts{Compared: 2, Missing: 1}, faults: "missing 1 -1 not at the target, which has no later record of its key"},
		{name: "the later one stands behind what is compared", source: "- b1", target: "a1 b1", laterSource: "c1 a2", want: Counts{Compared: 1, Compacted: 1}},
		{name: "so it does at the target", source: "a1 b1", target: "- b1", laterTarget: "a2", want: Counts{Compared: 1, Compacted: 1}},
		{name: "it does at the other side alone", source: "a1 b1", target: "- b1", laterSource: "a2", want: Counts{Compared: 1, Missing: 1}, faults: "missing 0 -1 not at the target, which has no later record of its key"},
		{name: "a tombstone that the target has removed", source: "a1 b1 a- c1", target: "- b1 - c1", want: Counts{Compared: 2, Compacted: 1, Tombstones: 1}},
		{name: "a tombstone that the source has removed", source: "- b1 - c1", target: "a1 b1 a- c1", want: Counts{Compared: 2, Compacted: 1, Tombstones: 1}},
		{name: "a tombstone that is too young for that", source: "a1 b1 a!", target: "- b1 -", want: Counts{Compared: 1, Missing: 2}, faults: "missing 2 -1 not at the target, which has no later record of its key; as 1 before it of the same key"},
		{name: "a lost tombstone that would have deleted something", source: "a1 b1 a-", target: "a1 b1 -", want: Counts{Compared: 2, Missing: 1}, faults: "missing 2 -1 not at the target, which has an earlier record of its key that it would have deleted"},
		{name: "a lost tombstone, and what it would have deleted is not at the source", source: "- b1 a-", target: "a1 b1 -", want: Counts{Compared: 1, Missing: 1, Compacted: 1}, faults: "missing 2 -1 not at the target, which has an earlier record of its key that it would have deleted"},
		{name: "a tombstone that the target has removed, behind what is compared", source: "a1 b1", target: "- b1", laterSource: "a-", want: Counts{Compared: 1, Compacted: 1}},
		{name: "a tombstone that is too young, behind what is compared", source: "a1 b1", target: "- b1", laterSource: "a!", want: Counts{Compared: 1, Missing: 1}, faults: "missing 0 -1 not at the target, which has no later record of its key"},
		{name: "records without a key", source: "\x001 b1 c1", target: "- b1 c1", want: Counts{Compared: 2, Compacted: 1}},
		{name: "only the source is compacted", source: "a1 b1 a2", target: "- b1 a2", compacts: [2]bool{true, false}, want: Counts{Compared: 2, Missing: 1}, faults: "missing 0 -1 not at the target, and its topic is not compacted there"},
		{name: "only the source is compacted, and lacks one", source: "- b1 a2", target: "a1 b1 a2", compacts: [2]bool{true, false}, want: Counts{Compared: 2, Compacted: 1}},
		{name: "only the target is compacted", source: "- b1 a2", target: "a1 b1 a2", compacts: [2]bool{false, true}, want: Counts{Compared: 2, Extra: 1}, faults: "extra -1 0 not at the source, and its topic is not compacted there"},
		{name: "another record at its place", source: "a1 b1", target: "a1 b2", want: Counts{Compared: 1, Differing: 1}, faults: "differing 1 1 value differ"},
	} {
		for _, n := range []int{1, 100} {
			t.Run(fmt.Sprint(tc.name, "/", n), func(t *testing.T) {
				c := cleanedSides(offsets.Translate(&fsm.Mapping{Segments: oracle.Segments(0, 0)}))
				if tc.compacts != [2]bool{} {
					c.cleaners.runs = tc.compacts
				}
				source, target := keyed(tc.source), keyed(tc.target)
				for _, list := range [][]item{source, target} {
					for i := range list {
						if list[i].key>>56 == 0 {
							list[i].key = 0
						}
					}
				}
				chunks(c, source, target, n)
				finish(c, source, target, keyed(tc.laterSource), keyed(tc.laterTarget))
				var faults []string
				for _, f := range c.faults {
					faults = append(faults, fmt.Sprint(string(f.Kind), " ", f.Source, " ", f.Target, " ", f.Message))
				}
				if got := strings.Join(faults, "; "); c.counts != tc.want || got != tc.faults {
					t.Errorf("got  %+v %s\nwant %+v %s", c.counts, got, tc.want, tc.faults)
				}
			})
		}
	}
}

// cleaned is a topic that cleaners of both sides have been at.
type cleaned struct {
	rand           *rand.Rand
	mapping        offsets.Translation
	all            []item // as it was copied, by source offset
	place          map[int64]int64
	source, target []item // what is left; the target's at its own offsets
}

// drawCleaned draws one. The mapping is exact, or has lost all segments but the
// first.
func drawCleaned(t *rapid.T) *cleaned {
	w := &cleaned{rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), place: map[int64]int64{}}
	segments := oracle.Segments(0, 0)
	keys := uint64(rapid.SampledFrom([]int{1, 3, 10, 60}).Draw(t, "keys"))
	from := int64(0)
	for i := range int64(rapid.IntRange(1, 300).Draw(t, "records")) {
		from += max(0, w.rand.Int64N(8)-5)
		if last := segments[len(segments)-1]; i-from != last.Shift() {
			segments = append(segments, fsm.Segment{Source: from, Target: i})
		}
		it := item{offset: from, timestamp: 10*i + w.rand.Int64N(25), key: (w.rand.Uint64N(keys) + 1) * 0x9e3779b97f4a7c15, value: uint64(i) + 1}
		if w.rand.IntN(4) == 0 {
			it.value = 0
		}
		w.all = append(w.all, it)
		w.place[from] = i
		from++
	}
	m := fsm.Mapping{Phase: fsm.PhaseDense, Segments: segments}
	if rapid.Bool().Draw(t, "thinned") {
		end := fsm.Segment{Source: from + 1000, Target: int64(len(w.all))}
		m = fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: []fsm.Segment{segments[0], end}, Thinned: end.Source}
	}
	w.mapping = offsets.Translate(&m)
	w.source, w.target = w.clean(t), w.clean(t)
	return w
}

// clean removes what a cleaner may remove, or some of it.
func (w *cleaned) clean(t *rapid.T) []item {
	out := slices.Clone(w.all)
	eager := rapid.SampledFrom([]int{0, 30, 90, 100}).Draw(t, "cleaner")
	for range 2 {
		later, have := map[uint64]bool{}, map[uint64]int{}
		for _, it := range out {
			have[it.key]++
		}
		for i := len(out) - 1; i >= 0; i-- {
			it := out[i]
			mayGo := later[it.key] || it.value == 0 && have[it.key] == 1
			if mayGo && w.rand.IntN(100) < eager {
				out = slices.Delete(out, i, i+1)
				have[it.key]--
				continue
			}
			later[it.key] = true
		}
	}
	return out
}

// states is what a reader of all ends up with.
func states(list []item) map[uint64]item {
	out := map[uint64]item{}
	for _, it := range list {
		if out[it.key] = it; it.value == 0 {
			delete(out, it.key)
		}
	}
	return out
}

// agree reports whether readers of both sides end up with the same.
func (w *cleaned) agree() bool {
	s, t := states(w.source), states(w.target)
	if len(s) != len(t) {
		return false
	}
	for key, it := range s {
		if !t[key].same(it) {
			return false
		}
	}
	return true
}

// parted draws where the comparison ends; what stands there and behind is read
// for its keys.
func (w *cleaned) parted(t *rapid.T) int64 {
	at := w.all[rapid.IntRange(0, len(w.all)-1).Draw(t, "compared up to")].offset
	if w.mapping.Settled(at) != at {
		return w.end()
	}
	return at
}

func (w *cleaned) end() int64 { return w.all[len(w.all)-1].offset + 1 }

func (w *cleaned) compare(t *rapid.T, most int, parted int64) *comparison {
	c := cleanedSides(w.mapping)
	c.most = most
	part := func(list []item) (now, later []item) {
		i, _ := slices.BinarySearchFunc(list, parted, func(it item, at int64) int { return cmp.Compare(it.offset, at) })
		return list[:i], list[i:]
	}
	source, laterSource := part(w.source)
	target, laterTarget := part(w.target)
	target = slices.Clone(target)
	for i := range target {
		target[i].offset = w.place[target[i].offset]
	}
	chunks(c, source, target, rapid.IntRange(1, 50).Draw(t, "chunk"))
	finish(c, source, target, laterSource, laterTarget)
	return c
}

// Whatever cleaners removed is no difference.
func TestCleanersAreNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawCleaned(t)
		if c := w.compare(t, 0, w.parted(t)); c.counts.Faults() != 0 || c.counts.Undecided != 0 {
			t.Fatalf("%+v %+v\nsource %v\ntarget %v", c.counts, c.faults, w.source, w.target)
		}
	})
}

// A record that one side lost, or has as another, is found where readers of both
// sides end up with something else; where they do not, cleaners may as well have
// removed it.
func TestWhatNoCleanerRemovesIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawCleaned(t)
		side := &w.source
		if rapid.Bool().Draw(t, "at the target") {
			side = &w.target
		}
		parted := w.parted(t)
		if len(*side) == 0 || (*side)[0].offset >= parted {
			return
		}
		n := rapid.IntRange(0, len(*side)-1).Draw(t, "record")
		for (*side)[n].offset >= parted {
			n--
		}
		tombstone := (*side)[n].value == 0
		if rapid.Bool().Draw(t, "lost") {
			*side = slices.Delete(*side, n, n+1)
		} else if (*side)[n].value != 0 {
			(*side)[n].value += 1 << 40
		}
		c := w.compare(t, 0, parted)
		if !w.agree() && c.counts.Faults() == 0 {
			t.Fatalf("nothing is found: %+v\nsource %v\ntarget %v", c.counts, w.source, w.target)
		}
		// A tombstone that is gone before an earlier one was lost, though readers do not see it.
		if w.agree() && !tombstone && c.counts.Missing+c.counts.Extra > 0 {
			t.Fatalf("no reader ends up with anything else: %+v %+v\nsource %v\ntarget %v", c.counts, c.faults, w.source, w.target)
		}
	})
}

// What waits is bounded, whatever is compared. What is found is sure all the same,
// and what was not decided is told.
func TestKeysThatWaitAreBounded(t *testing.T) {
	decided := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawCleaned(t)
		most := rapid.IntRange(1, 8).Draw(t, "most")
		c := w.compare(t, most, w.end())
		if c.counts.Faults() != 0 {
			t.Fatalf("%+v %+v", c.counts, c.faults)
		}
		if c.halved == 0 && c.counts.Undecided > 0 || len(c.waits[atSource])+len(c.waits[atTarget]) > most {
			t.Fatalf("%+v, halved %d times", c.counts, c.halved)
		}
		lost := slices.Clone(w.source)
		w.target = slices.DeleteFunc(w.target, func(it item) bool { return it.value != 0 })
		if c = w.compare(t, most, w.end()); c.counts.Faults() > 0 {
			decided++
		}
		if c.counts.Faults()+c.counts.Undecided == 0 && len(states(lost)) > 0 {
			t.Fatalf("%d keys were lost, and nothing is said: %+v", len(states(lost)), c.counts)
		}
	})
	if decided == 0 {
		t.Error("a loss was never found")
	}
}
