package api

import (
	"context"
	"errors"
	"time"

	"sluice/fsm"
	"sluice/pki"
	"sluice/task"
)

// Errors that a Control returns, wrapped.
var (
	// ErrNoLeader: nobody can change anything now, and nothing was changed.
	ErrNoLeader = errors.New("no quorum: the cluster has no leader")
	// ErrAmbiguous: the change was perhaps made. The caller reads again and
	// decides again.
	ErrAmbiguous = errors.New("the outcome of the change is not known")
	// ErrLevel: a node is too old to know of it, and nothing was changed.
	ErrLevel = errors.New("not all nodes can do that yet")
	// ErrNotClaimed: no other Sluice cluster has, or had, a link.
	ErrNotClaimed = errors.New("no other Sluice cluster claims the link")
	// ErrNoVerify: there is no verify job of that id on this node.
	ErrNoVerify = errors.New("no such verify job")
)

// Control is the replicated facts as this node sees them.
type Control interface {
	View() *fsm.View
	// WaitIndex blocks until the View has the index.
	WaitIndex(ctx context.Context, index uint64) error
	// Confirm asks the leader, and returns an index that contains all that was
	// committed before the call. ErrNoLeader when there is none.
	Confirm(ctx context.Context) (uint64, error)
	// Propose returns after the command was applied somewhere; its error is
	// ErrNoLeader, ErrAmbiguous, ErrLevel or the context's, wrapped.
	Propose(ctx context.Context, c fsm.Command) (fsm.Result, error)
}

// Cluster is the membership as this node sees it.
type Cluster interface {
	State() ClusterState
	Members() []Member
	// Leave returns when it is sure that this node leaves. Then the node
	// drains, is taken out of the cluster, and the process ends.
	Leave(ctx context.Context, act *fsm.Act) error
	// Remove takes out a node that is gone for good.
	Remove(ctx context.Context, id string, act *fsm.Act) error
}

// Successor hands leadership over.
type Successor interface {
	// TransferLeadership hands it to a voter, by its id, or where that is empty to
	// the one that is best off. It returns the ids of who led and of who leads,
	// once that one has proven it; they are the same where it led already.
	TransferLeadership(ctx context.Context, id string, act *fsm.Act) (from, to string, err error)
}

// ClusterState is what this node knows of the cluster.
type ClusterState struct {
	NodeID    string    // this node
	Leader    string    // a node's ID, empty: none
	Quorum    bool      // a leader has confirmed an index to this node lately
	Term      uint64    // Raft's
	Confirmed time.Time // when a leader last confirmed this node's index; zero: never
	Obstacles []string  // what keeps it from the cluster or from other nodes, in sentences
	Voters    int       // that the cluster has when all of its members are well
}

// Member is a node and its newest report. Members of Raft that the facts do
// not know yet have only an ID.
type Member struct {
	ID    string
	Voter bool
	Alive bool
	// Heard is when the report came, by this node's clock; zero: never.
	Heard   time.Time
	Version string
	// Index is that of the facts which the node has carried out: what must not
	// run any more since then has stopped.
	Index uint64
	// Behind is how many commands it had not applied of those that another node
	// had, when the report came.
	Behind uint64
	Disk   *Disk                      // nil: it does not say
	Clock  *Clock                     // nil: not compared with this node's
	Tasks  map[fsm.TaskID]task.Status // that it runs
	// Details of these tasks, where they have any that Tasks does not hold.
	Details task.Details
	// Certificates that it uses; nil: it does not tell, or has not reported.
	Certificates []pki.Held
}

// Disk is how a node's writes to its data dir go.
type Disk struct {
	Why   string    // they fail; empty: they do not
	Since time.Time // when the first one failed
}

// Clock is a node's wall clock, compared with this node's.
type Clock struct {
	Offset time.Duration // what it is ahead
	Error  time.Duration // by which that may be wrong
	At     time.Time
}

// CopyDetail is the Detail of a copy task, where its owner tells one: the
// offsets of the next record, newer than the last checkpoint, and what a filter did.
type CopyDetail struct {
	Source   *int64    `json:"source"`
	Target   *int64    `json:"target"`
	Filtered *Filtered `json:"filtered"`
}

// Preflighter looks at both Kafka clusters before a link is created or changed.
type Preflighter interface {
	Check(ctx context.Context, v *fsm.View, spec fsm.LinkSpec, clusters map[string]fsm.KafkaCluster) (Preflight, error)
}

// Claimer finds out whose a link is.
type Claimer interface {
	// Claim is that of another Sluice cluster which stands against a link;
	// ErrNotClaimed: none does.
	Claim(ctx context.Context, v *fsm.View, l *fsm.Link) (Claim, error)
}

// Claim is another Sluice cluster's claim on a link.
type Claim struct {
	Sluice     string // id of that Sluice cluster
	Node       string // name of the node that wrote it; empty: nothing stands in the target any more
	At         time.Time
	ProducerID int64 // -1: unknown
}

// Preflight is the answer of a Preflighter.
type Preflight struct {
	Refusals   []Finding
	Warnings   []Finding
	ClusterIDs map[string]string   // by the Kafka cluster's name: what it answered, to be pinned
	Starts     []fsm.StartAt       // what `start: latest` or a time means now
	Topics     []PlannedTopic      // that its selectors mean now, by name
	LeftOut    []task.TopicLeftOut // that its patterns mean, and are not copied
}

// Verifier compares both sides of a link record by record. Jobs live in the
// memory of this node.
type Verifier interface {
	Start(ctx context.Context, r VerifyRequest) (VerifyJob, error)
	Get(id string) (VerifyJob, error) // ErrNoVerify
	List() []VerifyJob
	Cancel(id string) error // ErrNoVerify
}
