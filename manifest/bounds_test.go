package manifest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
)

// upTo repeats what f gives until the text has about the size.
func upTo(size int, f func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteString(f(i))
	}
	return b.String()
}

// many is what f gives n times.
func many(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(i))
	}
	return b.String()
}

// topicLink is a link with those topics.
func topicLink(i int, topics string) string {
	return link(fmt.Sprint("l", i), "us", "eu", "topics: {include: ["+topics+"]}")
}

// within runs do and holds it to bounds: memory that is asked for, and a time
// that a busy machine keeps too.
func within(t *testing.T, megabytes uint64, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	at := time.Now()
	do()
	took := time.Since(at)
	runtime.ReadMemStats(&after)
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > megabytes || took > time.Minute {
		t.Errorf("%d MB (%d are the bound), %s", mb, megabytes, took)
	}
}

// check reads and plans a text, as validate and apply do.
func check(ctx context.Context, text string) error {
	objects, err := ParseAll(ctx, []Source{{"f", text}})
	if err != nil {
		return err
	}
	v := *fsm.NewState().View()
	for _, n := range []string{"ap", "eu", "us"} {
		v.Kafka = append(v.Kafka, fsm.KafkaCluster{Name: n})
	}
	_, err = NewPlan(ctx, &v, objects)
	return err
}

