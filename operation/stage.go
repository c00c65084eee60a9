package operation

import "sluice/fsm"

// stage is one step of a kind of operation. Its parts come in their order, and
// when none is left to be done the next stage begins.
type stage struct {
	step fsm.Step
	// waits names the nodes that have yet to report something.
	waits func(v *fsm.View, o *fsm.Operation, s Seen) []string
	// wants reports whether the act of the step, outside of the facts, is wanted.
	wants func(v *fsm.View, o *fsm.Operation) bool
	// limit is how long an act that fails is tried, in milliseconds; then the
	// operation goes on with what left says. 0: until it succeeds.
	limit int64
	left  func(v *fsm.View, o *fsm.Operation) string
	// command changes the facts, nil: they are as wanted.
	command func(v *fsm.View, o *fsm.Operation) fsm.Command
}

// kind is all stages of a kind of operation, and what is said at its end.
type kind struct {
	stages []stage
	ended  func(o *fsm.Operation) string
}

// Seen is what a leader knows beside the facts.
type Seen struct {
	Node    string            // its name
	Now     int64             // unix ms, its clock
	Carried map[string]uint64 // by ServerID: the index whose stops a node has carried out
	Tried   *Try              // the last try of an act of the operation by this leader, nil: none
}

// Try is how an act ended.
type Try struct {
	Step  fsm.Step
	Err   string // empty: it is done
	Final bool   // trying it again is vain
}
