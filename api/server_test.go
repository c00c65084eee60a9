package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/manifest"
)

const objects = `apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: us}
spec: {bootstrap: ["us:1"]}
---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: eu}
spec: {bootstrap: ["eu:1"]}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: us-eu}
spec: {source: us, target: eu, topics: {include: ["*"]}}
`

func request(text string) api.ApplyRequest {
	return api.ApplyRequest{Sources: []manifest.Source{{Name: "links.yaml", Text: text}}}
}

func code(err error) string {
	var p *api.Problem
	if !errors.As(err, &p) {
		return ""
	}
	return p.Code
}

func TestReadsWaitForAnIndex(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(nil)
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{srv.URL}, MinIndex: f.View().Index + 1})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		l, err := c.Links(context.Background())
		if err == nil && (l.Index != f.View().Index || l.Kind != "LinkList" || l.Items == nil) {
			err = errors.New("wrong answer")
		}
		got <- err
	}()
	f.Do(&fsm.Barrier{})
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestPauseIsDoneWhenTheOwnersHaveReported(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(5)
	f.Report(fsm.CodeCopying, 0)
	_, c := f.Serve(nil)
	a, err := c.Pause(t.Context(), "us-eu")
	if err != nil {
		t.Fatal(err)
	}
	if a.State != "paused" || !slices.Equal(a.Unconfirmed, []string{"n1", "n2", "n3"}) {
		t.Errorf("%+v", a)
	}
	f.With(func(f *apitest.Cluster) { f.Nodes[0].Index, f.Nodes[2].Index = a.Revision, a.Revision })
	if l, err := c.Link(t.Context(), "us-eu"); err != nil || !slices.Equal(l.Unconfirmed, []string{"n2"}) || l.Condition != fsm.CodePaused {
		t.Errorf("%+v %v", l, err)
	}
	// Once more changes nothing, so that nobody has to confirm again.
	if again, err := c.Pause(t.Context(), "us-eu"); err != nil || again.Revision != a.Revision {
		t.Errorf("%+v %v", again, err)
	}
	if a, err = c.Resume(t.Context(), "us-eu"); err != nil || a.State != "running" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := c.Pause(t.Context(), "nope"); code(err) != api.CodeNotFound {
		t.Error(err)
	}
}

// TestAnswersHoldTheCallersOwnChange, though this node learns of it later.
func TestAnswersHoldTheCallersOwnChange(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	f.With(func(f *apitest.Cluster) { f.Behind = true })
	_, c := f.Serve(nil)
	a, err := c.Pause(t.Context(), "us-eu")
	if err != nil || a.State != "paused" || a.Index < a.Revision {
		t.Errorf("%+v %v", a, err)
	}
}

// TestAmbiguousProposalsAreReadAgain: whether or not the lost proposal was
// carried out, the change is made exactly once.
func TestAmbiguousProposalsAreReadAgain(t *testing.T) {
	for name, fault := range map[string]func(*apitest.Cluster){
		"carried out": func(f *apitest.Cluster) { f.With(func(f *apitest.Cluster) { f.Lost = 1 }) },
		"lost":        func(f *apitest.Cluster) { f.With(func(f *apitest.Cluster) { f.Dropped = 2 }) },
	} {
		t.Run(name, func(t *testing.T) {
			f := apitest.New(t)
			_, c := f.Serve(nil)
			fault(f)
			p, err := c.Apply(t.Context(), request(objects))
			if err != nil || !p.Applied || p.Changes[2].Action != manifest.ActionCreate {
				t.Fatalf("%+v %v", p, err)
			}
			if len(f.View().Links) != 1 {
				t.Errorf("%d links", len(f.View().Links))
			}
			fault(f)
			if a, err := c.DeleteLink(t.Context(), "us-eu"); err != nil || a.State != "deleting" {
				t.Errorf("%+v %v", a, err)
			}
		})
	}
	f := apitest.New(t)
	_, c := f.Serve(nil)
	f.With(func(f *apitest.Cluster) { f.Dropped = 100 })
	if _, err := c.Apply(t.Context(), request(objects)); code(err) != api.CodeAmbiguous {
		t.Error(err)
	}
}

func TestOrders(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	_, c := f.Serve(nil)
	if _, err := c.Order(t.Context(), "us-eu", "continue", api.StreamSelector{}); code(err) != api.CodeRefused {
		t.Errorf("nothing is stopped: %v", err)
	}
	var stopped *fsm.Task
	for x := range f.View().Tasks {
		if x.Kind == fsm.KindCopy && x.Copy.Stream.Partition == 1 {
			stopped = x
		}
	}
	f.Do(&fsm.TaskStop{Task: stopped.ID, Turn: stopped.Turn, Stop: fsm.Stop{Code: fsm.CodePositionLost, From: -1}})
	one := int32(1)
	f.With(func(f *apitest.Cluster) { f.Lost = 1 })
	a, err := c.Order(t.Context(), "us-eu", "recopy", api.StreamSelector{Topic: "orders", Partition: &one})
	if err != nil || a.State != "recopy" {
		t.Fatalf("%+v %v", a, err)
	}
	if x := f.View().Task(stopped.ID); x.Copy.Order != fsm.OrderRecopy || x.Copy.Attempt != 1 {
		t.Errorf("%+v", x)
	}
	if _, err := c.Order(t.Context(), "us-eu", "retry", api.StreamSelector{Partition: &one}); code(err) != api.CodeInvalid {
		t.Error(err)
	}
	if _, err := c.Order(t.Context(), "us-eu", "retry", api.StreamSelector{Topic: "no"}); code(err) != api.CodeNotFound {
		t.Error(err)
	}
}

