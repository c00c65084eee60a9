package manifest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// facts is a state that plans are applied to.
type facts struct {
	t     testing.TB
	state *fsm.State
	index uint64
}

func newFacts(t testing.TB) *facts { return &facts{t: t, state: fsm.NewState()} }

func (f *facts) apply(c fsm.Command) fsm.Result {
	f.t.Helper()
	b, err := fsm.Encode(c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.index++
	r, err := f.state.Apply(f.index, b)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// plan parses and plans a text.
func (f *facts) plan(text string) (*Plan, error) {
	f.t.Helper()
	objects, err := ParseAll(context.Background(), []Source{{"f", text}})
	if err != nil {
		f.t.Fatal(err)
	}
	return NewPlan(context.Background(), f.state.View(), objects)
}

// put plans and carries out.
func (f *facts) put(text string) *Plan {
	f.t.Helper()
	p, err := f.plan(text)
	if err != nil {
		f.t.Fatal(err)
	}
	if r := f.apply(p.Command(1, nil)); r.Refused != fsm.RefusedNot {
		f.t.Fatalf("refused: %+v", r)
	}
	return p
}

func clusters(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "---\napiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: %s}\nspec: {bootstrap: [%s1:9092]}\n", n, n)
	}
	return b.String()
}

func link(name, source, target, rest string) string {
	if !strings.Contains(rest, "topics:") {
		rest = "topics: {include: [\"*\"]}, " + rest
	}
	return fmt.Sprintf("---\napiVersion: sluice/v1\nkind: Link\nmetadata: {name: %s}\nspec: {source: %s, target: %s, %s}\n", name, source, target, rest)
}

func TestPlanApplyPlanShowsNothing(t *testing.T) {
	f := newFacts(t)
	text := clusters("us", "eu") + link("us-eu", "us", "eu", "rename: \"{source}.{topic}\"")
	p := f.put(text)
	if p.Count(ActionCreate) != 3 || p.Changes[2].Kind != KindLink {
		t.Fatalf("%+v", p.Changes)
	}
	again, err := f.plan(text)
	if err != nil || !again.Empty() {
		t.Fatalf("%+v %v", again, err)
	}
	// What the cluster or an operator decided since is not undone by silence.
	f.apply(&fsm.KafkaPin{Name: "us", ClusterID: "abc"})
	f.apply(&fsm.LinkState{Link: f.state.View().LinkNamed("us-eu").ID, State: fsm.StatePaused})
	if again, err = f.plan(text); err != nil || !again.Empty() {
		t.Fatalf("after pin and pause: %+v %v", again, err)
	}
	// But a stated state is.
	stated, err := f.plan(strings.Replace(text, "rename:", "state: running, rename:", 1))
	if err != nil || stated.Count(ActionUpdate) != 1 {
		t.Fatalf("%+v %v", stated, err)
	}
	if got := fmt.Sprint(stated.Changes[2].Fields); got != "[{spec.state paused running}]" {
		t.Error(got)
	}
}

func TestPlanIsRefusedWhenTheLinkHasChangedMeanwhile(t *testing.T) {
	f := newFacts(t)
	text := clusters("us", "eu") + link("l", "us", "eu", "")
	first, err := f.plan(text)
	if err != nil {
		t.Fatal(err)
	}
	f.put(text)
	if r := f.apply(first.Command(1, nil)); r.Refused != fsm.RefusedTurn {
		t.Errorf("%+v", r)
	}
}

