package verify

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/filter"
)

// filtered gives the lab's link a filter.
func (l *lab) filtered(spec fsm.Filter) {
	l.t.Helper()
	link := l.facts.View().Link(1).Spec
	link.Filter = &spec
	l.facts.must(l.t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: link}}})
	l.jobs.cfg.Filter = func(f *fsm.Filter) (*filter.Filter, error) { return filter.Compile(f, "") }
}

// What a filter leaves out is not missing, and what it changes does not differ;
// what it should have changed, or left out, does.
func TestFilteredSides(t *testing.T) {
	l := newLab(t, 1, nil)
	l.filtered(fsm.Filter{Keep: `!key.endsWith("5")`, DropHeaders: []string{"null"}})
	changed := func(n int, r *kgo.Record) []*kgo.Record {
		if n%10 == 5 {
			return nil
		}
		for i, h := range r.Headers {
			if h.Key == "null" {
				r.Headers = append(r.Headers[:i:i], r.Headers[i+1:]...)
			}
		}
		return []*kgo.Record{r}
	}
	segments := []fsm.Segment{{Source: 0, Target: 0}, {Source: 6, Target: 5}, {Source: 16, Target: 14}}
	l.put(l.usP, 0, 0, 20, nil)
	l.put(l.euP, 0, 0, 20, changed)
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 20, Target: 18}, segments...)
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 18, Filtered: 2})
	l.wantVerdict(s, Equal)

	l = newLab(t, 1, nil)
	l.filtered(fsm.Filter{Keep: `!key.endsWith("5")`, DropHeaders: []string{"null"}})
	l.put(l.usP, 0, 0, 20, nil)
	l.put(l.euP, 0, 0, 20, func(n int, r *kgo.Record) []*kgo.Record {
		if n == 3 { // its header is still there
			return []*kgo.Record{r}
		}
		return changed(n, r)
	})
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 20, Target: 18}, segments...)
	s = l.verify()
	l.wantCounts(s, Counts{Compared: 17, Differing: 1, Filtered: 2})
	l.wantVerdict(s, Differs)
}

// Of a compacted topic a record that the filter leaves out may have had an earlier
// one removed at the source: that the target has it alone is no difference for sure.
func TestFilteredCompactedTopic(t *testing.T) {
	l := newLab(t, 1, map[string]string{"cleanup.policy": "compact"})
	l.filtered(fsm.Filter{Keep: `has(headers.keep)`})
	keep := func(n int, r *kgo.Record) []*kgo.Record {
		r.Headers = []kgo.RecordHeader{{Key: "keep"}}
		return []*kgo.Record{r}
	}
	l.put(l.usP, 0, 0, 10, func(n int, r *kgo.Record) []*kgo.Record {
		if n == 3 { // was kept, and removed by the cleaner for what follows
			return nil
		}
		return keep(n, r)
	})
	l.put(l.usP, 0, 3, 4, nil) // left out
	l.put(l.euP, 0, 0, 10, keep)
	l.mapped(fsm.PhaseTranslated, fsm.Progress{Source: 10, Target: 10}, fsm.Segment{Source: 0, Target: 0}, fsm.Segment{Source: 3, Target: 4})
	s := l.verify()
	l.wantCounts(s, Counts{Compared: 9, Filtered: 1, Undecided: 1})
	l.wantVerdict(s, Incomplete, CompactionUnsure)
}
