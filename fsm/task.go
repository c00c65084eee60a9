package fsm

import (
	"encoding/base64"
	"fmt"
)

// TaskID names a task for ever; ids count up and are never used again.
type TaskID uint64

// Kind is the kind of a task.
type Kind uint8

// The kinds of tasks. Their numbers are in the log and in snapshots.
const (
	KindCopy    Kind = 1 // one stream
	KindLink    Kind = 2 // a link's topics, configs, groups
	KindObserve Kind = 3 // a Kafka cluster's sizes, lags, commits
	KindMove    Kind = 4 // one data-balancing proposal
)

func (k Kind) String() string {
	switch k {
	case KindCopy:
		return "copy"
	case KindLink:
		return "link"
	case KindObserve:
		return "observe"
	case KindMove:
		return "move"
	}
	return "unknown"
}

// StreamKey is what a copy task copies: one source partition of one link.
type StreamKey struct {
	Topic       string `json:"topic,omitempty"`
	Partition   int32  `json:"partition"`
	TargetTopic string `json:"targetTopic,omitempty"`
}

// Task is the unit of work that one node owns at a time: what all tasks have,
// and one payload for each kind that needs more. A Task reached through a View
// never changes; Apply replaces it.
type Task struct {
	ID     TaskID
	Kind   Kind
	Link   LinkID // 0: of no link
	Kafka  string // of an observe or move task
	Owner  string // a node's ID, empty: nobody yet
	Next   string // the owner drains and releases the task to this node
	NextAt int64  // unix ms when Next was set, the proposer's clock
	Turn   uint64 // how often the task has changed hands
	Since  uint64 // Raft index of the command that gave it to Owner

	Copy *Copy // of a KindCopy, never nil there; nil with all others
}

// Copy is the payload of a copy task: which stream, how its offsets
// correspond, how far it got and whether it stands.
type Copy struct {
	Stream  StreamKey
	Start   int64    // offset resolved at creation of the link, -1: the log start
	Mapping *Mapping // nil: none yet
	// Progress is a hint: the truth is the target's log.
	Progress Progress
	Stop     *Stop  // nil: the task runs
	Order    Order  // what an operator asked for, until the owner has carried it out
	Attempt  uint32 // raised by every retry, continue or recopy
	Touched  uint64 // Raft index of the last stop or order, 0: none since the feature level that notes it
	Unsure   bool   // another Sluice cluster may have copied on behind Mapping, or without one, until the next is committed
}

// edited gives a copy of a task, and of its payload, for Apply to change.
func (t *Task) edited() *Task {
	n := *t
	if t.Copy != nil {
		c := *t.Copy
		n.Copy = &c
	}
	return &n
}

// Order is what an operator, or the link's policy, tells a stopped stream.
type Order string

// The orders.
const (
	OrderRetry    Order = "retry"    // try the same position again
	OrderContinue Order = "continue" // skip what is lost: a new offset segment
	OrderRecopy   Order = "recopy"   // a new generation from the log start, into an emptied target
)

// Phase says how a mapping gives the source offset of a target offset.
type Phase uint8

// The phases. Their numbers are in the log and in snapshots.
const (
	PhaseFilling    Phase = 1 // the target's offsets before the source's start are taken by empty records
	PhaseDense      Phase = 2 // every segment is in the FSM before the data that rests on it: the target's log end gives everything
	PhaseTranslated Phase = 3 // segments are checkpointed with progress
)

func (p Phase) String() string {
	switch p {
	case PhaseFilling:
		return "filling"
	case PhaseDense:
		return "dense"
	case PhaseTranslated:
		return "translated"
	}
	return "unknown"
}

// TopicID is Kafka's topic id; the zero value means a broker that has none.
type TopicID [16]byte

// String writes the id as Kafka's tools do: base64 for URLs, no padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id TopicID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it reads what String
// wrote.
func (id *TopicID) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.DecodeString(string(b))
	if err != nil || len(raw) != len(id) {
		return fmt.Errorf("topic id %q: not 16 bytes in base64", b)
	}
	copy(id[:], raw)
	return nil
}

// Mapping says how a stream's source and target offsets, and its sequence
// numbers, correspond. It is truth: a change is committed before the first
// batch that rests on it is sent.
type Mapping struct {
	Version       uint32    `json:"version"`    // 1, 2, ...: compare-and-set
	Generation    uint32    `json:"generation"` // raised by a deliberate re-copy
	Phase         Phase     `json:"phase"`
	SourceTopicID TopicID   `json:"sourceTopicId"`
	TargetTopicID TopicID   `json:"targetTopicId"`
	Segments      []Segment `json:"segments"`      // ascending in both offsets, never empty; the first holds source start and target start
	ProducerID    int64     `json:"producerId"`    // issued by the target
	ProducerEpoch int16     `json:"producerEpoch"` // of the batches to be sent
	SequenceZero  int64     `json:"sequenceZero"`  // target offset where sequence 0 of this epoch stands

	// Filled: the target offsets that markers and aborted records of the source
	// would have are taken by transactions of a filler, so that a dense stream
	// keeps its shift. Sequences count records then, and no offsets.
	Filled bool `json:"filled,omitempty" feature:"6"`
	// Bump is by how many offsets a filler went too far, which the next gap takes
	// back.
	Bump int64 `json:"bump,omitempty" feature:"6"`

	// Thinned is a source offset: behind a segment that begins before it others
	// may have been dropped, although it is one of the newest (see ExactFrom).
	// Apply keeps it; what a command says here counts for nothing.
	Thinned int64 `json:"thinned,omitempty" feature:"4"`
}

// Segment is the start of a range in which source and target offsets differ
// by a constant: the source offset Source stands at the target offset Target.
// It ends where the next one begins.
type Segment struct {
	Source int64 `json:"s"`
	Target int64 `json:"t"`
}

// Shift is the constant target minus source offset of the segment.
func (s Segment) Shift() int64 { return s.Target - s.Source }

// Progress is how far a stream got inside its mapping. Offsets are those of
// the next record.
type Progress struct {
	Source      int64 `json:"source"`
	SourceEpoch int32 `json:"sourceEpoch"` // leader epoch of the last copied batch, -1: unknown
	Target      int64 `json:"target"`
	TargetEpoch int32 `json:"targetEpoch"` // leader epoch of the target when it acknowledged, -1: unknown
	Records     int64 `json:"records"`     // copied in this generation
	At          int64 `json:"at"`          // unix ms, the owner's clock
}

// Stop is why a stream stands, and the exact range it concerns.
type Stop struct {
	Code    Code   `json:"code"`
	From    int64  `json:"from"`             // first offset concerned, -1: none
	To      int64  `json:"to"`               // offset after the last one concerned
	Target  bool   `json:"target,omitempty"` // the range is of the target partition, not of the source
	Message string `json:"message"`
	At      int64  `json:"at"` // unix ms
}
