package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/pki"
)

// serve runs the API as a node does, until the test ends, and returns its
// address.
func serve(t *testing.T, cfg api.Config, control api.Control, cluster api.Cluster) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	var pair *pki.Store
	var err error
	if cfg.Cert != "" {
		if pair, err = pki.Open(pki.Files{Cert: cfg.Cert, Key: cfg.Key}, "", "", log); err != nil {
			t.Fatal(err)
		}
	}
	l, err := cfg.Open(pair, log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(cfg, api.Parts{Control: control, Cluster: cluster, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the end: %v", err)
		}
	})
	return l.Addr().String()
}

// waiter tells when a request waits for an index.
type waiter struct {
	*apitest.Cluster
	waits chan struct{}
}

func (w *waiter) WaitIndex(ctx context.Context, index uint64) error {
	if index > w.View().Index {
		close(w.waits)
	}
	return w.Cluster.WaitIndex(ctx, index)
}

// TestRunLetsRequestsFinish: who asked before the end gets an answer.
func TestRunLetsRequestsFinish(t *testing.T) {
	f := &waiter{apitest.New(t), make(chan struct{})}
	cfg := api.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	l, err := cfg.Open(nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(cfg, api.Parts{Control: f, Cluster: f, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended, answered := make(chan error, 1), make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{l.Addr().String()}, MinIndex: f.View().Index + 1})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := c.Links(t.Context())
		answered <- err
	}()
	<-f.waits
	stop()
	for { // new callers are turned away first
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	f.Do(&fsm.Barrier{})
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Run(t.Context(), l); err == nil || !strings.Contains(err.Error(), "serving HTTP") {
		t.Errorf("on a closed port: %v", err)
	}
}

// slow is a control whose changes take longer than a node waits for readers
// when it ends.
type slow struct {
	*apitest.Cluster
	begun chan struct{}
}

func (s slow) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	close(s.begun)
	<-time.After(2200 * time.Millisecond)
	return s.Cluster.Propose(ctx, c)
}

