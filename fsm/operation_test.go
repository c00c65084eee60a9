package fsm

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// atTwo raises the fixture to the level of operations.
func atTwo(d *driver) { d.must(&FeatureRaise{Level: 2}) }

// deletingL begins to delete the link l: operation 1.
func deletingL(d *driver) {
	atTwo(d)
	d.must(&Objects{DeleteLinks: []string{"l"}, By: "n1", At: 20})
}

func TestDeletionIsAnOperation(t *testing.T) {
	first := func(change func(*Operation)) func(*testing.T, *View) {
		return func(t *testing.T, v *View) {
			want := Operation{
				ID: 1, Kind: OperationDeleteLink, Link: linkL, Name: "l", By: "n1", State: OperationRunning, Step: StepStopping,
				Started: 20, Since: 20, Updated: 20, Revision: v.Index,
			}
			change(&want)
			if o := v.Operation(1); o == nil || !reflect.DeepEqual(*o, want) || v.OperationOn(linkL, OperationDeleteLink) != o || len(v.Operations) != 1 {
				t.Errorf("%+v, want %+v", o, want)
			}
		}
	}
	run(t, []row{
		{name: "at level 1 there is none", command: &Objects{DeleteLinks: []string{"l"}, At: 20}, twice: true, check: func(t *testing.T, v *View) {
			if len(v.Operations) != 0 {
				t.Errorf("%+v", v.Operations)
			}
		}},
		{name: "at level 2", before: atTwo, command: &Objects{DeleteLinks: []string{"l"}, By: "n1", At: 20}, twice: true, check: first(func(*Operation) {})},
		{name: "a link that was being deleted before", before: func(d *driver) { d.must(&Objects{DeleteLinks: []string{"l"}, At: 20}) }, command: &FeatureRaise{Level: 2},
			check: first(func(o *Operation) { o.By, o.Started, o.Since, o.Updated = "", 0, 0, 0 })},
		{name: "the level raised again", before: deletingL, command: &FeatureRaise{Level: 2}, check: func(t *testing.T, v *View) {
			if len(v.Operations) != 1 {
				t.Errorf("%+v", v.Operations)
			}
		}},
		{name: "refused, nothing begins", before: atTwo, command: &Objects{DeleteLinks: []string{"l"}, DeleteKafka: []string{"eu"}}, refused: RefusedInvalid, check: func(t *testing.T, v *View) {
			if len(v.Operations) != 0 {
				t.Errorf("%+v", v.Operations)
			}
		}},
	})
}

func TestOperationStep(t *testing.T) {
	step := func(change func(*OperationStep)) *OperationStep {
		c := &OperationStep{Operation: 1, From: StepStopping, To: StepReleasing, State: OperationRunning, At: 30}
		change(c)
		return c
	}
	is := func(state OperationState, s Step, since, finished int64, message string) func(*testing.T, *View) {
		return func(t *testing.T, v *View) {
			o := v.Operation(1)
			if o.State != state || o.Step != s || o.Since != since || o.Finished != finished || o.Message != message || o.Updated != 30 || o.Revision != v.Index {
				t.Errorf("%+v", o)
			}
		}
	}
	run(t, []row{
		{name: "to the next step", before: deletingL, command: step(func(*OperationStep) {}), twice: true, check: is(OperationRunning, StepReleasing, 30, 0, "")},
		{name: "note in the same step", before: deletingL, command: step(func(c *OperationStep) { c.To, c.Message = StepStopping, "n1 is slow" }), counts: true,
			check: is(OperationRunning, StepStopping, 20, 0, "n1 is slow")},
		{name: "done", before: deletingL, command: step(func(c *OperationStep) {
			c.State, c.Message, c.Event = OperationDone, "link l is deleted", &Event{Code: CodeUnreachable, Message: "m"}
		}), twice: true, check: func(t *testing.T, v *View) {
			is(OperationDone, StepReleasing, 30, 30, "link l is deleted")(t, v)
			wantLast(t, v, 0, CodeUnreachable, "m")
		}},
		{name: "failed", before: deletingL, command: step(func(c *OperationStep) { c.To, c.State, c.Message = StepStopping, OperationFailed, "no way" }), twice: true,
			check: is(OperationFailed, StepStopping, 20, 30, "no way")},
		{name: "from another step", before: deletingL, command: step(func(c *OperationStep) { c.From = StepPurging }), refused: RefusedTurn, message: "is stopping, not purging"},
		{name: "after its end", before: func(d *driver) {
			deletingL(d)
			d.must(step(func(c *OperationStep) { c.State = OperationDone }))
		}, command: step(func(c *OperationStep) { c.From = StepReleasing }), refused: RefusedTurn, message: "is done"},
		{name: "no such operation", before: deletingL, command: step(func(c *OperationStep) { c.Operation = 2 }), refused: RefusedNotFound, message: "operation 2 is gone"},
		{name: "no such state", before: deletingL, command: step(func(c *OperationStep) { c.State = "odd" }), refused: RefusedInvalid, message: "odd"},
		{name: "its times are known from the first command on", before: func(d *driver) {
			d.must(&Objects{DeleteLinks: []string{"l"}, At: 20})
			atTwo(d)
		}, command: step(func(c *OperationStep) { c.To = StepStopping }), counts: true, check: is(OperationRunning, StepStopping, 30, 0, "")},
	})
}

// TestTheLastFinishedOperationsAreKept: in the order in which they finished,
// not in that in which they began; those that run are kept whatever their
// number.
func TestTheLastFinishedOperationsAreKept(t *testing.T) {
	d := fixture(t)
	atTwo(d)
	total := MaxFinished + 5
	var names []string
	for i := range total {
		name := fmt.Sprint("x", i)
		d.must(&Objects{Links: []LinkPut{{Spec: linkSpec(name)}}}, &Objects{DeleteLinks: []string{name}})
		names = append(names, name)
	}
	finish := func(id OperationID) {
		d.must(&OperationStep{Operation: id, From: StepStopping, To: StepPurging, State: OperationDone})
	}
	for id := OperationID(total - 2); id > 0; id-- { // the youngest first; two go on
		finish(id)
	}
	var kept []string
	for _, o := range d.s.View().Operations {
		kept = append(kept, o.Name)
	}
	want := append(slices.Clone(names[:MaxFinished]), names[total-2:]...)
	if !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}
