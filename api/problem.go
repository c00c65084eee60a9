package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
	"sluice/manifest"
)

// The stable codes of problems.
const (
	CodeInvalid      = "invalid-request"   // the request itself is malformed
	CodeManifest     = "invalid-manifest"  // the objects' text is at fault
	CodeRefused      = "refused"           // contradicts the facts
	CodePreflight    = "preflight-refused" // the Kafka clusters do not allow it
	CodeNotFound     = "not-found"         // what it names is not there
	CodeStale        = "stale"             // something has changed since the caller looked
	CodeNoLeader     = "no-leader"         // nothing can be changed now
	CodeAmbiguous    = "outcome-unknown"   // perhaps done: look before asking again
	CodeTimeout      = "timeout"           // the caller's or the server's time ran out
	CodeUnauthorized = "token-refused"     // no token, or a wrong one
	CodeUnavailable  = "not-available"     // this node cannot do it
	CodeBusy         = "busy"              // this node does as much as it may at a time
	CodeLevel        = "feature-level"     // a node is too old
	CodeInternal     = "internal"          // a fault of Sluice
)

// Problem is an error as RFC 9457 words it, with a stable code.
type Problem struct {
	Type     string    `json:"type" doc:"Always about:blank; the code tells problems apart."`
	Title    string    `json:"title"`
	Status   int       `json:"status"`
	Detail   string    `json:"detail" doc:"What happened and where, for a person."`
	Code     string    `json:"code" doc:"Stable."`
	Next     string    `json:"next,omitempty" doc:"What to do next."`
	Errors   []Fields  `json:"errors,omitempty" doc:"All faults of a text or request."`
	Findings []Finding `json:"findings,omitempty" doc:"What preflight refused."`
	Applied  []string  `json:"applied,omitempty" doc:"What was changed all the same, before it failed."`
	Missing  []string  `json:"missing,omitempty" doc:"What was not changed any more, where something was applied."`
}

// Fields is one fault in a text or request.
type Fields struct {
	Location string `json:"location,omitempty" doc:"file:line:column, or the place in the request."`
	Message  string `json:"message"`
}

func (p *Problem) Error() string {
	if p.Next != "" {
		return p.Detail + "; " + p.Next
	}
	return p.Detail
}

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (*Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, code, next, format string, args ...any) *Problem {
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Next: next,
		Detail: fmt.Sprintf(format, args...),
	}
}

func notFound(what, name string) *Problem {
	look := "`sluice status` or `sluice link ls`"
	if what == "node" {
		look = "`sluice cluster members`"
	}
	return problem(http.StatusNotFound, CodeNotFound, "see what there is with "+look, "there is no %s %s", what, name)
}

// asProblem words any error of this package's interfaces; this is the one
// place that decides what the caller may do about it.
func asProblem(err error) *Problem {
	var p *Problem
	var faults manifest.Errors
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &faults):
		return ofManifest(faults)
	case errors.Is(err, ErrAmbiguous): // first: after it nobody may have been there to ask
		return problem(http.StatusServiceUnavailable, CodeAmbiguous, "look with `sluice status` before asking again", "%v; it may have been made, or may still be", err)
	case errors.Is(err, ErrNoLeader):
		return problem(http.StatusServiceUnavailable, CodeNoLeader,
			"see which nodes are alive with `sluice cluster members`; a majority of the voters must run and reach each other", "%v: nothing can be changed now", ErrNoLeader)
	case errors.Is(err, ErrLevel):
		return problem(http.StatusConflict, CodeLevel, "bring all nodes to one version; the level rises by itself then", "%v", err)
	case errors.Is(err, ErrNoVerify):
		return problem(http.StatusNotFound, CodeNotFound,
			"jobs live in the memory of the node that was asked: ask that node, or start another", "%v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem(http.StatusGatewayTimeout, CodeTimeout, "look with `sluice status` before asking again", "%v", err)
	}
	return problem(http.StatusInternalServerError, CodeInternal, "look with `sluice status`; the logs of the node that was asked and of the leader may say more", "%v", err)
}

func ofManifest(faults manifest.Errors) *Problem {
	p := problem(http.StatusUnprocessableEntity, CodeManifest, "", "%v", faults)
	for _, f := range faults.List {
		p.Errors = append(p.Errors, Fields{f.Pos.String(), f.Message})
	}
	return p
}

// ofRefusal words why Apply left the facts as they were.
func ofRefusal(r fsm.Result) *Problem {
	switch r.Refused {
	case fsm.RefusedTurn:
		return problem(http.StatusConflict, CodeStale, "look again and decide again", "%s", r.Message)
	case fsm.RefusedNotFound:
		return problem(http.StatusNotFound, CodeNotFound, "", "%s", r.Message)
	case fsm.RefusedInvalid, fsm.RefusedNot:
	}
	return problem(http.StatusConflict, CodeRefused, "", "%s", r.Message)
}

// reword turns the errors that huma makes itself into Problems.
func reword(_ huma.Context, _ string, body any) (any, error) {
	m, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	code := CodeInvalid
	if m.Status >= http.StatusInternalServerError {
		code = CodeInternal
	}
	p := problem(m.Status, code, "see /v1/openapi.json for what is understood", "%s", m.Detail)
	for _, e := range m.Errors[:min(len(m.Errors), maxFaults)] {
		p.Errors = append(p.Errors, Fields{e.Location, e.Message})
		p.Detail += "; " + e.Location + ": " + e.Message
	}
	p.Detail += rest(len(m.Errors))
	return p, nil
}

// maxFaults is how many faults or findings one answer shows.
const maxFaults = 20

// rest tells how many of n are not shown.
func rest(n int) string {
	if n <= maxFaults {
		return ""
	}
	return fmt.Sprintf("; and %d more", n-maxFaults)
}
