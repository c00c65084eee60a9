package system

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// told asks every node for everything that can be read over HTTP, as its own
// OpenAPI document lists it, and for what stands beside that.
func (a *aviary) told() {
	a.t.Helper()
	c := a.browser()
	for _, n := range a.List() {
		paths := append(a.readable(c, n), "/metrics", "/livez", "/readyz", "/", "/v1/openapi.json", "/v1/openapi.yaml", "/v1/nothing?token=x")
		good := 0
		for _, path := range paths {
			status, body := c.get(a.t, n, path, true)
			if status == http.StatusOK {
				good++
			} else {
				a.t.Logf("%s %s: %d", n.Name, path, status)
			}
			a.clean(n.Name+" "+path, body)
			if _, body = c.get(a.t, n, path, false); len(body) > 0 { // refused: without the token
				a.clean(n.Name+" "+path+" without a token", body)
			}
		}
		if len(paths) < 20 || good < 18 {
			a.t.Errorf("%s: %d of %d answers are good", n.Name, good, len(paths))
		}
	}
	a.posted(c)
}

// readable are the paths of the node's OpenAPI document that GET takes, with
// names and ids filled in.
func (a *aviary) readable(c *browser, n *Node) []string {
	a.t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	_, body := c.get(a.t, n, "/v1/openapi.json", true)
	if err := json.Unmarshal(body, &doc); err != nil {
		a.t.Fatal(err)
	}
	jobs, err := a.List()[0].Client().VerifyJobs(a.t.Context())
	if err != nil || len(jobs.Items) == 0 {
		a.t.Fatalf("no comparison: %v", err)
	}
	var out []string
	for path, methods := range doc.Paths {
		if methods["get"] == nil {
			continue
		}
		id := "1"
		if strings.HasPrefix(path, "/v1/verify") {
			id = url.PathEscape(jobs.Items[0].ID)
		}
		path = strings.NewReplacer("{name}", "us-eu", "{id}", id).Replace(path)
		if strings.Contains(path, "{") {
			a.t.Errorf("%s: nothing is known to fill in", path)
		}
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

// posted are requests with a secret where none belongs.
func (a *aviary) posted(c *browser) {
	a.t.Helper()
	n := a.List()[0]
	secret := a.flock.New("secret in a request")
	asJSON, err := json.Marshal(secret)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, body := range []string{
		`{"sources": [{"name": "x", "text": "y", "password": ` + string(asJSON) + `}]}`, `{"password": ` + string(asJSON) + `}`, `{"sources": ` + string(asJSON) + `}`,
		`{"sources": [{"name": "x", "text": ` + string(asJSON) + `}]}`, string(asJSON), secret, `{"sources": ` + secret,
	} {
		status, answer := c.do(a.t, http.MethodPost, n, "/v1/apply", true, strings.NewReader(body))
		if status < 400 {
			a.t.Errorf("%s: %d", body, status)
		}
		a.clean("the answer to a bad request", answer)
	}
	status, answer := c.get(a.t, n, "/v1/status?token="+url.QueryEscape(secret), true)
	if status < 400 {
		a.t.Errorf("a parameter that is not known: %d", status)
	}
	a.clean("the answer to a bad parameter", answer)
}

// browser asks nodes as anybody does.
type browser struct {
	http  *http.Client
	token string
}

func (a *aviary) browser() *browser {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.read(a.caFile()))
	conns := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	a.t.Cleanup(conns.CloseIdleConnections)
	return &browser{&http.Client{Transport: conns, Timeout: 30 * time.Second}, a.options.Token}
}

func (b *browser) get(t testing.TB, n *Node, path string, known bool) (int, []byte) {
	t.Helper()
	return b.do(t, http.MethodGet, n, path, known, nil)
}

// do asks, with the token if the caller is known.
func (b *browser) do(t testing.TB, method string, n *Node, path string, known bool, body io.Reader) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://"+n.HTTP+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if known {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	answer, err := b.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(fmt.Errorf("%s: %w", path, err))
	}
	return answer.StatusCode, text
}
