package recovery

import (
	"fmt"

	"sluice/fsm"
)

// Kind is what Next decides about a fault on.
type Kind uint8

// The kinds of faults. A new one needs a row in Next and in the table that is
// made of it (docs/reference/recovery.md).
const (
	Retry        Kind = iota // passes by itself: again after a back-off
	Unsure                   // something was perhaps written, or another owner writes: derive anew
	OldRequest               // the next batch is unguarded, and an earlier request may still be appended
	Blocked                  // cannot be copied or went wrong for good: stop with the code
	Gap                      // source offsets without a record to copy, met by a dense stream
	Forgotten                // the broker forgot our producer and refuses its next sequence
	TopicChanged             // a topic or its leader may be another one
	OutOfRange               // the source has no such offset
	Diverged                 // the source's log is another one from Range.From on
	Misplaced                // batches stand at other offsets of the target than expected
	TooLarge                 // the target refuses a batch of several records for its size
)

func (k Kind) String() string {
	return [...]string{"retry", "unsure", "old request", "blocked", "gap", "forgotten", "topic changed", "out of range", "diverged", "misplaced", "too large"}[k]
}

// Kinds lists all kinds of faults.
func Kinds() []Kind {
	return []Kind{Retry, Unsure, OldRequest, Blocked, Gap, Forgotten, TopicChanged, OutOfRange, Diverged, Misplaced, TooLarge}
}

// Range is a range of offsets, To exclusive; From -1: none.
type Range struct{ From, To int64 }

// None is no range.
func None() Range { return Range{-1, -1} }

// Fault is what ended a pipe, or kept the next one from being opened.
type Fault struct {
	Kind        Kind
	Code        fsm.Code
	Source      bool  // met at the source, else at the target
	Range       Range // of the source if Source, else of the target
	Transaction bool  // Gap: a marker's or aborted records' offsets
	Epoch       int32 // Diverged: the largest leader epoch that the source has and is not above ours
	Refused     bool  // the broker did not want our sequence
	Perhaps     bool  // a request of ours may still be appended
	Fits        int   // TooLarge: bytes of a batch to try next
	Message     string
}

// Faulty makes a fault that concerns no offsets.
func Faulty(kind Kind, code fsm.Code, message string) Fault {
	return Fault{Kind: kind, Code: code, Range: None(), Message: message}
}

// AtSource makes a fault about source offsets.
func AtSource(kind Kind, code fsm.Code, from, to int64, message string) Fault {
	return Fault{Kind: kind, Code: code, Source: true, Range: Range{from, to}, Message: message}
}

// AtTarget makes a fault about target offsets.
func AtTarget(kind Kind, code fsm.Code, from, to int64, message string) Fault {
	return Fault{Kind: kind, Code: code, Range: Range{from, to}, Message: message}
}

// Error makes a fault an error, for calls that may fail.
func (f Fault) Error() string {
	if f.Range.From >= 0 {
		return fmt.Sprintf("%s [%d, %d): %s", f.Code, f.Range.From, f.Range.To, f.Message)
	}
	return fmt.Sprintf("%s: %s", f.Code, f.Message)
}

// NotReplicated: a log has more than its high watermark lets anybody read.
func NotReplicated(source bool, high, end int64) Fault {
	side := "target"
	if source {
		side = "source"
	}
	return Fault{Kind: Retry, Code: fsm.CodeWaiting, Source: source, Range: Range{high, end},
		Message: "the end of the " + side + "'s log is not replicated yet"}
}
