package api

import (
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// New builds the server; it starts nothing.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	tokens, err := cfg.tokens()
	if err != nil {
		return nil, err
	}
	s := &Server{Parts: parts, cfg: cfg, tokens: tokens}
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
	healthRoutes(s, h)
	leadershipRoutes(s, h)
	admissionRoutes(s, h)
	s.verifyRoutes(h)
	s.operationRoutes(h)
	snapshotRoutes(s, h)
	adoptRoutes(s, h)
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

// readyz is good when a leader has confirmed this node's facts lately. It is
// public, so that it names no node.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if st := s.Cluster.State(); !st.Quorum {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "no leader has confirmed this node's facts lately")
		if len(st.Obstacles) > 0 {
			fmt.Fprint(w, "; `sluice status` says what keeps it from the others")
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintln(w, "ok")
}
