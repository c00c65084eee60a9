package api

import (
	"context"
	"strings"
	"time"

	"sluice/fsm"
	"sluice/manifest"
)

// actOf says who asked for a change; nil where the facts cannot keep that yet.
func actOf(ctx context.Context, s *Server, did ...fsm.Deed) *fsm.Act {
	v := s.Control.View()
	if !v.HasActs() {
		return nil
	}
	c, _ := ctx.Value(callerKey{}).(caller)
	return &fsm.Act{
		Who: c.who, Client: c.client, Node: nodeName(v, s.Cluster.State().NodeID), Did: did, At: time.Now().UnixMilli(),
	}
}

// deeds words what a plan changes.
func deeds(p *manifest.Plan) []fsm.Deed {
	var out []fsm.Deed
	for _, c := range p.Changes {
		if c.Action == manifest.ActionNone {
			continue
		}
		d := fsm.Deed{Text: string(c.Action) + " " + string(c.Kind) + " " + c.Name}
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, f.Path+": "+orNothing(f.From)+" -> "+orNothing(f.To))
		}
		if len(fields) > 0 {
			d.Text += ": " + strings.Join(fields, "; ")
		}
		switch {
		case c.Kind == manifest.KindLink:
			d.Link = c.Name
		case c.Action == manifest.ActionDelete:
			continue // a command of its own, once its links are gone
		}
		out = append(out, d)
	}
	return out
}

func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return text
}
