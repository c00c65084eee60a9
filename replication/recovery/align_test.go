package recovery

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// seen makes records of a log from letters: each stands at the offset behind the
// one before it; a blank leaves one empty, and a star is another writer's.
func seen(from int64, letters string) (out []Seen) {
	for i, c := range letters {
		if c != ' ' {
			out = append(out, Seen{Offset: from + int64(i), Sum: uint64(c), Other: c == '*'})
		}
	}
	return out
}

func TestAlign(t *testing.T) {
	const at, to = 100, 50 // the checkpoint
	for _, c := range []struct {
		name           string
		source, target string
		next, repeats  int64
		segments       []fsm.Segment
	}{
		{"nothing was copied", "abc", "", 100, 0, nil},
		{"two of three", "abc", "ab", 102, 0, nil},
		{"all", "ab", "ab", 102, 0, nil},
		{"the source has gaps", "a bc  d", "abc", 104, 0, []fsm.Segment{{Source: 102, Target: 51}}},
		{"equal records", "aaaaa", "aaa", 103, 0, nil},
		{"the source lost what was copied", "a  d", "abc", 103, 0, nil},
		{"the source lost all that was copied", "", "abc", 103, 0, nil},
		{"the source lost one before", " bc", "ab", 102, 0, nil},
		{"the target lost one", "abcd", "a c", 103, 0, nil},
		{"the target lost the last", "abcd", "ab ", 102, 1, nil},
		{"the target lost all", "abcd", "   ", 100, 3, nil},
		{"both lost one, not the same", "a cd", "ab d", 104, 0, nil},
		{"what stands there was not the source's", "abcd", "xabc", 103, 0, []fsm.Segment{{Source: 100, Target: 51}}},
		{"something that is not the source's, and no room for it", "abcd", "x", 100, 1, nil},
		{"another writer between", "abcd", "a*b*", 102, 0, []fsm.Segment{{Source: 101, Target: 52}, {Source: 102, Target: 54}}},
		{"another writer behind an empty one", "abcd", "a *", 101, 1, nil},
		{"one that was not copied, before one that was", "abcd", "acd", 101, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Align(seen(at, c.source), seen(to, c.target), fsm.Progress{Source: at, Target: to}, at+int64(max(len(c.source), 3)), to+int64(len(c.target)))
			if got.Source != c.next || got.Repeats != c.repeats || !slices.Equal(got.Segments, c.segments) {
				t.Errorf("%+v, not %d, %d, %v", got, c.next, c.repeats, c.segments)
			}
		})
	}
}

// TestAlignNeverLeavesOut: whatever cleaners took from either side, no record is
// left out, and none is copied twice where the alignment says that it is exact.
func TestAlignNeverLeavesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := fsm.Progress{Source: 100, Target: 50}
		n := rapid.IntRange(0, 12).Draw(t, "records")
		copied := rapid.IntRange(0, n).Draw(t, "copied")
		clean := rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "cleaner") // of five records, how many it takes
		var source, target []Seen
		next, end := p.Source, p.Target
		behind := p.Source // the last record that was copied
		truth := map[int64]int64{}
		for i := range n {
			next += int64(rapid.SampledFrom([]int{0, 0, 0, 1, 4}).Draw(t, "gap"))
			if i < copied && rapid.IntRange(0, 5).Draw(t, "other") == 0 {
				target, end = append(target, Seen{Offset: end, Other: true}), end+1
			}
			gone := rapid.IntRange(0, 4).Draw(t, "gone at the source") < clean
			if !gone {
				source = append(source, Seen{Offset: next, Sum: uint64(i)})
			}
			if i < copied {
				if rapid.IntRange(0, 4).Draw(t, "gone at the target") >= clean {
					target = append(target, Seen{Offset: end, Sum: uint64(i)})
				}
				truth[next], behind, end = end, next+1, end+1
			}
			next++
		}
		got := Align(source[:min(len(source), int(end-p.Target))], target, p, next, end)
		again := int64(0)
		for _, s := range source {
			switch {
			case s.Offset >= behind && s.Offset < got.Source:
				t.Fatalf("the record at %d was not copied and is left out: %+v", s.Offset, got)
			case s.Offset < behind && s.Offset >= got.Source:
				again++
			}
		}
		if again > got.Repeats {
			t.Fatalf("%d records are copied again: %+v", again, got)
		}
		if clean == 0 && (got.Repeats != 0 || got.Source != behind) {
			t.Fatalf("nothing was taken away, and %+v is not exact", got)
		}
		m := fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: append([]fsm.Segment{{Source: p.Source, Target: p.Target}}, got.Segments...)}
		for i, s := range m.Segments[1:] {
			if before := m.Segments[i]; s.Source < before.Source || s.Target < before.Target {
				t.Fatalf("segments do not ascend: %+v", m.Segments)
			}
		}
	})
}
