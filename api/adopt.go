package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
)

// LinkClaim says which other Sluice cluster has, or had, a link.
type LinkClaim struct {
	Meta
	Link      string     `json:"link"`
	ClusterID string     `json:"clusterId" doc:"Id of that Sluice cluster."`
	Claimant  string     `json:"claimant" doc:"Name of its node that wrote the claim; empty: no claim stands in the target."`
	ClaimedAt *time.Time `json:"claimedAt" doc:"When it was written; null: no claim stands in the target."`
}

func adoptRoutes(s *Server, h huma.API) {
	route(h, http.MethodGet, "/v1/links/{name}/claim", "getClaim", "Which other Sluice cluster has, or had, the link, as the target's ledger says now",
		func(ctx context.Context, in *LinkPath) (LinkClaim, error) { return linkClaim(ctx, s, in.Name) })
	type adoptInput struct {
		LinkPath
		From string `query:"from" required:"true" doc:"Id of the Sluice cluster, as getClaim tells it."`
	}
	route(h, http.MethodPost, "/v1/links/{name}/adopt", "adoptLink", "Take a link over from a Sluice cluster that is lost for good; its streams go on where both logs say, or stop",
		func(ctx context.Context, in *adoptInput) (Ack, error) { return adopt(ctx, s, in.Name, in.From) })
}

func linkClaim(ctx context.Context, s *Server, name string) (LinkClaim, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := s.reread(ctx); err != nil {
		return LinkClaim{}, err
	}
	p := s.picture()
	l, err := linkNamed(p.v, name)
	if err != nil {
		return LinkClaim{}, err
	}
	claim, err := claimOn(ctx, s, p.v, l)
	if err != nil {
		return LinkClaim{}, err
	}
	out := LinkClaim{Meta: p.meta("LinkClaim"), Link: name, ClusterID: claim.Sluice, Claimant: claim.Node}
	if claim.Node != "" {
		out.ClaimedAt = new(claim.At.UTC())
	}
	return out, nil
}

func claimOn(ctx context.Context, s *Server, v *fsm.View, l *fsm.Link) (Claim, error) {
	if s.Claims == nil {
		return Claim{}, problem(http.StatusNotImplemented, CodeRefused, "", "this node cannot read claims")
	}
	claim, err := s.Claims.Claim(ctx, v, l)
	switch {
	case errors.Is(err, ErrNotClaimed):
		return claim, problem(http.StatusConflict, CodeRefused, "there is nothing to adopt", "no other Sluice cluster claims the link %s", l.Spec.Name)
	case err != nil:
		return claim, problem(http.StatusBadGateway, CodeRefused, "both Kafka clusters of the link have to answer", "finding out whose link %s is: %v", l.Spec.Name, err)
	}
	return claim, nil
}

// adopt takes a link over from the Sluice cluster that the operator was shown.
func adopt(ctx context.Context, s *Server, name, from string) (Ack, error) {
	return s.changeLink(ctx, name, func(v *fsm.View, again bool) (fsm.Command, error) {
		l, err := linkNamed(v, name)
		if err != nil || again && l.Held == "" && l.Adopted == from {
			return nil, err
		}
		claim, err := claimOn(ctx, s, v, l)
		if err != nil {
			return nil, err
		}
		if claim.Sluice != from {
			return nil, problem(http.StatusConflict, CodeRefused, "look again with `sluice link adopt "+name+"`", "link %s is claimed by the Sluice cluster %s, not by %s", name, claim.Sluice, from)
		}
		act := actOf(ctx, s, fsm.Deed{Link: name, Text: "adopt link " + name + " from the Sluice cluster " + from})
		return &fsm.LinkAdopt{Link: l.ID, From: from, ProducerID: claim.ProducerID, Act: act, At: time.Now().UnixMilli()}, nil
	})
}

// ClaimOf asks which other Sluice cluster has a link.
func ClaimOf(ctx context.Context, c *Client, link string) (*LinkClaim, error) {
	out := new(LinkClaim)
	return out, c.call(ctx, http.MethodGet, "/v1/links/"+url.PathEscape(link)+"/claim", nil, nil, out, "")
}

// Adopt takes a link over from a Sluice cluster that is lost.
func Adopt(ctx context.Context, c *Client, link, from string) (*Ack, error) {
	out := new(Ack)
	look := "`sluice link describe " + link + "`"
	return out, c.call(ctx, http.MethodPost, "/v1/links/"+url.PathEscape(link)+"/adopt", url.Values{"from": {from}}, nil, out, look)
}
