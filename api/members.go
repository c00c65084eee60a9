package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
)

func (s *Server) memberRoutes(h huma.API) {
	seeing(s, h, "/v1/members", "listMembers", "The nodes, those that are not well first",
		func(p *picture, _ *ReadParams) (List[Node], error) {
			return List[Node]{p.meta("MemberList"), p.nodes()}, nil
		})
	type nameInput struct {
		Name string `path:"name"`
	}
	route(h, http.MethodDelete, "/v1/members/{name}", "removeMember", "Take out a node that is gone for good",
		func(ctx context.Context, in *nameInput) (Ack, error) { return s.removeMember(ctx, in.Name) })
	route(h, http.MethodPost, "/v1/leave", "leave", "This node hands its tasks over, leaves the cluster for good and ends; done when it no longer answers",
		func(ctx context.Context, _ *struct{}) (Ack, error) {
			a := s.memberAck(s.Cluster.State().NodeID, "leaving")
			return a, s.Cluster.Leave(ctx, actOf(ctx, s, fsm.Deed{Text: "node " + a.Name + " leaves the cluster"}))
		})
}

func (s *Server) memberAck(id, state string) Ack {
	p := s.picture()
	return Ack{Meta: p.meta("Member"), Name: p.nodeName(id), State: state, Revision: p.v.Index, Unconfirmed: []string{}}
}

// StateBanned is the state of a node that was taken out and whose certificate is
// banned.
const StateBanned = "banned"

// removeMember refuses to take out a node that is alive: it would go on
// asking to be let in; it can leave.
func (s *Server) removeMember(ctx context.Context, name string) (Ack, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	p := s.picture()
	node := findNode(p.v, name)
	if node == nil {
		return Ack{}, notFound("node", name)
	}
	if p.member(node.ID).Alive {
		return Ack{}, problem(http.StatusConflict, CodeRefused,
			"let it leave with `sluice cluster leave --address` of that node, or stop it first", "node %s is alive", node.Name)
	}
	if err := s.Cluster.Remove(ctx, node.ID, actOf(ctx, s, fsm.Deed{Text: "remove node " + node.Name})); err != nil {
		return Ack{}, err
	}
	if err := s.reread(ctx); err != nil { // so that the answer holds the change
		s.Log.Debug("reading after a removal", "error", err)
	}
	ack := s.memberAck(node.ID, "removed")
	ack.Name = node.Name
	if ban := s.Control.View().Bans.Named(node.Name); ban != nil {
		ack.State = StateBanned
	}
	return ack, nil
}

func findNode(v *fsm.View, name string) *fsm.Node {
	for i := range v.Nodes {
		if v.Nodes[i].Name == name || v.Nodes[i].ID == name {
			return &v.Nodes[i]
		}
	}
	return nil
}