// TestChangesGetTheirAnswer although the node ends: their callers could not see
// otherwise what came of them.
func TestChangesGetTheirAnswer(t *testing.T) {
	t.Parallel()
	f := apitest.New(t)
	f.WithLink(1)
	cfg := api.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	l, err := cfg.Open(nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	control := slow{f, make(chan struct{})}
	s, err := api.New(cfg, api.Parts{Control: control, Cluster: f, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	go func() {
		<-control.begun
		stop()
	}()
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pause(t.Context(), "us-eu"); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOpenFailsBeforeAnythingStarts(t *testing.T) {
	cfg := api.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	l, err := cfg.Open(nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := cfg
	taken.Listen = l.Addr().String()
	if _, err := taken.Open(nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "listening for HTTP: listen tcp "+taken.Listen) {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*api.Config){
		`listen "0.0.0.0:80" is reachable from outside`: func(c *api.Config) { c.Listen = "0.0.0.0:80" },
		"cert and key go together":                      func(c *api.Config) { c.Key = "k" },
		"timeout 0s is not positive":                    func(c *api.Config) { c.Timeout = 0 },
		"reading token file: no such file or directory": func(c *api.Config) { c.TokenFile = "/none" },
		"holds a name of 16 characters or more":         func(c *api.Config) { c.TokenFile = writeFile(t, "swapped", "0123456789abcdef alice-of-operations\n") },
		"holds a token of less than 16 characters":      func(c *api.Config) { c.TokenFile = writeFile(t, "token", "  short  \n") },
	} {
		cfg := api.DefaultConfig()
		change(&cfg)
		if _, err := api.New(cfg, api.Parts{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestObstaclesAreTold: what keeps a node from the others is a problem in its
// status; its readiness, which anybody may ask for, names no node.
func TestObstaclesAreTold(t *testing.T) {
	f := apitest.New(t)
	const why = "TLS: the certificate of n2.example:7400 has expired at 2026-01-01T00:00:00Z"
	f.With(func(f *apitest.Cluster) { f.Status.Quorum, f.Status.Obstacles = false, []string{why} })
	srv, c := f.Serve(nil)
	s, err := c.Status(t.Context(), 0, 0)
	if err != nil || s.Health != api.Unhealthy || !slices.Contains(s.Problems, why) {
		t.Errorf("%q %v", s.Problems, err)
	}
	resp, err := http.Get(srv.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := "no leader has confirmed this node's facts lately; `sluice status` says what keeps it from the others\n"; err != nil || string(body) != want {
		t.Errorf("%s %v", body, err)
	}
}

// TestReadyOnlyWithALeader, alive without one.
func TestReadyOnlyWithALeader(t *testing.T) {
	f := apitest.New(t)
	f.With(func(f *apitest.Cluster) { f.Status.Quorum = false })
	srv, _ := f.Serve(func(_ *api.Config, p *api.Parts) {
		p.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sluice_up 1\n") })
	})
	for path, want := range map[string]string{
		"/livez": "200 OK: ok\n", "/readyz": "503 Service Unavailable: no leader has confirmed this node's facts lately\n", "/metrics": "200 OK: sluice_up 1\n",
	} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := resp.Status + ": " + string(body); err != nil || got != want {
			t.Errorf("%s: %s %v", path, got, err)
		}
	}
}

// TestReadGivesUpOnAnIndex that this node does not get.
func TestReadGivesUpOnAnIndex(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(func(cfg *api.Config, _ *api.Parts) { cfg.Timeout = time.Millisecond })
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{srv.URL}, MinIndex: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var p *api.Problem
	if _, err := c.Members(t.Context()); !errors.As(err, &p) || p.Status != 504 || p.Code != api.CodeTimeout || p.Detail != "this node has index 4 and waited for 1000" {
		t.Errorf("%+v", err)
	}
}

// TestMalformedRequests: what is at fault, and where.
func TestMalformedRequests(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	srv, _ := f.Serve(nil)
	for _, x := range []struct {
		name, path, body, want string
		status                 int
	}{
		{"no JSON", "/v1/apply", "links:", "body", 400},
		{"no body", "/v1/apply", "", "body", 400},
		{"no sources", "/v1/apply", `{"sources": []}`, "body.sources", 422},
		{"a typo", "/v1/apply", `{"sources": [{"name": "a", "text": "b"}], "dry_run": true}`, "body.dry_run", 422},
		{"a negative partition", "/v1/links/us-eu/retry", `{"topic": "orders", "partition": -1}`, "body.partition", 422},
		{"too large", "/v1/apply", `{"sources": [{"name": "a", "text": "` + strings.Repeat("x", 9<<20) + `"}]}`, "too large", 413},
		{"no such act", "/v1/links/us-eu/stop", "", "there is no POST /v1/links/us-eu/stop", 404},
	} {
		resp, err := http.Post(srv.URL+x.path, "application/json", strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != x.status || !strings.Contains(string(body), x.want) || !strings.Contains(string(body), `"code":`) {
			t.Errorf("%s: %d %s", x.name, resp.StatusCode, body)
		}
	}
}

// TestTheRestOfALargeBodyIsNoRequest: once the remainder of a body that was
// too large was read as the next request on its connection.
func TestTheRestOfALargeBodyIsNoRequest(t *testing.T) {
	f := apitest.New(t)
	srv, _ := f.Serve(nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const smuggled = "POST /v1/leave HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
	body := strings.Repeat("x", 8<<20) + strings.Repeat(smuggled, 10_000)
	go func() { // fails once the server has hung up
		_, _ = fmt.Fprintf(conn, "POST /v1/apply HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answers, _ := io.ReadAll(conn) // perhaps reset
	if n := strings.Count(string(answers), "HTTP/1.1 "); n > 1 || f.Left {
		t.Errorf("%d answers, left %v", n, f.Left)
	}
}