// TestInputIsBounded: whatever stands in a text, reading it takes bounded time
// and memory, and the answer is short.
func TestInputIsBounded(t *testing.T) {
	const small = "apiVersion: sluice/v1\nkind: Link\nmetadata: {name: l}\nspec:\n  source: us\n  target: eu\n"
	huge := func(f func(i int) string) string { return upTo(MaxText/8, f) }
	ab := func(i int) string { return fmt.Sprintf("%s%d", strings.Repeat("a", 200), i) }
	for name, c := range map[string]struct{ text, want string }{
		"1,000 links on one topic": {many(1000, func(i int) string { return topicLink(i, "orders") }), "\n979 more faults are not shown; mend these first"},
		"30,000 links":             {many(30_000, func(i int) string { return topicLink(i, "orders") }), "f: more than 2MiB of text in all; apply it in several parts"},
		"too many objects":         {many(MaxObjects+1, func(i int) string { return link(fmt.Sprint("l", i), "a", "b", "") }), "more than 2000 objects"},
		"as many links as may be":  {many(MaxObjects, func(i int) string { return topicLink(i, fmt.Sprintf("t%d, p%d-*", i, i)) }), ""},
		"all patterns":             {upTo(200_000, func(i int) string { return topicLink(i, fmt.Sprintf("\"*x%d\"", i)) }), ""},
		"names against patterns":   {many(MaxObjects, func(i int) string { return topicLink(i, fmt.Sprintf("n%da, n%db, n%dc, \"/.*[xyz]%d/\"", i, i, i, i)) }), "cannot all be compared"},
		"many names": {huge(func(i int) string {
			return topicLink(i, upTo(200_000, func(j int) string { return fmt.Sprintf("n%d-%d, ", i, j) }))
		}), ""},
		"a name in all":           {huge(func(i int) string { return topicLink(i, strings.Repeat("n, ", 2000)) }), "more fault"},
		"a cycle with names":      {link("b", "eu", "ap", "") + link("c", "ap", "us", "") + topicLink(0, huge(func(i int) string { return fmt.Sprintf("n%d, ", i) })), "the links b -> c -> l0 form a cycle"},
		"costly expressions":      {upTo(400_000, func(i int) string { return topicLink(i, fmt.Sprintf("\"/(a?){249}b%d/\", %s", i, ab(i))) }), "topic patterns are too many"},
		"costly expressions, few": {upTo(80_000, func(i int) string { return topicLink(i, fmt.Sprintf("\"/(a?){100}b%d/\", %s", i, ab(i))) }), "cannot all be compared"},
		"costly filters": {huge(func(i int) string {
			return filtered(fmt.Sprint("l", i), "us", "eu", "  filter: {keep: '"+strings.Repeat("(=", 2000)+"'}\n")
		}), "the expressions of filters are more than"},
		"nested lists in a filter": {filtered("l", "us", "eu", "  filter: {keep: 'size("+strings.Repeat("[", 300)+"1"+strings.Repeat("]", 300)+") > 0'}\n"), "recursion limit"},
		"fields of a filter":       {filtered("l", "us", "eu", "  filter: {mask: ["+upTo(500_000, func(i int) string { return fmt.Sprintf("a%d, ", i) })+"b]}\n"), "more than 500 fields"},
		"one pattern":              {topicLink(0, "\"/"+strings.Repeat("x{1000}", 1000)+"/\""), "the topic pattern is too large"},
		"empty documents":          {huge(func(int) string { return "---\n" }), "no object"},
		"one-word documents":       {huge(func(int) string { return "--- a\n" }), "more than 2000 objects"},
		"keys":                     {huge(func(i int) string { return fmt.Sprintf("a%d: 1\n", i) }), "more than 1000 keys in one document"},
		"keys in documents": {huge(func(i int) string {
			return "---\n" + upTo(9_000, func(j int) string { return fmt.Sprintf("a%d: 1\n", j) })
		}), "more than 1000 keys"},
		"keys, as many as may be": {huge(func(i int) string {
			return "---\n" + upTo(7_000, func(j int) string { return fmt.Sprintf("a%d: 1\n", j) })
		}), "more faults are not shown"},
		"anchors":                    {huge(func(i int) string { return fmt.Sprintf("- &a%d x\n", i) }), "more than 100 anchors"},
		"an alias in itself":         {small + "  topics: &x {include: *x}\n", "expected a list, found keys and values; write [...]"},
		"aliases of a long text":     {small + "  topics: {include: [&x \"/" + strings.Repeat("x", 100_000) + "/\"" + strings.Repeat(", *x", 100_000) + "]}\n", "aliases (*name) repeat so much"},
		"aliases of lists":           {small + "  topics: {include: &x [" + strings.Repeat("a, ", 10_000) + "], exclude: *x}\n", ""},
		"a long key":                 {huge(func(int) string { return "a" }) + ": 1", "apiVersion is missing"},
		"a long value":               {small + "  rename: " + huge(func(int) string { return "a" }), "spec.rename"},
		"a long value, not a list":   {small + "  topics: {include: " + huge(func(int) string { return "a" }) + "}\n", "write [...]"},
		"a long start":               {small + "  topics: {include: [a]}\n  start: " + huge(func(int) string { return "1" }), "[...]"},
		"closing brackets":           {huge(func(int) string { return "]" }), "could not find"},
		"colons":                     {huge(func(int) string { return ": " }), "more than 1000 keys"},
		"deep":                       {huge(func(i int) string { return strings.Repeat(" ", i) + "a:\n" }), "f:"},
		"deep lists":                 {huge(func(i int) string { return strings.Repeat(" ", i) + "-\n" }), "f:"},
		"a list":                     {huge(func(int) string { return "- a\n" }), "found a list"},
		"a list in brackets":         {"[" + huge(func(int) string { return "a, " }) + "]", "found a list"},
		"comments":                   {huge(func(int) string { return "# a\n" }), "no object"},
		"quotes that are never shut": {huge(func(int) string { return "'a\n" }), "f:"},
		"tags":                       {huge(func(int) string { return "!a " }), "f:"},
		"brokers":                    {"apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec:\n  bootstrap:\n" + huge(func(int) string { return "  - x\n" }), "more faults are not shown"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 400, func() {
				err := check(t.Context(), c.text)
				switch {
				case err == nil && c.want != "", err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%.3000v\nwant %q", err, c.want)
				case err != nil && len(err.Error()) > 20_000:
					t.Errorf("an answer of %d bytes: %.300v", len(err.Error()), err)
				}
			})
		})
	}
}

// TestReadingObeysItsContext: whoever does not wait any more stops it.
func TestReadingObeysItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	text := topicLink(1, "a")
	if err := check(ctx, text); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	objects, err := ParseAll(t.Context(), []Source{{"f", text}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPlan(ctx, fsm.NewState().View(), objects); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// FuzzCheck: no text takes more than bounded memory and time to check, or
// gives a long answer.
func FuzzCheck(f *testing.F) {
	f.Add(whole)
	f.Add(clusters("us", "eu") + link("a", "us", "eu", "") + link("b", "us", "eu", "topics: {include: [a, \"b*\", \"/x{9}/\"]}"))
	f.Add(link("a", "us", "eu", "") + link("b", "eu", "ap", "") + link("c", "ap", "us", ""))
	f.Add("a: &a [*a]\n--- \n&b {c: *b}\n")
	f.Add(strings.Repeat("---\n", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		within(t, 1024, func() {
			if err := check(t.Context(), text); err != nil && len(err.Error()) > 20_000 {
				t.Errorf("an answer of %d bytes", len(err.Error()))
			}
		})
	})
}
