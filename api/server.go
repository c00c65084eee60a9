package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Parts are what a Server speaks for. Preflight, Verify, Metrics and
// Web may be nil: what rests on them says that it is not available.
type Parts struct {
	Control   Control
	Cluster   Cluster
	Preflight Preflighter
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
	token   []byte
	handler http.Handler
	openapi *huma.OpenAPI
}

// New builds the server; it starts nothing.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	token, err := cfg.token()
	if err != nil {
		return nil, err
	}
	s := &Server{Parts: parts, cfg: cfg, token: token}
	s.handler = s.authorize(s.routes())
	return s, nil
}

// routes registers every operation.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	hc := huma.DefaultConfig("Sluice", s.Version)
	hc.Info.Description = "Keeps Apache Kafka clusters in step. Every answer carries the index and the age of the facts that it rests on."
	hc.OpenAPIPath, hc.DocsPath, hc.SchemasPath = "/v1/openapi", "", ""
	hc.CreateHooks = nil
	hc.Transformers = []huma.Transformer{reword}
	hc.RejectUnknownQueryParameters = true
	h := humago.New(mux, hc)
	s.statusRoutes(h)
	s.linkRoutes(h)
	s.objectRoutes(h)
	s.memberRoutes(h)
	s.verifyRoutes(h)
	s.operationRoutes(h)
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // replaced by Problem
		delete(h.OpenAPI().Components.Schemas.Map(), name)
	}
	s.openapi = h.OpenAPI()

	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, CodeNotFound, "see /v1/openapi.json for what there is", "there is no %s %s", r.Method, r.URL.Path))
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	if s.Web != nil {
		mux.Handle("/", s.Web)
	}
	return mux
}

// readyz is good when a leader has confirmed this node's facts lately.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if st := s.Cluster.State(); !st.Quorum {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "no leader has confirmed this node's facts lately")
		return
	}
	fmt.Fprintln(w, "ok")
}

// Handler is the whole of the API.
func (s *Server) Handler() http.Handler { return s.handler }

// Run answers requests on the listener until ctx ends, then lets those under
// way finish for a moment.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-ended
	return err
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
		switch {
		case public(r.URL.Path):
		case s.token != nil && !s.hasToken(r):
			h.Set("WWW-Authenticate", "Bearer")
			writeProblem(w, problem(http.StatusUnauthorized, CodeUnauthorized, "give --token-file the file that holds it", "this API asks for a token"))
			return
		case s.token == nil && !local(r.Host):
			writeProblem(w, problem(http.StatusForbidden, CodeUnauthorized, "use 127.0.0.1, or set tls and tokenFile", "this API answers only under a loopback address, not as %s", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// public tells the paths that need no token: probes, and the page, which is
// empty until it has asked the API.
func public(path string) bool { return path == "/livez" || path == "/readyz" || !ofAPI(path) }

func ofAPI(path string) bool { return strings.HasPrefix(path, "/v1") || path == "/metrics" }

func (s *Server) hasToken(r *http.Request) bool {
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(got), s.token) == 1
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
