package operation

import (
	"strings"

	"sluice/fsm"
)

// Action is what to do now. One of its parts is set, or none where there is
// nothing to be done.
type Action struct {
	Waits   []string    // ServerIDs of the nodes that are waited for
	Act     bool        // carry out the act of the operation's step, and decide again
	Command fsm.Command // propose it, and decide again; *fsm.OperationStep takes the operation on
}

// noteEvery is how often, in milliseconds, what an act met is put into the
// facts anew while it changes.
const noteEvery = 10_000

// maxMessage bounds what is noted of an error, in bytes.
const maxMessage = 300

// Next decides what to do about an operation that goes on. Of an operation that
// has ended, or of which this build does not know the kind or step, nothing.
func Next(v *fsm.View, o *fsm.Operation, s Seen) Action {
	k, at := find(o)
	switch {
	case k == nil || o.State != fsm.OperationRunning:
		return Action{}
	case o.Since == 0: // limits count from a time that is known
		return step(o, o.Step, o.Message, s)
	}
	st := k.stages[at]
	if w := Waits(v, o, s); len(w) > 0 {
		return Action{Waits: w}
	}
	message := o.Message
	if st.wants != nil && st.wants(v, o) {
		if a, done := tried(o, st, s); !done {
			return a
		}
		if message = ""; s.Tried.Err != "" {
			return k.giveUp(o, at, st.left(v, o)+": "+s.Tried.Err, s)
		}
	}
	if st.command != nil {
		if c := st.command(v, o); c != nil {
			return Action{Command: c}
		}
	}
	return k.after(o, at, message, s)
}

// after takes the operation to the stage behind the one it is at, or to its end.
func (k *kind) after(o *fsm.Operation, at int, message string, s Seen) Action {
	if at+1 < len(k.stages) {
		return step(o, k.stages[at+1].step, message, s)
	}
	ended := *o
	ended.Message = message
	a := step(o, o.Step, k.ended(&ended), s)
	a.Command.(*fsm.OperationStep).State = fsm.OperationDone
	return a
}

// giveUp goes on past an act that fails, and tells of it.
func (k *kind) giveUp(o *fsm.Operation, at int, left string, s Seen) Action {
	a := k.after(o, at, cut(left), s)
	a.Command.(*fsm.OperationStep).Event = &fsm.Event{
		Node: s.Node, Code: fsm.CodeUnreachable, Part: -1, From: -1, To: -1, First: s.Now, Last: s.Now,
		Message: k.ended(&fsm.Operation{Name: o.Name, Message: cut(left)}),
	}
	return a
}

// tried decides by the last try of an act; done: the operation goes on, for the
// act is done or has been tried for long enough.
func tried(o *fsm.Operation, st stage, s Seen) (a Action, done bool) {
	t := s.Tried
	switch {
	case t == nil || t.Step != o.Step:
		return Action{Act: true}, false
	case t.Err == "":
		return Action{}, true
	case t.Final:
		a := step(o, o.Step, cut(t.Err), s)
		a.Command.(*fsm.OperationStep).State = fsm.OperationFailed
		return a, false
	case st.limit > 0 && s.Now-o.Since >= st.limit:
		return Action{}, true
	case o.Message != cut(t.Err) && (o.Message == "" || s.Now-o.Updated >= noteEvery):
		return step(o, o.Step, cut(t.Err), s), false
	}
	return Action{Act: true}, false
}

// Waits names the nodes, by ServerID, that the operation's step waits for.
func Waits(v *fsm.View, o *fsm.Operation, s Seen) []string {
	k, at := find(o)
	if k == nil || o.State != fsm.OperationRunning || k.stages[at].waits == nil {
		return nil
	}
	return k.stages[at].waits(v, o, s)
}

func find(o *fsm.Operation) (*kind, int) {
	k, ok := kinds[o.Kind]
	if !ok {
		return nil, 0
	}
	for i, st := range k.stages {
		if st.step == o.Step {
			return &k, i
		}
	}
	return nil, 0
}

func step(o *fsm.Operation, to fsm.Step, message string, s Seen) Action {
	return Action{Command: &fsm.OperationStep{
		Operation: o.ID, From: o.Step, To: to, State: fsm.OperationRunning, Message: message, At: s.Now,
	}}
}

func cut(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")
}
