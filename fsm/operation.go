package fsm

import (
	"cmp"
	"slices"
)

// OperationID names an operation for ever; ids count up and are never used
// again.
type OperationID uint64

// OperationKind is what an operation does.
type OperationKind string

// The kinds of operations.
const (
	OperationDeleteLink OperationKind = "delete-link"
)

// Step is where an operation stands. Package operation says what happens in
// each step and which one follows.
type Step string

// The steps of deleting a link.
const (
	StepStopping  Step = "stopping"  // until every owner has carried out the link's last change
	StepReleasing Step = "releasing" // the claim at the target is given up
	StepPurging   Step = "purging"   // the link's facts are removed
)

// OperationState says whether an operation goes on.
type OperationState string

// The states of an operation.
const (
	OperationRunning OperationState = "running"
	OperationDone    OperationState = "done"
	OperationFailed  OperationState = "failed"
)

// MaxFinished bounds the finished operations that are kept, the last ones.
const MaxFinished = 100

// Operation is an act of several steps. Each step can be done again, so that
// any leader can go on with it.
type Operation struct {
	ID       OperationID    `json:"id"`
	Kind     OperationKind  `json:"kind"`
	Link     LinkID         `json:"link,omitempty"` // that it is about; the link may be gone by now
	Name     string         `json:"name"`           // of what it is about
	By       string         `json:"by,omitempty"`   // name of the node that was asked for it, empty: unknown
	State    OperationState `json:"state"`
	Step     Step           `json:"step"`               // the last one when it has finished
	Message  string         `json:"message,omitempty"`  // what the step last met, or how it all ended
	Started  int64          `json:"started"`            // unix ms, the proposer's clock; 0: unknown
	Since    int64          `json:"since"`              // unix ms when the step began; 0: unknown
	Updated  int64          `json:"updated"`            // unix ms of the last command about it
	Finished int64          `json:"finished,omitempty"` // unix ms; 0: it runs
	Revision uint64         `json:"revision"`           // Raft index of the last command about it
}

// HasOperations reports whether the facts hold operations; below their feature
// level they do not.
func (v *View) HasOperations() bool { return v.Feature >= featureOperations }

// Operation returns the operation of an id, nil when there is none.
func (v *View) Operation(id OperationID) *Operation {
	i, ok := slices.BinarySearchFunc(v.Operations, id, func(o *Operation, id OperationID) int { return cmp.Compare(o.ID, id) })
	if !ok {
		return nil
	}
	return v.Operations[i]
}

// OperationOn returns the last operation of a kind about a link, nil when there
// is none.
func (v *View) OperationOn(link LinkID, kind OperationKind) *Operation {
	for _, o := range slices.Backward(v.Operations) {
		if o.Link == link && o.Kind == kind {
			return o
		}
	}
	return nil
}

func byOperation(a, b *Operation) int { return cmp.Compare(a.ID, b.ID) }

// beginDeletion adds the operation that ends a link. Nodes that know none go
// by the link alone, so below its level there is none.
func (e *edit) beginDeletion(l *Link, by string, at int64) {
	if !e.v.HasOperations() {
		return
	}
	e.v.lastOperation++
	e.v.Operations = put(e.v.Operations, &Operation{
		ID: e.v.lastOperation, Kind: OperationDeleteLink, Link: l.ID, Name: l.Spec.Name, By: by,
		State: OperationRunning, Step: StepStopping, Started: at, Since: at, Updated: at, Revision: e.index,
	}, byOperation)
}

// operationsBegin gives links that are being deleted already their operations.
func (e *edit) operationsBegin() {
	for _, l := range e.v.Links {
		if l.Deleting {
			e.beginDeletion(l, "", 0)
		}
	}
}

func (e *edit) operationStep(c *OperationStep) Result {
	o := e.v.Operation(c.Operation)
	switch {
	case o == nil:
		return refuse(RefusedNotFound, "no operation %d", c.Operation)
	case o.State != OperationRunning:
		return refuse(RefusedTurn, "operation %d is %s", o.ID, o.State)
	case o.Step != c.From:
		return refuse(RefusedTurn, "operation %d is %s, not %s", o.ID, o.Step, c.From)
	case c.State != OperationRunning && c.State != OperationDone && c.State != OperationFailed:
		return refuse(RefusedInvalid, "no such state of an operation: %q", c.State)
	}
	n := o.After(c)
	n.Revision = e.index
	e.v.Operations = put(e.v.Operations, n, byOperation)
	e.forgetFinished()
	if c.Event != nil {
		e.event(*c.Event)
	}
	return Result{}
}

// After is the operation once a step that it may take is taken.
func (o *Operation) After(c *OperationStep) *Operation {
	n := *o
	n.State, n.Step, n.Message, n.Updated = c.State, c.To, c.Message, c.At
	if c.To != c.From || o.Since == 0 {
		n.Since = c.At
	}
	if n.Started == 0 {
		n.Started = c.At
	}
	if n.State != OperationRunning {
		n.Finished = c.At
	}
	return &n
}

// forgetFinished keeps the operations that finished last.
func (e *edit) forgetFinished() {
	var ended []uint64 // their revisions
	for _, o := range e.v.Operations {
		if o.State != OperationRunning {
			ended = append(ended, o.Revision)
		}
	}
	if len(ended) <= MaxFinished {
		return
	}
	slices.Sort(ended)
	oldest := ended[len(ended)-MaxFinished]
	e.v.Operations = drop(e.v.Operations, func(o *Operation) bool { return o.State != OperationRunning && o.Revision < oldest })
}
