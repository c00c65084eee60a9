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
	Consistent bool   `query:"consistent" doc:"Ask the leader first, so that the answer holds all that was committed before."`
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
	schema := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: maxBody,
		Responses: map[string]*huma.Response{"default": {
			Description: "What went wrong, as RFC 9457 words it.",
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
		}},
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

// reading registers one that answers from a picture, as fresh as was
// asked for.
func reading[I interface{ freshness() ReadParams }, O any](s *Server, h huma.API, path, id, summary string, do func(*picture, *I) (O, error)) {
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
	index := r.MinIndex
	if r.Consistent {
		confirmed, err := s.Control.Confirm(ctx)
		if err != nil {
			return nil, err
		}
		index = max(index, confirmed)
	}
	if err := s.Control.WaitIndex(ctx, index); err != nil {
		return nil, problem(http.StatusGatewayTimeout, CodeTimeout, "ask another node, or ask again",
			"this node has index %d and waited for %d", s.Control.View().Index, index)
	}
	return s.picture(), nil
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
	reading(s, h, "/v1/status", "getStatus", "The whole picture, with or without a leader",
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
