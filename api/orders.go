package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
)

// OrderEnd ends streams whose source topic is gone.
const OrderEnd = "end"

func (s *Server) orderRoutes(h huma.API) {
	type orderInput struct {
		LinkPath
		Body StreamSelector
	}
	for order, summary := range map[fsm.Order]string{
		fsm.OrderRetry:    "Try stopped streams again from the same position",
		fsm.OrderContinue: "Go on behind what is lost; the gap is recorded",
		fsm.OrderRecopy:   "Copy again from the log start, once the target is emptied, recreated, or deleted",
		OrderEnd:          "End streams whose source topic was deleted; the target keeps its records",
	} {
		route(h, http.MethodPost, "/v1/links/{name}/"+string(order), string(order)+"Link", summary,
			func(ctx context.Context, in *orderInput) (Ack, error) { return s.order(ctx, in.Name, in.Body, order) })
	}
}

// order gives the streams named an order. The answer says how many took it.
func (s *Server) order(ctx context.Context, name string, sel StreamSelector, order fsm.Order) (Ack, error) {
	if sel.Topic == "" && sel.Partition != nil {
		return Ack{}, problem(http.StatusUnprocessableEntity, CodeInvalid, "name the topic too", "a partition without its topic")
	}
	if order == OrderEnd && sel.Partition != nil {
		return Ack{}, problem(http.StatusUnprocessableEntity, CodeInvalid, "leave the partition out", "a topic's streams end together")
	}
	streams := 0
	var asked map[fsm.TaskID]uint32
	r, err := s.decide(ctx, func(v *fsm.View, again bool) (fsm.Command, error) {
		l, err := linkNamed(v, name)
		if err != nil {
			return nil, err
		}
		now := takers(v, l.ID, sel, order)
		if again {
			maps.DeleteFunc(now, func(id fsm.TaskID, attempt uint32) bool {
				before, known := asked[id]
				return !known || before != attempt
			})
			if len(now) == 0 {
				return nil, nil // the first command was carried out
			}
		} else {
			asked, streams = now, len(now)
		}
		act := actOf(ctx, s, fsm.Deed{Link: name, Text: fmt.Sprintf("%s %s of link %s", order, sel.words(), name)})
		return ordering(v, l, sel, order, s.asked(v), act), nil
	})
	if err != nil {
		return Ack{}, err
	}
	a := ack(s.picture(), name, "LinkOrder")
	a.State, a.Revision, a.Streams = string(order), r.Index, &streams
	return a, nil
}

// ordering is the command that gives an order for the stops of a View; by is the
// node that was asked.
func ordering(v *fsm.View, l *fsm.Link, sel StreamSelector, order fsm.Order, by string, act *fsm.Act) fsm.Command {
	at := time.Now().UnixMilli()
	if order == OrderEnd {
		c := &fsm.StreamsEnd{Link: l.ID, Gone: true, Reason: "an operator ended them, because the source topic was deleted", By: by, Act: act, At: at, Seen: v.Seen()}
		if sel.Topic != "" {
			c.Topics = []string{sel.Topic}
		}
		return c
	}
	partition := int32(-1)
	if sel.Partition != nil {
		partition = *sel.Partition
	}
	return &fsm.TaskOrder{Link: l.ID, Topic: sel.Topic, Partition: partition, Order: order, Act: act, At: at, Seen: v.Seen()}
}

// words names the streams for a person.
func (s *StreamSelector) words() string {
	switch {
	case s.Topic == "":
		return "all streams"
	case s.Partition == nil:
		return "topic " + s.Topic
	}
	return fmt.Sprintf("%s/%d", s.Topic, *s.Partition)
}

// takers are the streams that an order is still to be given to, and how often
// each was given one before.
func takers(v *fsm.View, link fsm.LinkID, sel StreamSelector, order fsm.Order) map[fsm.TaskID]uint32 {
	out := map[fsm.TaskID]uint32{}
	for t := range v.Tasks {
		if t.Kind != fsm.KindCopy || t.Link != link || !sel.Means(t.Copy.Stream.Topic, t.Copy.Stream.Partition) {
			continue
		}
		stop := t.Copy.Stop
		takes := stop == nil && order == fsm.OrderRetry
		switch {
		case stop == nil:
		case order == OrderEnd:
			takes = stop.Code == fsm.CodeSourceDeleted
		default:
			takes = t.Copy.Order != order
		}
		if takes {
			out[t.ID] = t.Copy.Attempt
		}
	}
	return out
}

// Means reports whether the selector names a stream, by its source.
func (s *StreamSelector) Means(topic string, partition int32) bool {
	return s.Topic == "" || s.Topic == topic && (s.Partition == nil || *s.Partition == partition)
}