func TestExportAndEventsAndMembers(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	_, c := f.Serve(nil)
	o, err := c.Export(t.Context(), "Link", "us-eu")
	if err != nil || !strings.Contains(o.YAML, "kind: Link") || strings.Contains(o.YAML, "KafkaCluster") {
		t.Errorf("%+v %v", o, err)
	}
	if _, err = c.Export(t.Context(), "Link", "none"); code(err) != api.CodeNotFound {
		t.Error(err)
	}
	e, err := c.Events(t.Context(), "", f.Nodes[0].Heard, 10)
	if err != nil || len(e.Items) != 0 || e.Items == nil {
		t.Errorf("%+v %v", e, err)
	}
	if _, err = c.Events(t.Context(), "none", f.Nodes[0].Heard, 10); code(err) != api.CodeNotFound {
		t.Error(err)
	}
	if _, err = c.RemoveMember(t.Context(), "n3"); code(err) != api.CodeRefused {
		t.Errorf("a living node: %v", err)
	}
	f.With(func(f *apitest.Cluster) { f.Nodes[2].Alive = false })
	before := f.View().Index
	gone, err := c.RemoveMember(t.Context(), "n3")
	if err == nil && (gone.Name != "n3" || gone.Revision <= before || gone.Index != f.View().Index) {
		t.Errorf("at index %d it answers %+v", before, gone)
	}
	if err != nil || !slices.Equal(f.Removed, []string{"id3"}) {
		t.Errorf("%v %v", f.Removed, err)
	}
	if a, err := c.Leave(t.Context()); err != nil || !f.Left || a.Name != "n1" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err = c.Verify(t.Context(), "v1"); code(err) != api.CodeUnavailable {
		t.Error(err)
	}
}

func TestGuard(t *testing.T) {
	f := apitest.New(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guarded, c := f.Serve(func(cfg *api.Config, _ *api.Parts) { cfg.TokenFile = token })
	if _, err := c.Links(t.Context()); err != nil {
		t.Error(err)
	}
	bare, _ := f.Serve(nil)
	for _, x := range []struct {
		name, base, method, path string
		header                   [2]string
		want                     int
	}{
		{"no token", guarded.URL, "GET", "/v1/status", [2]string{}, 401},
		{"wrong token", guarded.URL, "GET", "/v1/status", [2]string{"Authorization", "Bearer 0123456789abcdef0124"}, 401},
		{"metrics want it too", guarded.URL, "GET", "/metrics", [2]string{}, 401},
		{"probes do not", guarded.URL, "GET", "/livez", [2]string{}, 200},
		{"the page does not", guarded.URL, "GET", "/", [2]string{}, 200},
		{"a foreign page posts", bare.URL, "POST", "/v1/leave", [2]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a foreign name", bare.URL, "GET", "/v1/status", [2]string{"Host", "evil.example"}, 403},
		{"unknown parameter", bare.URL, "GET", "/v1/status?taks=1", [2]string{}, 422},
		{"not a number", bare.URL, "GET", "/v1/status?tasks=x", [2]string{}, 422},
		{"unknown path", bare.URL, "GET", "/v1/statuss", [2]string{}, 404},
		{"unknown method", bare.URL, "POST", "/v1/status", [2]string{}, 404},
		{"ready", bare.URL, "GET", "/readyz", [2]string{}, 200},
	} {
		req, _ := http.NewRequest(x.method, x.base+x.path, nil)
		if x.header[0] != "" {
			req.Header.Set(x.header[0], x.header[1])
		}
		if x.header[0] == "Host" {
			req.Host = x.header[1]
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != x.want {
			t.Errorf("%s: %d %s", x.name, resp.StatusCode, body)
		}
		if x.want >= 400 {
			var p api.Problem
			if json.Unmarshal(body, &p) != nil || p.Code == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %s %s", x.name, resp.Header.Get("Content-Type"), body)
			}
		}
	}
	if f.Left {
		t.Error("a foreign page made the node leave")
	}
}

func TestConfigKeepsTheAPIAtHome(t *testing.T) {
	for listen, ok := range map[string]bool{"127.0.0.1:0": true, "localhost:1": true, "[::1]:1": true, "0.0.0.0:1": false, ":8080": false, "10.0.0.1:1": false, "x": false} {
		cfg := api.DefaultConfig()
		cfg.Listen = listen
		if err := cfg.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", listen, err)
		}
	}
	cfg := api.Config{Listen: "0.0.0.0:1", Cert: "c", Key: "k", TokenFile: "t", Timeout: 1}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

// TestOpenAPI: the description is there, and names our problems only.
func TestOpenAPI(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(nil)
	resp, err := http.Get(srv.URL + "/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	body, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths["/v1/status"]["get"] == nil || doc.Paths["/v1/links/{name}/pause"]["post"] == nil {
		t.Errorf("%s", body[:300])
	}
	if bytes.Contains(body, []byte("ErrorModel")) || !bytes.Contains(body, []byte("application/problem+json")) {
		t.Error("the errors described are not ours")
	}
}

func TestClientAsksTheNextAddress(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(nil)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{dead.URL, strings.TrimPrefix(srv.URL, "http://")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leave(t.Context()); err != nil || !f.Left {
		t.Error(err)
	}
	alien := httptest.NewServer(http.NotFoundHandler())
	defer alien.Close()
	c, _ = api.NewClient(api.ClientConfig{Addresses: []string{alien.URL}})
	if _, err := c.Links(t.Context()); err == nil || !strings.Contains(err.Error(), "is it a Sluice node?") {
		t.Error(err)
	}
}
