package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
)

func (s *Server) linkRoutes(h huma.API) {
	reading(s, h, "/v1/links", "listLinks", "All links, worst first",
		func(p *picture, _ *ReadParams) (List[Link], error) {
			return List[Link]{p.meta("LinkList"), p.links(p.tasks(func(*fsm.Task) bool { return true }))}, nil
		})
	type getInput struct {
		LinkPath
		ReadParams
	}
	reading(s, h, "/v1/links/{name}", "getLink", "One link with all its tasks",
		func(p *picture, in *getInput) (LinkDetail, error) {
			l := p.v.LinkNamed(in.Name)
			if l == nil {
				return LinkDetail{}, notFound("link", in.Name)
			}
			tasks := p.tasks(func(t *fsm.Task) bool { return t.Link == l.ID })
			return p.linkDetail(l, tasks), nil
		})
	for verb, state := range map[string]string{"pause": fsm.StatePaused, "resume": fsm.StateRunning} {
		route(h, http.MethodPost, "/v1/links/{name}/"+verb, verb+"Link", "Link state "+state+"; done when unconfirmed is empty",
			func(ctx context.Context, in *LinkPath) (Ack, error) { return s.setState(ctx, in.Name, verb, state) })
	}
	s.orderRoutes(h)
	route(h, http.MethodDelete, "/v1/links/{name}", "deleteLink", "Delete a link, the target keeps its data; done when it is no longer there",
		func(ctx context.Context, in *LinkPath) (Ack, error) { return s.deleteLink(ctx, in.Name) })
}

// setState expects the link as it is: whatever else was changed meanwhile, the
// state is decided on again.
func (s *Server) setState(ctx context.Context, name, verb, state string) (Ack, error) {
	return s.changeLink(ctx, name, func(v *fsm.View, _ bool) (fsm.Command, error) {
		l, err := linkNamed(v, name)
		if err != nil || l.Spec.State == state {
			return nil, err
		}
		spec := l.Spec
		spec.State = state
		return &fsm.Objects{
			Links: []fsm.LinkPut{{Spec: spec}}, Expect: []fsm.Expectation{{Link: name, Revision: l.Revision}}, At: time.Now().UnixMilli(),
			Act: actOf(ctx, s, fsm.Deed{Link: name, Text: verb + " link " + name}),
		}, nil
	})
}

// deleteLink marks the link; it is gone when its owners have confirmed.
func (s *Server) deleteLink(ctx context.Context, name string) (Ack, error) {
	return s.changeLink(ctx, name, func(v *fsm.View, again bool) (fsm.Command, error) {
		l := v.LinkNamed(name)
		switch {
		case l == nil && again, l != nil && l.Deleting:
			return nil, nil
		case l == nil:
			return nil, notFound("link", name)
		}
		return &fsm.Objects{
			DeleteLinks: []string{name}, Expect: []fsm.Expectation{{Link: name, Revision: l.Revision}}, By: s.asked(v), At: time.Now().UnixMilli(),
			Act: actOf(ctx, s, fsm.Deed{Link: name, Text: "delete link " + name}),
		}, nil
	})
}

// changeLink makes one change and says what holds then.
func (s *Server) changeLink(ctx context.Context, name string, build func(v *fsm.View, again bool) (fsm.Command, error)) (Ack, error) {
	if _, err := s.decide(ctx, build); err != nil {
		return Ack{}, err
	}
	return ack(s.picture(), name, "LinkState"), nil
}
