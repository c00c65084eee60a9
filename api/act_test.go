package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// TestWhoDidWhat: every act of an operator is an event that says who asked for
// it, from where, and what it changed; it outlives its link.
func TestWhoDidWhat(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	f.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	for x := range f.View().Tasks {
		if x.Kind == fsm.KindCopy {
			f.Do(&fsm.TaskStop{Task: x.ID, Turn: x.Turn, Stop: fsm.Stop{Code: fsm.CodePositionLost, From: -1}})
		}
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	mine := writeFile(t, "token", "ops 0123456789abcdef\n")
	if err := os.WriteFile(tokens, []byte("# who may\nreader fedcba9876543210\nops 0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv, anonymous := f.Serve(nil)
	guarded, _ := f.Serve(func(c *api.Config, _ *api.Parts) { c.TokenFile = tokens })
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{guarded.URL}, TokenFile: mine})
	if err != nil {
		t.Fatal(err)
	}
	partition := int32(1)
	f.With(func(f *apitest.Cluster) { f.Nodes[2].Alive = false })
	spec := "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: ap}\nspec: {bootstrap: [%]}\n"
	for _, act := range []struct {
		what string
		do   func(c *api.Client) error
	}{
		{"pause link us-eu", func(c *api.Client) error { _, err := c.Pause(t.Context(), "us-eu"); return err }},
		{"resume link us-eu", func(c *api.Client) error { _, err := c.Resume(t.Context(), "us-eu"); return err }},
		{"retry orders/1 of link us-eu", func(c *api.Client) error {
			_, err := c.Order(t.Context(), "us-eu", "retry", api.StreamSelector{Topic: "orders", Partition: &partition})
			return err
		}},
		{"continue all streams of link us-eu", func(c *api.Client) error {
			_, err := c.Order(t.Context(), "us-eu", "continue", api.StreamSelector{})
			return err
		}},
		{"create KafkaCluster ap", func(c *api.Client) error {
			_, err := c.Apply(t.Context(), request(strings.ReplaceAll(spec, "%", "a:1")))
			return err
		}},
		{"update KafkaCluster ap: spec.bootstrap", func(c *api.Client) error {
			_, err := c.Apply(t.Context(), request(strings.ReplaceAll(spec, "%", "b:1")))
			return err
		}},
		{"delete KafkaCluster ap", func(c *api.Client) error {
			r := request(strings.ReplaceAll(spec, "%", "b:1"))
			r.Delete = true
			_, err := c.Apply(t.Context(), r)
			return err
		}},
		{"remove node n3", func(c *api.Client) error { _, err := c.RemoveMember(t.Context(), "n3"); return err }},
		{"delete link us-eu", func(c *api.Client) error { _, err := c.DeleteLink(t.Context(), "us-eu"); return err }},
	} {
		if err := act.do(c); err != nil {
			t.Errorf("%s: %v", act.what, err)
			continue
		}
		link := ""
		if strings.Contains(act.what, "us-eu") {
			link = "us-eu"
		}
		if e := lastAct(t, c, link); !strings.HasPrefix(e.Message, act.what) || e.Who != "ops" || !strings.HasPrefix(e.Client, "127.0.0.1:") || e.Node != "n1" || e.Link != link {
			t.Errorf("%s: %+v", act.what, e)
		}
	}
	f.Do(&fsm.LinkPurge{Link: f.View().LinkNamed("us-eu").ID})
	if e := lastAct(t, c, "us-eu"); e.Message != "delete link us-eu" {
		t.Errorf("once the link is gone: %+v", e)
	}
	if _, err := anonymous.Apply(t.Context(), request(strings.ReplaceAll(spec, "%", "c:1"))); err != nil {
		t.Error(err)
	}
	if e := lastAct(t, c, ""); e.Who != "anonymous on 127.0.0.1" {
		t.Errorf("%s without a token: %+v", srv.URL, e)
	}
}

// lastAct is the newest event that tells of an act.
func lastAct(t *testing.T, c *api.Client, link string) api.Event {
	t.Helper()
	all, err := c.Events(t.Context(), link, time.Time{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	newest := api.Event{}
	for _, e := range all.Items {
		if e.Code == fsm.CodeOperatorAct && e.Link == link && (newest.Seq == 0 || e.Seq > newest.Seq) {
			newest = e
		}
	}
	return newest
}
