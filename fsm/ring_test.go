package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/test/claim"

	"pgregory.net/rapid"
)

func everything(int, string) bool { return true }
func anyRing(Ring) bool           { return true }

func TestRings(t *testing.T) {
	parse := func(texts ...string) []LinkSpec { // "us>eu rename"
		var out []LinkSpec
		for _, text := range texts {
			ends, rename, _ := strings.Cut(text, " ")
			source, target, _ := strings.Cut(ends, ">")
			out = append(out, LinkSpec{Source: source, Target: target, Rename: rename})
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		links  []LinkSpec
		topics string
		want   string // links topic back; ...
	}{
		{"a chain", parse("a>b", "b>c"), "t", ""},
		{"to and fro", parse("a>b", "b>a"), "t", "[0 1] t t"},
		{"three", parse("a>b", "b>c", "c>a"), "t", "[0 1 2] t t"},
		{"one ring of links is told once", parse("a>b", "b>c", "c>a"), "t u", "[0 1 2] t t"},
		{"entered from outside", parse("x>a", "a>b", "b>a"), "t", "[1 2] t t"},
		{"names that grow", parse("a>b {source}.{topic}", "b>a"), "t", "[0 1] t a.t"},
		{"names that come back", parse("a>b x", "b>a t"), "t", "[0 1] t t"},
		{"by another link of the same clusters", parse("a>b", "b>a", "a>b", "b>a"), "t", "[0 1] t t; [0 3] t t"},
		{"nowhere", parse("a>b"), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, r := range Rings(RingQuestion{Links: tc.links, Topics: strings.Fields(tc.topics), Selects: everything, Bad: anyRing}).Rings {
				got = append(got, fmt.Sprint(r.Links, " ", r.Topic, " ", r.Back))
			}
			if text := strings.Join(got, "; "); text != tc.want {
				t.Errorf("got %q, want %q", text, tc.want)
			}
		})
	}
	for selected, want := range map[string]int{"t": 1, "u": 0} {
		got := Rings(RingQuestion{
			Links: parse("a>b", "b>a"), Topics: []string{"t"}, Bad: anyRing,
			Selects: func(link int, topic string) bool { return link == 0 || topic == selected },
		})
		if len(got.Rings) != want {
			t.Errorf("the link back copies %s: %v", selected, got)
		}
	}
}

// plainRings is Rings without its shortcuts and bounds.
type plainRings struct {
	RingQuestion

	done  map[hop]bool
	told  map[string]bool
	found []Ring
}

func (w *plainRings) from(at hop, path []hop) {
	link := &w.Links[at.link]
	if i := slices.IndexFunc(path, func(h hop) bool {
		return h.link == at.link || h.topic == at.topic && w.Links[h.link].Source == link.Source
	}); i >= 0 {
		r := Ring{Topic: path[i].topic, Back: at.topic}
		for _, h := range path[i:] {
			r.Links = append(r.Links, h.link)
		}
		if key := fmt.Sprint(slices.Sorted(slices.Values(r.Links)), r.Topic == r.Back); !w.told[key] {
			w.told[key] = true
			w.found = append(w.found, r)
		}
		return
	}
	if w.done[at] {
		return
	}
	path = append(path, at)
	target := link.TargetTopic(at.topic)
	for next := range w.Links {
		if w.Links[next].Source == link.Target && w.Selects(next, target) {
			w.from(hop{next, target}, path)
		}
	}
	w.done[at] = true
}

func TestPropertyRingsAreThoseOfThePlainWalk(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		q := RingQuestion{Bad: anyRing, Topics: []string{"t", "a.t", "u"}}
		names := []string{"a", "b", "c", "d"}
		var excluded [][]string
		for range rapid.IntRange(1, 7).Draw(r, "links") {
			q.Links = append(q.Links, LinkSpec{
				Source: rapid.SampledFrom(names).Draw(r, "source"), Target: rapid.SampledFrom(names).Draw(r, "target"),
				Rename: rapid.SampledFrom([]string{"", "", "", "{source}.{topic}", "t", "u"}).Draw(r, "rename"),
			})
			excluded = append(excluded, rapid.SliceOf(rapid.SampledFrom([]string{"t", "u", "a.t", "b.t", "b.a.t"})).Draw(r, "excluded"))
		}
		q.Of = rapid.IntRange(0, len(q.Links)-1).Draw(r, "of")
		q.Selects = func(link int, topic string) bool { return !slices.Contains(excluded[link], topic) }
		q.Topics = slices.DeleteFunc(q.Topics, func(topic string) bool { return !q.Selects(q.Of, topic) })
		plain := plainRings{RingQuestion: q, done: map[hop]bool{}, told: map[string]bool{}}
		for _, topic := range q.Topics {
			plain.from(hop{q.Of, topic}, nil)
		}
		got := Rings(q)
		want := plain.found
		if len(got.Rings) != min(len(want), MaxRings) || got.More != len(want)-len(got.Rings) || got.Cut {
			r.Fatalf("%+v, want %v", got, want)
		}
		for _, ring := range got.Rings { // in another order
			if !slices.ContainsFunc(want, func(x Ring) bool { return fmt.Sprint(x) == fmt.Sprint(ring) }) {
				r.Fatalf("%+v is none of %v", ring, want)
			}
		}
	})
}

// TestRingsOfManyLinks: what Sluice is asked at each apply takes no time, and
// what it answers can be read.
func TestRingsOfManyLinks(t *testing.T) {
	mesh := func(rename string) (out []LinkSpec) {
		for i := range 1000 {
			out = append(out, LinkSpec{Source: fmt.Sprint("k", i%10), Target: fmt.Sprint("k", (i+1+i/10%9)%10), Rename: rename})
		}
		return out
	}
	line := func() (out []LinkSpec) {
		for i := range 1000 {
			out = append(out, LinkSpec{Source: fmt.Sprint("k", i), Target: fmt.Sprint("k", i+1)})
		}
		return out
	}
	var topics []string
	for i := range 20 {
		topics = append(topics, fmt.Sprint("topic-", i))
	}
	for _, tc := range []struct {
		name  string
		links []LinkSpec
		bad   func(Ring) bool
		rings int
	}{
		{"a mesh", mesh(""), anyRing, MaxRings},
		{"a mesh of which nothing is told", mesh(""), func(Ring) bool { return false }, 0},
		{"names that grow", mesh("{source}.{topic}"), anyRing, MaxRings},
		{"names that grow and nothing is told", mesh("{source}.{topic}"), func(Ring) bool { return false }, 0},
		{"a line", line(), anyRing, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := 0
			q := RingQuestion{Links: tc.links, Topics: topics, Bad: tc.bad, Selects: func(int, string) bool { asked++; return true }}
			var got FoundRings
			best := time.Hour
			for range 5 { // other tests run beside this one
				began := time.Now()
				got = Rings(q)
				best = min(best, time.Since(began))
			}
			t.Logf("%v, %d questions, %d rings and %d more, cut: %v", best, asked/5, len(got.Rings), got.More, got.Cut)
			if len(got.Rings) != tc.rings || tc.rings == 0 && got.More > 0 {
				t.Errorf("%d rings and %d more", len(got.Rings), got.More)
			}
			if asked/5 > max(ringEffort, len(topics)*len(tc.links)) {
				t.Errorf("%d questions", asked/5)
			}
			claim.Bar(t, "finding rings", best, 100*time.Millisecond)
		})
	}
}
