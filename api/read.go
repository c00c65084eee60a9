package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/manifest"
)

// ReadParams are understood by every read.
type ReadParams struct {
	Consistent bool   `query:"consistent" doc:"Fail unless the leader says that the answer holds all that was committed before. Without it the leader is asked too, and the answer may be older when there is none."`
	MinIndex   uint64 `query:"minIndex" doc:"Wait until this node has that index, as a change returned it."`
}

func (r ReadParams) freshness() ReadParams { return r }

// What a request's body may hold, in bytes: 64 KiB, and objects as text with
// what JSON puts before quotes and line breaks.
const (
	maxBody  = 64 << 10
	maxApply = 2 * manifest.MaxText
)

// applyPath takes the largest bodies.
const applyPath = "/v1/apply"

// answer is an answer with a body.
type answer[T any] struct{ Body T }

// route registers one operation; errors are Problems.
func route[I, O any](h huma.API, method, path, id, summary string, do func(context.Context, *I) (O, error)) {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: maxBody,
		Responses: map[string]*huma.Response{"default": goesWrong(h)},
	}
	if path == applyPath {
		op.MaxBodyBytes = maxApply
	}
	huma.Register(h, op, func(ctx context.Context, in *I) (*answer[O], error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, asProblem(err)
		}
		return &answer[O]{out}, nil
	})
}

// goesWrong describes a Problem.
func goesWrong(h huma.API) *huma.Response {
	schema := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	return &huma.Response{
		Description: "What went wrong, as RFC 9457 words it.",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
}

// reading registers one that answers from facts, as fresh as was asked for. A
// node to which no leader has confirmed any since it started refuses: after the
// loss of a quorum it may hold few of them, or none.
func reading[I interface{ freshness() ReadParams }, O any](s *Server, h huma.API, path, id, summary string, do func(*picture, *I) (O, error)) {
	seeing(s, h, path, id, summary, func(p *picture, in *I) (out O, err error) {
		if p.state.Confirmed.IsZero() {
			return out, problem(http.StatusServiceUnavailable, CodeNoLeader, "see `sluice status` and `sluice cluster members`, or ask another node",
				"no leader has confirmed what node %s knows since it started: it may be old, or nothing", p.nodeName(p.state.NodeID))
		}
		return do(p, in)
	})
}

// seeing registers one that answers whatever this node knows, as fresh as was
// asked for; the answer says who has confirmed it.
func seeing[I interface{ freshness() ReadParams }, O any](s *Server, h huma.API, path, id, summary string, do func(*picture, *I) (O, error)) {
	route(h, http.MethodGet, path, id, summary, func(ctx context.Context, in *I) (out O, err error) {
		p, err := s.read(ctx, (*in).freshness())
		if err != nil {
			return out, err
		}
		return do(p, in)
	})
}

// read gathers a picture that is as fresh as was asked for.
func (s *Server) read(ctx context.Context, r ReadParams) (*picture, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	confirmed, err := confirmed(ctx, s, r.Consistent)
	if err != nil {
		return nil, err
	}
	index := max(r.MinIndex, confirmed)
	if err := s.Control.WaitIndex(ctx, index); err != nil {
		return nil, problem(http.StatusGatewayTimeout, CodeTimeout, "ask another node, or ask again",
			"this node has index %d and waited for %d", s.Control.View().Index, index)
	}
	return s.picture(), nil
}

// confirmWithin bounds how long a read waits for a leader that it can do
// without.
const confirmWithin = time.Second

// confirmed asks the leader for an index that holds all that was committed
// before, unless there is none and the read can do without: then it is 0.
func confirmed(ctx context.Context, s *Server, must bool) (uint64, error) {
	if must {
		return s.Control.Confirm(ctx)
	}
	if !s.Cluster.State().Quorum {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	index, err := s.Control.Confirm(ctx)
	if err != nil {
		s.Log.Debug("reading without the leader", "error", err)
	}
	return index, nil
}

// picture gathers what this node knows now, without waiting.
func (s *Server) picture() *picture {
	return newPicture(s.Control.View(), s.Cluster.State(), s.Cluster.Members(), time.Now())
}

func (s *Server) statusRoutes(h huma.API) {
	type statusInput struct {
		ReadParams
		Tasks  int `query:"tasks" default:"100" minimum:"0" maximum:"100000" doc:"How many tasks at most."`
		Events int `query:"events" default:"20" minimum:"0" maximum:"1000" doc:"How many events at most."`
	}
	seeing(s, h, "/v1/status", "getStatus", "The whole picture, with or without a leader",
		func(p *picture, in *statusInput) (Status, error) { return p.status(in.Tasks, in.Events), nil })
	type eventsInput struct {
		ReadParams
		Link  string    `query:"link" doc:"Only of this link."`
		Since time.Time `query:"since" doc:"Only those that happened (again) at or after this time, RFC 3339."`
		Limit int       `query:"limit" default:"200" minimum:"1" maximum:"10000"`
	}
	reading(s, h, "/v1/events", "listEvents", "Events, newest first",
		func(p *picture, in *eventsInput) (Events, error) {
			if in.Link != "" && !p.knows(in.Link) {
				return Events{}, notFound("link", in.Link)
			}
			return p.events(eventQuery{link: in.Link, since: in.Since, limit: in.Limit}), nil
		})
}
