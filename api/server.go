package api

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"sluice/gate"

	"github.com/danielgtaylor/huma/v2"
)

// Parts are what a Server speaks for. Successor, Preflight, Claims, Secret, Verify,
// Metrics and Web may be nil: what rests on them says that it is not available.
type Parts struct {
	Control   Control
	Cluster   Cluster
	Successor Successor
	Preflight Preflighter
	Claims    Claimer
	Secret    func(reference string) error // why it cannot be read here; nil: nobody looks
	Verify    Verifier
	Metrics   http.Handler // at /metrics
	Web       http.Handler // at /, free of secrets: it is served without a token
	Version   string       // of this build
	Log       *slog.Logger
}

// Server answers HTTP requests.
type Server struct {
	Parts
	cfg     Config
	tokens  []token // empty: none is asked for
	handler http.Handler
	openapi *huma.OpenAPI

	changing atomic.Int64 // requests for changes that are under way
}

// Handler is the whole of the API.
func (s *Server) Handler() http.Handler { return s.handler }

// Run answers requests on the listener until ctx ends, then lets those under
// way finish: for a moment, or until every change has its answer.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.handler, ConnContext: withPass, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	err := finish(srv, graceOfReads)
	for begun := time.Now(); err != nil && s.changing.Load() > 0 && time.Since(begun) < graceOfChanges; {
		err = finish(srv, graceOfReads/10)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// passKey is that of a connection's *gate.Pass in the context of its requests.
type passKey struct{}

func withPass(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if c, ok := c.(*gate.Conn); ok {
		return context.WithValue(ctx, passKey{}, c.Pass)
	}
	return ctx
}

// How long requests may take to finish when the node ends. Who asked for a
// change (to leave, for one) cannot see otherwise what came of it.
const (
	graceOfReads   = 2 * time.Second
	graceOfChanges = 10 * time.Second
)

// finish lets nobody in any more and waits for the requests under way.
func finish(srv *http.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return srv.Shutdown(ctx)
}

// authorize lets in who may: the right token where one is set; else only
// requests that name this machine itself, so that no foreign page in a browser
// can speak to the API through a name of its own.
func (s *Server) authorize(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem(http.StatusForbidden, CodeUnauthorized, "use this node's own page, or `sluice`", "%v", foreign.Check(r)))
	}))
	next = foreign.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		name, ok := s.tokenOf(r)
		switch {
		case public(r.URL.Path):
		case !ok:
			h.Set("WWW-Authenticate", "Bearer")
			what, do := "this API asks for a token", "give --token-file the file that holds it"
			if r.Header.Get("Authorization") != "" {
				what, do = "this API does not know the token that was given", "give --token-file the file of one that stands in http.tokenFile of that node; a node reads it when it starts"
			}
			writeProblem(w, problem(http.StatusUnauthorized, CodeUnauthorized, do, "%s", what))
			return
		case name == "" && !local(r.Host):
			writeProblem(w, problem(http.StatusForbidden, CodeUnauthorized, "use 127.0.0.1, or set tls and tokenFile", "this API answers only under a loopback address, not as %s", r.Host))
			return
		}
		if pass, ok := r.Context().Value(passKey{}).(*gate.Pass); ok && (name != "" || len(s.tokens) == 0) {
			pass.Proven()
		}
		if r.Method != http.MethodGet {
			s.changing.Add(1)
			defer s.changing.Add(-1)
		}
		next.ServeHTTP(w, withCaller(r, name))
	})
}

// public tells the paths that need no token: probes, and the page, which is
// empty until it has asked the API.
func public(path string) bool { return path == "/livez" || path == "/readyz" || !ofAPI(path) }

func ofAPI(path string) bool { return strings.HasPrefix(path, "/v1") || path == "/metrics" }

// tokenOf names the token that a request shows; empty: none is asked for.
func (s *Server) tokenOf(r *http.Request) (name string, ok bool) {
	got, shown := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	for _, t := range s.tokens {
		if shown && subtle.ConstantTimeCompare([]byte(got), t.secret) == 1 {
			return t.name, true
		}
	}
	return "", len(s.tokens) == 0
}

func local(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return loopback(host)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller has gone
}
