package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// TransferRequest says who is to lead.
type TransferRequest struct {
	Node string `json:"node,omitempty" doc:"Name of a voter; empty: the one that is best off."`
}

// States of who leads after a transfer.
const (
	StateLeads      = "leads"
	StateLedAlready = "led-already"
)

func leadershipRoutes(s *Server, h huma.API) {
	type transferInput struct{ Body TransferRequest }
	route(h, http.MethodPost, "/v1/leadership", "transferLeadership", "Hand leadership over to a voter; the answer comes once that one has proven that it leads",
		func(ctx context.Context, in *transferInput) (Ack, error) { return transfer(ctx, s, in.Body.Node) })
}

// transfer hands leadership over, through whichever node is asked.
func transfer(ctx context.Context, s *Server, name string) (Ack, error) {
	if s.Successor == nil {
		return Ack{}, problem(http.StatusNotImplemented, CodeUnavailable, "", "this node hands no leadership over")
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	id := ""
	if name != "" {
		node := findNode(s.Control.View(), name)
		if node == nil {
			return Ack{}, notFound("node", name)
		}
		id = node.ID
	}
	from, to, err := s.Successor.TransferLeadership(ctx, id, actOf(ctx, s))
	if err != nil {
		return Ack{}, err
	}
	ack := s.memberAck(to, StateLeads)
	if ack.Leader = ack.Name; from == to {
		ack.State = StateLedAlready
	}
	return ack, nil
}

// TransferLeadership hands leadership to a voter, or where none is named to the
// one that is best off.
func TransferLeadership(ctx context.Context, c *Client, node string) (*Ack, error) {
	return post[Ack](ctx, c, "/v1/leadership", TransferRequest{node}, "`sluice cluster members`")
}
