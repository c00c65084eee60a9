package fsm

import (
	"fmt"
	"strings"
	"testing"
)

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
			for _, r := range Rings(tc.links, 0, strings.Fields(tc.topics), func(int, string) bool { return true }) {
				got = append(got, fmt.Sprint(r.Links, " ", r.Topic, " ", r.Back))
			}
			if text := strings.Join(got, "; "); text != tc.want {
				t.Errorf("got %q, want %q", text, tc.want)
			}
		})
	}
	for selected, want := range map[string]int{"t": 1, "u": 0} {
		got := Rings(parse("a>b", "b>a"), 0, []string{"t"}, func(link int, topic string) bool { return link == 0 || topic == selected })
		if len(got) != want {
			t.Errorf("the link back copies %s: %v", selected, got)
		}
	}
}
