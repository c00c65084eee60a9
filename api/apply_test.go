package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/manifest"
)

// checker is a Preflighter with set answers.
type checker struct {
	answer api.Preflight
	err    error
	asked  []string
	seen   map[string]fsm.KafkaCluster
}

func (c *checker) Check(_ context.Context, _ *fsm.View, spec fsm.LinkSpec, clusters map[string]fsm.KafkaCluster) (api.Preflight, error) {
	c.asked, c.seen = append(c.asked, spec.Name), clusters
	return c.answer, c.err
}

func TestApplyAsksTheKafkaClustersFirst(t *testing.T) {
	f := apitest.New(t)
	pf := &checker{answer: api.Preflight{Refusals: []api.Finding{{Code: fsm.CodeNotEmpty, Message: "orders is not empty"}}}}
	_, c := f.Serve(func(_ *api.Config, p *api.Parts) { p.Preflight = pf })
	_, err := c.Apply(t.Context(), request(objects))
	if code(err) != api.CodePreflight || !strings.Contains(err.Error(), "link us-eu: orders is not empty (not-empty)") {
		t.Errorf("%v", err)
	}
	if len(f.View().Kafka) != 0 || pf.seen["eu"].Bootstrap[0] != "eu:1" {
		t.Error("something was changed, or the new clusters were not shown to preflight")
	}
	pf.answer = api.Preflight{
		Warnings:   []api.Finding{{Code: fsm.CodeUnauthorized, Message: "cannot describe producers"}},
		ClusterIDs: map[string]string{"us": "id-us", "eu": "id-eu"},
		Starts:     []fsm.StartAt{{Topic: "orders", Offsets: []int64{5, 6}}},
	}
	p, err := c.Apply(t.Context(), request(objects))
	if err != nil || len(p.Warnings) != 1 || p.Warnings[0].Link != "us-eu" {
		t.Fatalf("%+v %v", p, err)
	}
	v := f.View()
	if v.KafkaCluster("eu").ClusterID != "id-eu" || v.LinkNamed("us-eu").StartOf("orders", 1) != 6 {
		t.Errorf("%+v %+v", v.Kafka, v.LinkNamed("us-eu"))
	}
	// A plan after it shows nothing and asks nobody.
	pf.asked = nil
	dry := request(objects)
	dry.DryRun = true
	p, err = c.Apply(t.Context(), dry)
	if err != nil || p.Applied || len(pf.asked) != 0 || p.Changes[0].Action != manifest.ActionNone || p.Changes[2].Action != manifest.ActionNone {
		t.Errorf("%+v %v %v", p, err, pf.asked)
	}
	// Where a Kafka cluster changes, its links are asked about; the change may
	// be the repair, so that it is not held up.
	pf.answer = api.Preflight{Refusals: []api.Finding{{Message: "us2:1 does not answer"}}}
	p, err = c.Apply(t.Context(), request(strings.Replace(objects, `"us:1"`, `"us2:1"`, 1)))
	if err != nil || len(p.Warnings) != 1 || !slices.Equal(pf.asked, []string{"us-eu"}) || pf.seen["us"].Bootstrap[0] != "us2:1" {
		t.Errorf("%+v %v %v", p, err, pf.asked)
	}
	pf.answer = api.Preflight{}
	pf.err = errors.New("dial tcp: refused")
	if _, err = c.Apply(t.Context(), request(strings.Replace(objects, `["*"]`, `[b]`, 1))); code(err) != api.CodePreflight || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// targets is a Preflighter that knows what each link would write to.
type targets map[string][]string

func (t targets) Check(_ context.Context, _ *fsm.View, spec fsm.LinkSpec, _ map[string]fsm.KafkaCluster) (api.Preflight, error) {
	out := api.Preflight{ClusterIDs: map[string]string{"eu": "id-eu", "eu-again": "id-eu"}}
	for _, name := range t[spec.Name] {
		out.Topics = append(out.Topics, api.PlannedTopic{Topic: name, Target: name})
	}
	return out, nil
}

// TestLinksOfOneApplyOverlap: links that come together are held against each
// other too, also where they call one Kafka cluster by two names.
func TestLinksOfOneApplyOverlap(t *testing.T) {
	const two = objects + `---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: eu-again}
spec: {bootstrap: ["eu:1"]}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: us-eu-2}
spec:
  source: us
  target: eu-again
  topics: {include: ["*"]}
`
	for name, c := range map[string]struct {
		targets targets
		objects string
		want    string // in the refusal; "": none
	}{
		"apart":     {targets{"us-eu": {"a"}, "us-eu-2": {"b"}}, two, ""},
		"one":       {targets{"us-eu": {"a", "b"}, "us-eu-2": {"b"}}, two, "link us-eu, applied with it, writes to the same topics of Kafka cluster eu-again: b;"},
		"many":      {targets{"us-eu": {"a", "b", "c", "d", "e", "f", "g"}, "us-eu-2": {"a", "b", "c", "d", "e", "f", "g"}}, two, "a, b, c, d, e and 2 more"},
		"on demand": {targets{"us-eu": {"a"}, "us-eu-2": {"a"}}, two + "  writers: shared\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := apitest.New(t)
			_, client := f.Serve(func(_ *api.Config, p *api.Parts) { p.Preflight = c.targets })
			_, err := client.Apply(t.Context(), request(c.objects))
			if c.want == "" && err != nil || c.want != "" && (code(err) != api.CodePreflight || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if c.want != "" && len(f.View().Links) != 0 {
				t.Error("something was changed")
			}
		})
	}
}

func TestApplyRefusals(t *testing.T) {
	f := apitest.New(t)
	_, c := f.Serve(nil)
	_, err := c.Apply(t.Context(), request(strings.Replace(objects, "source:", "sorce:", 1)))
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.CodeManifest || p.Status != 422 || p.Errors[0].Location != "links.yaml:14:8" {
		t.Errorf("%+v", err)
	}
	if _, err = c.Apply(t.Context(), request(objects)); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Apply(t.Context(), request(strings.Replace(objects, "source: us, target: eu", "source: eu, target: us", 1))); code(err) != api.CodeRefused {
		t.Errorf("%v", err)
	}
	stale := request(strings.Replace(objects, `["*"]`, `[a]`, 1))
	stale.Expect = []fsm.Expectation{{Link: "us-eu", Revision: 1}}
	if _, err = c.Apply(t.Context(), stale); code(err) != api.CodeStale {
		t.Errorf("%v", err)
	}
	stale.Expect[0].Revision = f.View().LinkNamed("us-eu").Revision
	f.With(func(f *apitest.Cluster) { f.Lost = 1 })
	if _, err = c.Apply(t.Context(), stale); err != nil {
		t.Errorf("its own change, lost on the way, was taken for a foreign one: %v", err)
	}
	if _, err = c.Apply(t.Context(), request("")); code(err) != api.CodeManifest {
		t.Errorf("%v", err)
	}
}

// cutOff is a Control of which some commands do not come through.
type cutOff struct {
	*apitest.Cluster
	refuse func(fsm.Command) bool
	deaf   func(fsm.Command) bool // committed, but this node does not learn of it in time
	gone   bool
}

func (c *cutOff) Propose(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	if c.refuse != nil && c.refuse(cmd) {
		return fsm.Result{}, api.ErrNoLeader
	}
	c.gone = c.deaf != nil && c.deaf(cmd)
	return c.Cluster.Propose(ctx, cmd)
}

func (c *cutOff) WaitIndex(ctx context.Context, index uint64) error {
	if c.gone {
		return context.DeadlineExceeded
	}
	return c.Cluster.WaitIndex(ctx, index)
}

// TestFailedApplySaysWhatWasApplied: after its objects are committed, an error
// does not hide that they are.
func TestFailedApplySaysWhatWasApplied(t *testing.T) {
	isPin := func(c fsm.Command) bool { _, is := c.(*fsm.KafkaPin); return is }
	deletesKafka := func(name string) func(fsm.Command) bool {
		return func(c fsm.Command) bool { o, is := c.(*fsm.Objects); return is && slices.Contains(o.DeleteKafka, name) }
	}
	ids := api.Preflight{ClusterIDs: map[string]string{"us": "id-us", "eu": "id-eu"}}
	clusters, link, _ := strings.Cut(objects, "---\napiVersion: sluice/v1\nkind: Link")
	link = "apiVersion: sluice/v1\nkind: Link" + link
	for _, tc := range []struct {
		name             string
		before           string
		control          cutOff
		request          api.ApplyRequest
		code             string
		applied, missing []string
		deletes          bool
	}{
		{
			name: "ids are not pinned", before: clusters, control: cutOff{refuse: isPin}, request: request(link), code: api.CodeNoLeader,
			applied: []string{"create Link us-eu"}, missing: []string{"pin the cluster id of KafkaCluster eu", "pin the cluster id of KafkaCluster us"},
		},
		{
			name: "one Kafka cluster is not deleted", before: clusters, control: cutOff{refuse: deletesKafka("eu")}, request: request(clusters), code: api.CodeNoLeader,
			applied: []string{"delete KafkaCluster us"}, missing: []string{"delete KafkaCluster eu"}, deletes: true,
		},
		{
			name: "this node hears nothing more", control: cutOff{deaf: func(fsm.Command) bool { return true }}, request: request(objects), code: api.CodeTimeout,
			applied: []string{"create KafkaCluster eu", "create KafkaCluster us", "create Link us-eu"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := apitest.New(t)
			pf := &checker{}
			tc.control.Cluster = f
			refuse, deaf := tc.control.refuse, tc.control.deaf
			tc.control.refuse, tc.control.deaf = nil, nil
			_, c := f.Serve(func(_ *api.Config, p *api.Parts) { p.Preflight, p.Control = pf, &tc.control })
			if tc.before != "" {
				if _, err := c.Apply(t.Context(), request(tc.before)); err != nil {
					t.Fatal(err)
				}
			}
			pf.answer, tc.control.refuse, tc.control.deaf = ids, refuse, deaf
			tc.request.Delete = tc.deletes
			_, err := c.Apply(t.Context(), tc.request)
			var p *api.Problem
			if !errors.As(err, &p) || p.Code != tc.code || !hasAll(p.Applied, tc.applied) || !slices.Equal(p.Missing, tc.missing) ||
				!strings.HasPrefix(p.Detail, "applied: "+tc.applied[0]) || !strings.HasSuffix(p.Next, "do the same again: what is as wanted already stays as it is") {
				t.Fatalf("%+v, want %v applied and %v missing", err, tc.applied, tc.missing)
			}
			tc.control.refuse, tc.control.deaf, tc.control.gone = nil, nil, false
			if _, err := c.Apply(t.Context(), tc.request); err != nil {
				t.Errorf("the same again: %v", err)
			}
		})
	}
}

// hasAll reports whether each text begins as wanted.
func hasAll(got, want []string) bool {
	return slices.EqualFunc(got, want, strings.HasPrefix)
}

// TestDeleteWaitsForTheLinkToBeGone before it deletes its Kafka clusters.
func TestDeleteWaitsForTheLinkToBeGone(t *testing.T) {
	f := apitest.New(t)
	_, c := f.Serve(nil)
	if _, err := c.Apply(t.Context(), request(objects)); err != nil {
		t.Fatal(err)
	}
	id := f.View().LinkNamed("us-eu").ID
	done := make(chan error, 1)
	go func() {
		r := request(objects)
		r.Delete = true
		_, err := c.Apply(context.Background(), r)
		done <- err
	}()
	for l := f.View().Link(id); !l.Deleting; l = f.View().Link(id) {
		if err := f.WaitIndex(t.Context(), f.View().Index+1); err != nil {
			t.Fatal(err)
		}
	}
	f.Do(&fsm.LinkPurge{Link: id})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v := f.View(); len(v.Kafka)+len(v.Links) != 0 {
		t.Errorf("%+v %+v", v.Kafka, v.Links)
	}
}
