package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
)

// LinkPath names a link in the path.
type LinkPath struct {
	Name string `path:"name" maxLength:"63"`
}

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
			return LinkDetail{p.meta("Link"), p.link(l, tasks), tasks, p.events(eventQuery{link: in.Name, limit: 50}).Items}, nil
		})
	for verb, state := range map[string]string{"pause": fsm.StatePaused, "resume": fsm.StateRunning} {
		route(h, http.MethodPost, "/v1/links/{name}/"+verb, verb+"Link", "Link state "+state+"; done when unconfirmed is empty",
			func(ctx context.Context, in *LinkPath) (Ack, error) { return s.setState(ctx, in.Name, state) })
	}
	s.orderRoutes(h)
	route(h, http.MethodDelete, "/v1/links/{name}", "deleteLink", "Delete a link, the target keeps its data; done when it is no longer there",
		func(ctx context.Context, in *LinkPath) (Ack, error) { return s.deleteLink(ctx, in.Name) })
}

func (s *Server) orderRoutes(h huma.API) {
	type orderInput struct {
		LinkPath
		Body StreamSelector
	}
	for order, summary := range map[fsm.Order]string{
		fsm.OrderRetry:    "Try stopped streams again from the same position",
		fsm.OrderContinue: "Go on behind what is lost; the gap is recorded",
		fsm.OrderRecopy:   "Copy again from the log start, once the target is emptied or recreated",
	} {
		route(h, http.MethodPost, "/v1/links/{name}/"+string(order), string(order)+"Link", summary,
			func(ctx context.Context, in *orderInput) (Ack, error) { return s.order(ctx, in.Name, in.Body, order) })
	}
}

func (s *Server) setState(ctx context.Context, name, state string) (Ack, error) {
	return s.changeLink(ctx, name, func(v *fsm.View, _ bool) (fsm.Command, error) {
		l, err := linkNamed(v, name)
		if err != nil || l.Spec.State == state {
			return nil, err
		}
		return &fsm.LinkState{Link: l.ID, State: state, At: time.Now().UnixMilli()}, nil
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

func (s *Server) order(ctx context.Context, name string, sel StreamSelector, order fsm.Order) (Ack, error) {
	if sel.Topic == "" && sel.Partition != nil {
		return Ack{}, problem(http.StatusUnprocessableEntity, CodeInvalid, "name the topic too", "a partition without its topic")
	}
	partition := int32(-1)
	if sel.Partition != nil {
		partition = *sel.Partition
	}
	r, err := s.decide(ctx, func(v *fsm.View, again bool) (fsm.Command, error) {
		l, err := linkNamed(v, name)
		if err != nil {
			return nil, err
		}
		if again && !ordered(v, l.ID, sel.Topic, partition, order) {
			return nil, nil // the first command was carried out
		}
		return &fsm.TaskOrder{Link: l.ID, Topic: sel.Topic, Partition: partition, Order: order, At: time.Now().UnixMilli()}, nil
	})
	if err != nil {
		return Ack{}, err
	}
	a := ack(s.picture(), name, "LinkOrder")
	a.State, a.Revision = string(order), r.Index
	return a, nil
}

// ordered reports whether a stream still waits for the order to be given.
func ordered(v *fsm.View, link fsm.LinkID, topic string, partition int32, order fsm.Order) bool {
	for t := range v.Tasks {
		if t.Kind == fsm.KindCopy && t.Link == link && t.Copy.Stop != nil && t.Copy.Order != order &&
			(topic == "" || t.Copy.Stream.Topic == topic && (partition < 0 || t.Copy.Stream.Partition == partition)) {
			return true
		}
	}
	return false
}

// ack shows what holds for a link now.
func ack(p *picture, name, kind string) Ack {
	a := Ack{Meta: p.meta(kind), Name: name, State: "deleted", Revision: p.v.Index, Unconfirmed: []string{}}
	if l := p.v.LinkNamed(name); l != nil {
		a.State, a.Revision, a.Unconfirmed = l.Spec.State, l.Revision, p.unconfirmed(l)
		if l.Deleting {
			a.State = "deleting"
			if o := p.v.OperationOn(l.ID, fsm.OperationDeleteLink); o != nil {
				a.Operation = &o.ID
			}
		}
	}
	return a
}
