package fsm

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
