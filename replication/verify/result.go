package verify

import (
	"fmt"

	"sluice/fsm"
)

// Verdict is the answer of a comparison that came to its end.
type Verdict string

// The verdicts. Equal is said only when all that the link selects was compared.
const (
	Equal      Verdict = "equal"
	Differs    Verdict = "differs"    // whether or not all was compared
	Incomplete Verdict = "incomplete" // what was compared is equal, something was not compared
)

// Why is why something that the link selects was not compared.
type Why string

// The reasons.
const (
	NothingSelected  Why = "nothing-selected"  // the source has no topic that the link selects
	NoStream         Why = "no-stream"         // the link does not copy the topic, or the partition
	Stopped          Why = "stopped"           // its stream is stopped and the source has more
	Paused           Why = "paused"            // the link is paused and the source has more
	NotReplicated    Why = "not-replicated"    // the source had more when the comparison began
	PassedOver       Why = "passed-over"       // the link went on behind records that it did not copy
	GoneAtSource     Why = "gone-at-source"    // the source has none of the records that the target has
	BatchTooLarge    Why = "batch-too-large"   // batches decompress to more than verify's limit
	PlaceUnknown     Why = "place-unknown"     // the mapping does not say exactly where records stand
	CompactionUnsure Why = "compaction-unsure" // it was not found out whether compaction explains what is at one side only
	RetentionUnsure  Why = "retention-unsure"  // it could not be asked whether retention explains what is gone
	Unreadable       Why = "unreadable"        // a side could not be asked or read
	TopicChanged     Why = "topic-changed"     // a topic was deleted or recreated
)

// LeftOut is something that the link selects and that was not compared, wholly
// or in part.
type LeftOut struct {
	Topic      string  // of the source, empty: none
	Partitions []int32 // ascending
	Why        Why
	Message    string
	Offsets    int64 // source offsets or records that were not compared, as far as known
}

// leftOut is about a part of a stream.
func leftOut(k fsm.StreamKey, why Why, offsets int64, format string, args ...any) LeftOut {
	return LeftOut{Topic: k.Topic, Partitions: []int32{k.Partition}, Why: why, Message: fmt.Sprintf(format, args...), Offsets: offsets}
}

// Scope counts topics and partitions.
type Scope struct{ Topics, Partitions int }

// Range is what of a partition was compared: source offsets From to To-1.
type Range struct {
	Topic     string // of the source
	Partition int32
	From, To  int64
	Compared  int64 // records
}

// Result is what a job found so far.
type Result struct {
	Counts   Counts
	Faults   []Fault   // the first ones, by topic, partition and offset
	Selected Scope     // what was to be compared
	Covered  Scope     // what was compared, nothing of it left out; a topic when all its partitions were
	LeftOut  []LeftOut // by topic
	Ranges   []Range   // by topic and partition
}

// Verdict is what follows from the result of a job that is done.
func (r *Result) Verdict() Verdict {
	switch {
	case r.Counts.Faults() > 0:
		return Differs
	case len(r.LeftOut) > 0:
		return Incomplete
	}
	return Equal
}

// found is what was found of one partition.
type found struct {
	counts  Counts
	faults  []Fault
	left    []LeftOut
	compare Range
}
