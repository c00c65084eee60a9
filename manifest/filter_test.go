package manifest

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"sluice/fsm"
)

// filtered is a link with more keys, in lines of their own.
func filtered(name, source, target, rest string) string {
	return "---\napiVersion: sluice/v1\nkind: Link\nmetadata: {name: " + name + "}\nspec:\n  source: " + source + "\n  target: " + target + "\n  topics: {include: [orders]}\n" + rest
}

// wholeFilter is a filter with all its keys.
const wholeFilter = `  filter:
    keep: |-
      has(value.a) &&
      value.a == "x: y"
    dropHeaders: [a]
    renameHeaders: [{from: b, to: c}]
    mask: [d.e, "**.f"]
    hash: ["*.g"]
    secret: ${env:SLUICE_SECRET_F}
    onUnparseable: drop
`

func TestFilterIsRead(t *testing.T) {
	objects, err := parse("f", filtered("l", "us", "eu", wholeFilter))
	if err != nil {
		t.Fatal(err)
	}
	want := &fsm.Filter{
		Keep: "has(value.a) &&\nvalue.a == \"x: y\"", DropHeaders: []string{"a"}, RenameHeaders: []fsm.Rename{{From: "b", To: "c"}}, Mask: []string{"d.e", "**.f"}, Hash: []string{"*.g"},
		Secret: "${env:SLUICE_SECRET_F}", OnUnparseable: fsm.UnparseableDrop,
	}
	if got := objects[0].Link.Filter; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestFilterRoundTrip: what is exported plans to nothing.
func TestFilterRoundTrip(t *testing.T) {
	f := newFacts(t)
	for _, filter := range []string{wholeFilter, "  filter: {mask: [a]}\n", "  filter: {keep: \"true\", onUnparseable: stop}\n"} {
		f.put(clusters("us", "eu") + filtered("l"+strings.Repeat("x", len(filter)%50), "us", "eu", filter+"  rename: \"{topic}-"+strings.Repeat("x", len(filter)%50)+"\"\n"))
	}
	text, err := Export(f.state.View(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.plan(string(text))
	if err != nil || !p.Empty() {
		t.Errorf("%v: %+v\n%s", err, p, text)
	}
}

// TestFilterStays: a filter is not changed, given or taken away, but for what
// becomes of that which it cannot judge.
func TestFilterStays(t *testing.T) {
	const masked = "  filter: {mask: [a]}\n"
	for _, c := range []struct{ name, from, to, refused string }{
		{"another field", masked, "  filter: {mask: [a, b]}\n", "spec.filter.mask: cannot change from \"[a]\" to \"[a, b]\": a filter holds for all records of its link"},
		{"one more rule", masked, "  filter: {mask: [a], keep: \"true\"}\n", "spec.filter.keep: cannot change"},
		{"a first filter", "", masked, "spec.filter.mask: cannot change from (nothing) to"},
		{"none any more", masked, "", "spec.filter.mask: cannot change"},
		{"another secret", "  filter: {hash: [a], secret: \"${env:A}\"}\n", "  filter: {hash: [a], secret: \"${env:B}\"}\n", "spec.filter.secret: cannot change"},
		{"what cannot be parsed is dropped now", masked, "  filter: {mask: [a], onUnparseable: drop}\n", ""},
		{"and stops again", "  filter: {mask: [a], onUnparseable: drop}\n", masked, ""},
	} {
		f := newFacts(t)
		f.put(clusters("us", "eu") + filtered("l", "us", "eu", c.from))
		p, err := f.plan(filtered("l", "us", "eu", c.to))
		switch {
		case c.refused == "" && (err != nil || p.Count(ActionUpdate) != 1):
			t.Errorf("%s: %v", c.name, err)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "create a link of another name")):
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
	}
}

func TestFilterFaults(t *testing.T) {
	for rest, want := range map[string]string{
		"  offsets: identical\n  filter: {mask: [a]}\n":      "f:9:12: spec.offsets: offsets cannot be identical where a filter leaves records out",
		"  filter: {mask: [a], onUnparseable: quarantine}\n": "spec.filter.onUnparseable: a topic for what cannot be parsed is not supported yet; choose stop or drop",
		"  filter: {mask: [a], onUnparseable: skip}\n":       "spec.filter.onUnparseable: \"skip\" is unknown",
		"  filter: {keep: \"value.a = 1\"}\n":                "f:9:18: spec.filter.keep: Syntax error",
		"  filter: {hash: [a]}\n":                            "spec.filter.secret: is missing",
		"  filter: {hash: [a], secret: swordfish}\n":         "spec.filter.secret: a secret is given by reference",
		"  filter: {mask: [a, \"b.**\"]}\n":                  "spec.filter.mask[1]: \"b.**\": it ends with **",
		"  filter: {masks: [a]}\n":                           "unknown key \"masks\" in spec.filter; did you mean \"mask\"?",
		"  filter: {dropHeaders: [a, a]}\n":                  "spec.filter.dropHeaders[1]: the header \"a\" is named twice",
		"  filter: {renameHeaders: [{from: a}]}\n":           "spec.filter.renameHeaders[0]: from or to is missing",
		"  filter: {onUnparseable: drop}\n":                  "spec.filter.keep: is missing",
	} {
		_, err := parse("f", filtered("l", "us", "eu", rest))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s%v, want %q", rest, err, want)
		}
	}
}

// TestFilterSecretIsChecked: a plan asks whether this node can read it.
func TestFilterSecretIsChecked(t *testing.T) {
	f := newFacts(t)
	f.put(clusters("us", "eu"))
	text := filtered("l", "us", "eu", wholeFilter)
	objects, err := parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.plan(text)
	if err != nil {
		t.Fatal(err)
	}
	err = p.CheckReferences(objects, func(r string) error { return errors.New("cannot read " + r) })
	if err == nil || !strings.Contains(err.Error(), "spec.filter.secret: cannot read ${env:SLUICE_SECRET_F}") {
		t.Errorf("%v", err)
	}
}
