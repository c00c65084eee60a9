package recovery

import (
	"time"

	"sluice/fsm"
)

// Step is what a stream does next: one of the types below.
type Step interface{ step() }

// The steps.
type (
	// Gather asks for what the decision needs; Next is then asked again.
	Gather struct {
		What  Need
		Epoch int32        // NeedEpochEnd: of the last copied record at the source; NeedKept: at the target
		From  int64        // NeedDifference, NeedOurs, NeedData, NeedAhead: the first offset to look at (of the source, of the target); NeedTrim: the first to be kept
		At    Position     // NeedDifference: what was derived
		All   int64        // NeedData: to look at all down to here, and below it for our last batch; the log end: down to that
		Known fsm.Progress // NeedAlignment: the last place that is known

		Mapping *fsm.Mapping // NeedDifference: by which it is compared; nil: the stream's
	}
	// Open opens a pipe at the position.
	Open struct {
		Position
		Guarded      bool
		Progress     fsm.Progress  // at the position
		Segments     []fsm.Segment // of what turned out to be written
		Unreplicated bool          // the target's high watermark has not passed the position yet
		Event        *fsm.Event    // to be told; nil: none
	}
	// Commit puts a mapping into the facts, before any batch that rests on it.
	Commit struct {
		Mapping  fsm.Mapping
		Progress fsm.Progress
		Event    *fsm.Event // committed with it; nil: none
		Tell     *fsm.Event // told beside it; nil: none
	}
	// Fill takes the target's offsets from its log end on by empty records.
	Fill struct {
		Target   int64 // log end
		To       int64 // exclusive
		Sequence int32 // of the first
	}
	// Lift takes the stop away: what it was about is as it was before.
	Lift struct{}
	// Halt stops the stream with a reason, as a fact that outlives this owner.
	Halt struct{ Fault Fault }
	// Wait shows a state for a while, then everything is looked at anew.
	Wait struct {
		Code    fsm.Code
		Message string
		For     time.Duration
		Event   *fsm.Event // to be told; nil: none
		Tried   bool       // something was tried that could not be carried out, which counts as an attempt
		Facts   bool       // it ends as soon as the stream's or its link's facts change
	}
	// Restart begins anew with a fault.
	Restart struct{ Fault Fault }
	// Alone waits, cut off from every leader, until nobody else can own the
	// stream.
	Alone struct{ Message string }
	// End ends the stream on this node: it is another's.
	End struct{ Event fsm.Event }
)

func (Gather) step()  {}
func (Open) step()    {}
func (Commit) step()  {}
func (Fill) step()    {}
func (Lift) step()    {}
func (Halt) step()    {}
func (Wait) step()    {}
func (Restart) step() {}
func (Alone) step()   {}
func (End) step()     {}

// Lost is the event of a stream that is another node's by now.
func Lost(why string) fsm.Event {
	return fsm.Event{Code: fsm.CodeLostRace, From: -1, To: -1, Message: "another node owns the stream now: " + why}
}

// Need is what a Gather asks for.
type Need uint8

// The needs, and the field of Situation that answers each.
const (
	NeedPlaces      Need = iota // Places: both topics, as brokers say now
	NeedLog                     // Log
	NeedSource                  // Source
	NeedProducer                // ProducerID: ask the target for one if the link has none, and commit it
	NeedNewID                   // NewID
	NeedOwner                   // Owner
	NeedOldRequests             // Waited: wait until every earlier request is surely dead; Log is void then
	NeedEpochEnd                // EpochEnd
	NeedDifference              // Difference
	NeedOurs                    // Ours
	NeedAlignment               // Aligned
	NeedFence                   // Gaps.Fenced, and Memory.Fenced is told: fence whoever filled gaps before, and what it began is ended; Log is read anew, and Owner asked after it
	NeedKept                    // Gaps.Kept
	NeedData                    // Gaps.Data
	NeedAhead                   // Gaps.Ahead
	NeedTrim                    // delete the target's records before From; Log is void then
)

func (n Need) String() string {
	return [...]string{"both topics", "the target's log", "the source's log", "the link's producer id", "a new producer id", "who owns it",
		"wait for old requests", "the end of the checkpoint's leader epoch", "compare both logs", "our batches in the target", "find the target's last records in the source",
		"fence whoever filled gaps", "the end of the checkpoint's leader epoch at the target", "our last batch in the target", "the source's next record", "delete what filled the head"}[n]
}

const (
	stoppedLook   = 5 * time.Second  // how often a stopped stream decides anew although the facts are as they were
	orderPoll     = 2 * time.Second  // how soon it tries one again that cannot be carried out yet; this doubles
	orderPollMost = 10 * time.Second // up to this
	quickRetries  = 3                // times that an unsure stream derives anew without a pause
	unknownTries  = 8                // about five seconds: a predecessor's last progress may still be on its way
	goneTries     = 8                // about five seconds: then a missing topic stops the stream
	goneLook      = 5000             // ms between looks for a topic whose absence stopped a stream
)

// Backoff grows from 20 ms to 5 s.
func Backoff(attempts int) time.Duration {
	return min(20*time.Millisecond<<min(attempts, 10), 5*time.Second)
}
