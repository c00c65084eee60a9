package recovery

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// seen makes records of a log from letters: each stands at the offset behind the
// one before it; a blank leaves one empty, and a star is another writer's.
func seen(from int64, letters string) (out []Seen) {
	for i, c := range letters {
		if c != ' ' {
			out = append(out, Seen{Offset: from + int64(i), Sum: uint64(c), Key: uint64(c), Other: c == '*'})
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
		{"something behind the last is gone from the target", "abcd", "ab ", 102, 0, []fsm.Segment{{Source: 102, Target: 53}}},
		{"all is gone from the target", "abcd", "   ", 100, 0, []fsm.Segment{{Source: 100, Target: 53}}},
		{"both lost one, not the same", "a cd", "ab d", 104, 0, nil},
		{"what stands there was not the source's", "abcd", "xabc", 103, 0, []fsm.Segment{{Source: 100, Target: 51}}},
		{"something that is not the source's, and no room for it", "abcd", "x", 100, 1, nil},
		{"another writer between", "abcd", "a*b*", 102, 0, []fsm.Segment{{Source: 101, Target: 52}, {Source: 102, Target: 54}}},
		{"another writer behind an empty one", "abcd", "a *", 101, 0, []fsm.Segment{{Source: 101, Target: 53}}},
		{"one that was not copied, before one that was", "abcd", "acd", 101, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := seen(at, c.source)
			got := Align(Logs{
				Source: source, Again: source, SourceEnd: at + int64(max(len(c.source), 3)), Target: seen(to, c.target), TargetStart: to, TargetEnd: to + int64(len(c.target)),
			}, fsm.Progress{Source: at, Target: to})
			if got.Source != c.next || got.Repeats != c.repeats || !slices.Equal(got.Segments, c.segments) {
				t.Errorf("%+v, not %d, %d, %v", got, c.next, c.repeats, c.segments)
			}
		})
	}
}

// cleaned is a log as a cleaner may leave it: of its records before an offset it
// takes those that a later one of their key follows there, and deletions too.
func cleaned(log []keyed, before int64, deletions bool) (out []keyed) {
	latest := map[uint64]int64{}
	for _, r := range log {
		if r.Offset < before {
			latest[r.Key] = r.Offset
		}
	}
	for _, r := range log {
		if r.Offset >= before || latest[r.Key] == r.Offset && !(deletions && r.Deletes) {
			out = append(out, r)
		}
	}
	return out
}

// keyed is a record of a compacted topic, and where it came from.
type keyed struct {
	Seen
	from int64
}

// TestAlignNeverLeavesOut: whatever cleaners take from either side, also while the
// source is read, no record is left out, and none is copied twice but such of keys
// that are deleted without a trace, which the alignment counts.
func TestAlignNeverLeavesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := fsm.Progress{Source: 100, Target: 50}
		next, end := p.Source, p.Target
		cleans, deletions := rapid.IntRange(0, 3).Draw(t, "cleaners") > 0, rapid.Bool().Draw(t, "deletions too")
		var source, target []keyed
		clean := func(log *[]keyed, to int64, name string) {
			if cleans && rapid.IntRange(0, 2).Draw(t, name) == 0 {
				at := int64(rapid.IntRange(49, int(to)).Draw(t, "clean to"))
				*log = cleaned(*log, at, deletions && rapid.Bool().Draw(t, "deletions"))
			}
		}
		sums := uint64(0)
		append1 := func() {
			sums++
			next += int64(rapid.SampledFrom([]int{0, 0, 0, 1, 4}).Draw(t, "gap"))
			s := Seen{Offset: next, Sum: sums, Key: uint64(rapid.IntRange(0, 3).Draw(t, "key")), Deletes: rapid.IntRange(0, 3).Draw(t, "deletes") == 0}
			source = append(source, keyed{s, next})
			next++
		}
		copied := p.Source // behind the last one
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				append1()
			case 2, 3:
				i := slices.IndexFunc(source, func(r keyed) bool { return r.Offset >= copied })
				if i < 0 {
					continue
				}
				r := source[i]
				r.Offset, copied, end = end, r.Offset+1, end+1
				target = append(target, r)
			case 4:
				clean(&source, next, "clean the source")
			case 5:
				clean(&target, end-1, "clean the target")
			}
		}
		// The source is read a record at a time, while cleaners are at work.
		var read []Seen
		for at := p.Source; int64(len(read)) < end-p.Target; {
			i := slices.IndexFunc(source, func(r keyed) bool { return r.Offset >= at })
			if i < 0 {
				break
			}
			read, at = append(read, source[i].Seen), source[i].Offset+1
			clean(&source, next, "meanwhile")
		}
		logs := Logs{Recent: !deletions, Source: read, SourceEnd: next, Target: bare(target), TargetStart: p.Target, TargetEnd: end}
		got := Align(logs, p)
		if got.Again {
			clean(&source, next, "before it is read again")
			if logs.Again = bare(source); logs.Again == nil {
				logs.Again = []Seen{}
			}
			got = Align(logs, p)
		}
		again := int64(0)
		for _, s := range source {
			switch {
			case s.Offset >= copied && s.Offset < got.Source:
				t.Fatalf("the record at %d was not copied and is left out: %+v", s.Offset, got)
			case s.Offset < copied && s.Offset >= got.Source:
				again++
			}
		}
		if again > got.Deleted || got.Repeats != 0 || got.Deleted != 0 && !deletions {
			t.Fatalf("%d records are copied again, next is %d: %+v", again, copied, got)
		}
		m := fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: append([]fsm.Segment{{Source: p.Source, Target: p.Target}}, got.Segments...)}
		for i, s := range m.Segments[1:] {
			if before := m.Segments[i]; s.Source < before.Source || s.Target < before.Target {
				t.Fatalf("segments do not ascend: %+v", m.Segments)
			}
		}
		for _, r := range target {
			if at, _ := offsets.Target(&m, r.from); at != r.Offset && slices.ContainsFunc(read, func(s Seen) bool { return s.Sum == r.Sum }) {
				t.Fatalf("source offset %d stands at %d, by the segments at %d: %+v", r.from, r.Offset, at, m.Segments)
			}
		}
	})
}

func bare(log []keyed) (out []Seen) {
	for _, r := range log {
		out = append(out, r.Seen)
	}
	return out
}
