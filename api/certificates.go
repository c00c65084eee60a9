package api

import (
	"slices"
	"time"

	"sluice/pki"
)

// Certificate is one that a node uses.
type Certificate struct {
	Use   string    `json:"use" enum:"peer,peer-ca,http" doc:"peer: shown to other nodes. peer-ca: an authority that may sign nodes. http: shown by the API."`
	Name  string    `json:"name" doc:"Of its subject."`
	File  string    `json:"file" doc:"On the node."`
	From  time.Time `json:"from" doc:"It is valid from then on."`
	Until time.Time `json:"until" doc:"When it ends, or an authority above it, if that is sooner."`
	By    string    `json:"by" doc:"The authority above it that ends then; empty: it ends itself."`
	State string    `json:"state" enum:"fine,soon,near,last,over" doc:"How near the end is: 30 days, 7, 1, or over (or not begun). Where a life is shorter than 120 days the same parts of it."`
	Fault string    `json:"fault" doc:"Why what stands in its files now is not used: the node goes on with what it read before. Empty: it is."`
}

// certificatesOf shows those that a node uses, the first to end first; nil: they
// are not known.
func certificatesOf(held []pki.Held, now time.Time) []Certificate {
	if held == nil {
		return nil
	}
	out := make([]Certificate, 0, len(held))
	for _, h := range held {
		out = append(out, Certificate{
			Use: h.Use, Name: h.Name, File: h.File, From: h.From.UTC(), Until: h.Until.UTC(), By: h.By, State: h.Urgency(now).String(), Fault: h.Fault,
		})
	}
	slices.SortStableFunc(out, func(a, b Certificate) int { return a.Until.Compare(b.Until) })
	return out
}
