package fsm

import "slices"

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
		return refuse(RefusedNotFound, "operation %d is gone", c.Operation)
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