func TestPlanRefuses(t *testing.T) {
	base := clusters("us", "eu", "ap") + link("l", "us", "eu", "topics: {include: [a]}")
	for name, c := range map[string]struct{ text, want string }{
		"target":      {link("l", "us", "ap", ""), `spec.target: cannot change from "eu" to "ap"`},
		"rename":      {link("l", "us", "eu", "rename: \"x.{topic}\""), `spec.rename: cannot change from (nothing) to "x.{topic}": the copies that exist rest on it; create a link of another name, or delete`},
		"start":       {link("l", "us", "eu", "start: latest"), `spec.start: cannot change from "earliest" to "latest": it held when the link was created`},
		"no cluster":  {link("m", "us", "euu", ""), `f:5:28: spec.target: there is no KafkaCluster "euu"; did you mean "eu"?`},
		"pinned":      {strings.Replace(clusters("us"), "{boot", "{clusterId: other, boot", 1), "us is pinned to the cluster id id-us"},
		"one cluster": {strings.Replace(clusters("us2"), "{boot", "{clusterId: id-us, boot", 1) + link("m", "us", "us2", "rename: \"x.{topic}\""), "us and us2 are the same Kafka cluster, id-us"},
		"collision":   {link("m", "ap", "eu", "topics: {include: [\"*\"]}"), `f:4:18: links m and l would both write the topic a of eu; give one of them a rename such as "{source}.{topic}"`},
		"renamed":     {link("m", "ap", "eu", "topics: {include: [\"/z.*/\"]}, rename: \"{topic}\"") + link("n", "ap", "eu", "topics: {include: [zebra]}"), "would both write the topic zebra of eu"},
		"into a name": {link("m", "ap", "eu", "topics: {include: [b]}, rename: \"a\""), "would both write the topic a of eu"},
		"all to all":  {link("m", "ap", "us", "") + link("n", "eu", "us", ""), "links m and n would both write"},
		"cycle":       {link("m", "eu", "ap", "topics: {include: [a, b]}") + link("n", "ap", "us", ""), "the links m -> n -> l form a cycle"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFacts(t)
			f.put(base)
			f.apply(&fsm.KafkaPin{Name: "us", ClusterID: "id-us"})
			_, err := f.plan(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestPlanAllows(t *testing.T) {
	base := clusters("us", "eu", "ap") + link("l", "us", "eu", "topics: {include: [a]}")
	for name, text := range map[string]string{
		"both directions":            link("m", "eu", "us", "topics: {include: [a]}"),
		"other names":                link("m", "ap", "eu", "rename: \"{source}.{topic}\""),
		"excluded":                   link("m", "ap", "eu", "topics: {include: [\"*\"], exclude: [a]}"),
		"another target":             link("m", "us", "ap", ""),
		"identical with rename":      link("m", "us", "eu", "offsets: identical, rename: \"x.{topic}\""),
		"cycle that skips all":       link("m", "eu", "ap", "copies: skip-all") + link("n", "ap", "us", ""),
		"cycle with a rename":        link("m", "eu", "ap", "rename: \"x.{topic}\"") + link("n", "ap", "us", ""),
		"cycle without common topic": link("m", "eu", "ap", "topics: {include: [b]}") + link("n", "ap", "us", ""),
		"limit of an old link":       link("l", "us", "eu", "topics: {include: [a, b]}, limit: 1MiB/s"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFacts(t)
			f.put(base)
			if _, err := f.plan(text); err != nil {
				t.Error(err)
			}
			f.put(text)
		})
	}
}

func TestPlanDelete(t *testing.T) {
	f := newFacts(t)
	text := clusters("us", "eu") + link("l", "us", "eu", "")
	f.put(text)
	objects, err := ParseAll(context.Background(), []Source{{"f", text}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := PlanDelete(f.state.View(), objects)
	if err != nil || p.Count(ActionDelete) != 3 || p.Changes[0].Kind != KindLink {
		t.Fatalf("%+v %v", p, err)
	}
	if r := f.apply(p.Command(1, nil)); r.Refused != fsm.RefusedNot {
		t.Fatal(r)
	}
	if got := p.Deleted(); len(got) != 2 {
		t.Error(got)
	}
	if p, err = PlanDelete(f.state.View(), objects[2:]); err != nil || !p.Empty() {
		t.Errorf("again: %+v %v", p, err)
	}

	f = newFacts(t)
	f.put(text)
	if _, err = PlanDelete(f.state.View(), objects[:1]); err == nil || !strings.Contains(err.Error(), "is used by link l; delete the link first") {
		t.Error(err)
	}
}

// TestExportRoundTrip: whatever stands in the facts, exporting it and planning
// the text changes nothing.
func TestExportRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFacts(t)
		name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`)
		a, b := name.Draw(rt, "a"), name.Draw(rt, "b")
		if a == b {
			rt.Skip()
		}
		kafka := func(n string) fsm.KafkaCluster {
			k := fsm.KafkaCluster{Name: n, Bootstrap: []string{"h:1", "[::1]:2"}, ClusterID: rapid.StringMatching(`[A-Za-z0-9_-]{0,22}`).Draw(rt, "id"+n)}
			if rapid.Bool().Draw(rt, "tls") {
				k.TLS = &fsm.TLS{}
			}
			if rapid.Bool().Draw(rt, "sasl") {
				k.TLS = &fsm.TLS{CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Cert: "${file:/c d}", Key: "${env:K}"}
				k.SASL = &fsm.SASL{Mechanism: "PLAIN", Username: rapid.StringMatching(`[ -~]{1,10}`).Draw(rt, "user"), Password: "${env:P}"}
			}
			return k
		}
		spec := fsm.LinkSpec{
			Name: name.Draw(rt, "link"), Source: a, Target: b,
			Include: []string{"*", rapid.SampledFrom([]string{`/a\..*#: {}"'/`, "123", "true", "null", "~x", "- x"}).Draw(rt, "include")},
			Exclude: rapid.SampledFrom([][]string{nil, {"a-*", "/[{}]?,:/"}}).Draw(rt, "exclude"),
			Rename:  rapid.SampledFrom([]string{"", "{source}.{topic}", "{topic}-x"}).Draw(rt, "rename"),
			Start:   rapid.SampledFrom([]string{"earliest", "latest", "2026-01-31T12:00:00Z"}).Draw(rt, "start"),
			Offsets: "auto", OnLoss: "recopy", OnSourceDeleted: rapid.SampledFrom([]string{"", "end"}).Draw(rt, "source deleted"), Copies: "skip-all", Writers: "shared",
			Limit:             rapid.Int64Range(0, 1<<40).Draw(rt, "limit"),
			ReplicationFactor: int16(rapid.IntRange(0, 5).Draw(rt, "rf")),
			State:             rapid.SampledFrom([]string{"running", "paused"}).Draw(rt, "state"),
		}
		if _, err := spec.Selector(); err != nil {
			rt.Skip()
		}
		f.apply(&fsm.Objects{Kafka: []fsm.KafkaCluster{kafka(a), kafka(b)}, Links: []fsm.LinkPut{{Spec: spec}}})
		text, err := Export(f.state.View(), "", "")
		if err != nil {
			rt.Fatal(err)
		}
		objects, err := ParseAll(context.Background(), []Source{{"export", string(text)}})
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		p, err := NewPlan(context.Background(), f.state.View(), objects)
		if err != nil && strings.Contains(err.Error(), "are the same Kafka cluster") {
			rt.Skip()
		}
		if err != nil || !p.Empty() || len(p.Changes) != 3 {
			rt.Fatalf("%+v %v\n%s", p, err, text)
		}
	})
}
