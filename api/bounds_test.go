package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/apitest"
)

// TestBodiesAreBounded: no route takes more than it can need.
func TestBodiesAreBounded(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	cfg := api.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	address := serve(t, cfg, f, f)
	for path, size := range map[string]int{
		"/v1/apply": 5 << 20, "/v1/verify": 100 << 10, "/v1/links/us-eu/retry": 100 << 10, "/v1/links/us-eu/continue": 100 << 10, "/v1/links/us-eu/recopy": 100 << 10,
	} {
		for name, body := range map[string]io.Reader{
			"of known size":   strings.NewReader(`{"link": "` + strings.Repeat("x", size) + `"}`),
			"of unknown size": io.MultiReader(strings.NewReader(`{"link": "`), bytes.NewReader(bytes.Repeat([]byte("x"), size)), strings.NewReader(`"}`)),
		} {
			resp, err := http.Post("http://"+address+path, "application/json", body)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge || len(text) > 1000 {
				t.Errorf("%s, %s: %s %.300s", path, name, resp.Status, text)
			}
		}
	}
}

// TestAnswersAreBounded: of very many faults some are shown, and a count.
func TestAnswersAreBounded(t *testing.T) {
	var links, clash strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&links, "---\napiVersion: sluice/v1\nkind: Link\nmetadata: {name: l%d}\nspec: {source: us, target: eu, topics: {include: [orders]}}\n", i)
	}
	clash.WriteString(strings.ReplaceAll(objects, "kind: Link", "kind: Lnk"))
	for range 1000 {
		clash.WriteString("---\nkind: x\n")
	}
	f := apitest.New(t)
	_, c := f.Serve(nil)
	for name, text := range map[string]string{"links on one topic": objects[:strings.LastIndex(objects, "---")] + links.String(), "faults of the text": clash.String()} {
		_, err := c.Apply(t.Context(), request(text))
		var p *api.Problem
		if !errors.As(err, &p) || len(p.Errors) != 20 || !strings.Contains(p.Detail, "more faults are not shown") || len(p.Detail) > 10_000 {
			t.Errorf("%s: %.3000v", name, err)
		}
	}
	pf := &checker{}
	for i := range 1000 {
		pf.answer.Refusals = append(pf.answer.Refusals, api.Finding{Message: fmt.Sprintf("topic %d is not empty", i)})
	}
	_, c = f.Serve(func(_ *api.Config, p *api.Parts) { p.Preflight = pf })
	_, err := c.Apply(t.Context(), request(objects))
	var p *api.Problem
	if !errors.As(err, &p) || len(p.Findings) != 20 || !strings.HasSuffix(p.Detail, "; and 980 more") {
		t.Errorf("%.3000v", err)
	}
}

// FuzzApply: whatever a body holds, the answer is short, of bounded cost, and
// no fault of Sluice.
func FuzzApply(f *testing.F) {
	body, err := json.Marshal(request(objects))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(body))
	f.Add(`{"sources": [{"name": "f", "text": "a: &a [*a]"}], "dryRun": true}`)
	f.Add(`{"sources": [` + strings.Repeat(`{},`, 1000) + `{}]}`)
	f.Add(strings.Repeat(`[`, 20_000))
	f.Fuzz(func(t *testing.T, body string) {
		srv, _ := apitest.New(t).Serve(nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, err := http.Post(srv.URL+"/v1/apply", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		runtime.ReadMemStats(&after)
		if err != nil || len(text) > 40_000 || resp.StatusCode == http.StatusInternalServerError {
			t.Errorf("%s, %d bytes: %.300s", resp.Status, len(text), text)
		}
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 512 {
			t.Errorf("%d MB", mb)
		}
	})
}
