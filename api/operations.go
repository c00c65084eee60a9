package api

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
	"sluice/operation"
)

// Operation is an act of several steps, under way or done.
type Operation struct {
	ID       fsm.OperationID    `json:"id"`
	Kind     fsm.OperationKind  `json:"kind" enum:"delete-link"`
	Name     string             `json:"name" doc:"Of what it is about."`
	State    fsm.OperationState `json:"state" enum:"running,done,failed"`
	Step     fsm.Step           `json:"step" doc:"Where it stands; where it ended."`
	WaitsFor []string           `json:"waitsFor" doc:"Nodes that the step waits for."`
	Message  string             `json:"message" doc:"What the step met last, or how it all ended."`
	By       string             `json:"by" doc:"Name of the node that was asked for it; empty: unknown."`
	Started  *time.Time         `json:"started" doc:"null: unknown."`
	Since    *time.Time         `json:"since" doc:"When the step began; null: unknown."`
	Finished *time.Time         `json:"finished" doc:"null: not yet."`
	Revision uint64             `json:"revision" doc:"Index of the last change of it."`
}

// OperationDetail is the answer about one operation.
type OperationDetail struct {
	Meta
	Operation Operation `json:"operation"`
}

func (s *Server) operationRoutes(h huma.API) {
	reading(s, h, "/v1/operations", "listOperations", "Acts of several steps: those that run, then those that ended last",
		func(p *picture, _ *ReadParams) (List[Operation], error) {
			out := List[Operation]{p.meta("OperationList"), []Operation{}}
			for _, o := range p.v.Operations {
				out.Items = append(out.Items, p.operation(o))
			}
			slices.SortFunc(out.Items, func(a, b Operation) int {
				return cmp.Or(boolOrder(a.Finished == nil, b.Finished == nil), cmp.Compare(b.Revision, a.Revision))
			})
			return out, nil
		})
	type getInput struct {
		ID uint64 `path:"id"`
		ReadParams
	}
	reading(s, h, "/v1/operations/{id}", "getOperation", "One of them: where it stands, or how it ended",
		func(p *picture, in *getInput) (OperationDetail, error) {
			o := p.v.Operation(fsm.OperationID(in.ID))
			if o == nil {
				n := notFound("operation", fmt.Sprint(in.ID))
				n.Next = fmt.Sprintf("see what there is with `sluice operation ls`; the last %d that ended are kept", fsm.MaxFinished)
				return OperationDetail{}, n
			}
			return OperationDetail{p.meta("Operation"), p.operation(o)}, nil
		})
}

// operation shows one operation.
func (p *picture) operation(o *fsm.Operation) Operation {
	carried := map[string]uint64{}
	for _, m := range p.members {
		carried[m.ID] = m.Index
	}
	waits := []string{}
	for _, id := range operation.Waits(p.v, o, operation.Seen{Carried: carried}) {
		waits = append(waits, p.nodeName(id))
	}
	slices.Sort(waits)
	return Operation{
		ID: o.ID, Kind: o.Kind, Name: o.Name, State: o.State, Step: o.Step, WaitsFor: waits, Message: o.Message, By: o.By,
		Started: moment(o.Started), Since: moment(o.Since), Finished: moment(o.Finished), Revision: o.Revision,
	}
}

// moment is a time of the facts, nil for an unknown one.
func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	return new(time.UnixMilli(ms).UTC())
}

// asked names the node that a change was asked of, where the facts keep it.
func (s *Server) asked(v *fsm.View) string {
	if !v.HasOperations() {
		return ""
	}
	return nodeName(v, s.Cluster.State().NodeID)
}
