package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

func (s *Server) verifyRoutes(h huma.API) {
	type startInput struct{ Body VerifyRequest }
	route(h, http.MethodPost, "/v1/verify", "startVerify", "Compare both sides of a link record by record, on this node",
		func(ctx context.Context, in *startInput) (Verify, error) {
			if _, err := linkNamed(s.Control.View(), in.Body.Link); err != nil {
				return Verify{}, err
			}
			return s.verify(func(v Verifier) (VerifyJob, error) { return v.Start(ctx, in.Body) })
		})
	route(h, http.MethodGet, "/v1/verify", "listVerify", "The comparisons in this node's memory",
		func(_ context.Context, _ *struct{}) (List[VerifyJob], error) {
			out := List[VerifyJob]{s.picture().meta("VerifyList"), []VerifyJob{}}
			if s.Verify != nil {
				for _, j := range s.Verify.List() {
					out.Items = append(out.Items, j.filled())
				}
			}
			return out, nil
		})
	type idInput struct {
		ID string `path:"id"`
	}
	route(h, http.MethodGet, "/v1/verify/{id}", "getVerify", "How a comparison goes, or what it found",
		func(_ context.Context, in *idInput) (Verify, error) {
			return s.verify(func(v Verifier) (VerifyJob, error) { return v.Get(in.ID) })
		})
	route(h, http.MethodDelete, "/v1/verify/{id}", "cancelVerify", "Stop a comparison",
		func(_ context.Context, in *idInput) (Verify, error) {
			return s.verify(func(v Verifier) (VerifyJob, error) {
				if err := v.Cancel(in.ID); err != nil {
					return VerifyJob{}, err
				}
				return v.Get(in.ID)
			})
		})
}

func (s *Server) verify(do func(Verifier) (VerifyJob, error)) (Verify, error) {
	if s.Verify == nil {
		return Verify{}, problem(http.StatusNotImplemented, CodeUnavailable, "ask another node", "this node cannot verify")
	}
	job, err := do(s.Verify)
	return Verify{s.picture().meta("Verify"), job.filled()}, err
}

// filled has empty lists where there are none.
func (j VerifyJob) filled() VerifyJob {
	j.Topics = nonNil(j.Topics)
	j.Faults, j.LeftOut, j.Ranges = full(j.Faults), full(j.LeftOut), full(j.Ranges)
	return j
}

// full is an empty list instead of none.
func full[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
