package rewrite

import (
	"sluice/kafka/record"
)

// Class says what has to happen to a batch.
type Class uint8

// The classes.
const (
	Closed       Class = iota // passes as it is, after record.Rewrite
	NeedsOpening              // goes through Rebuilder.Rebuild; the Reason says why
	Control                   // a transaction marker: never written, a mapping change
	Unsupported               // a message format that is not known
)

func (c Class) String() string {
	switch c {
	case Closed:
		return "closed"
	case NeedsOpening:
		return "needs-opening"
	case Control:
		return "control"
	case Unsupported:
	}
	return "unsupported"
}

// Reason says why a batch has to be opened.
type Reason uint8

// The reasons. A batch may have several; the first of this order is told.
const (
	ReasonNone          Reason = iota
	ReasonOldFormat            // format 0 or 1, which brokers do not take any more
	ReasonGaps                 // compaction removed records: a broker refuses the batch in Produce
	ReasonLogAppendTime        // the header holds the one true timestamp, which the target would drop
	ReasonResume               // records below the wanted offset are already copied
)

func (r Reason) String() string {
	switch r {
	case ReasonOldFormat:
		return "old-format"
	case ReasonGaps:
		return "gaps"
	case ReasonLogAppendTime:
		return "log-append-time"
	case ReasonResume:
		return "resume"
	case ReasonNone:
	}
	return "none"
}

// Classify decides from a header alone. from is the next source offset that
// the stream wants; a batch wholly below it is of no interest to the caller
// and must have been skipped before.
func Classify(h *record.Header, from int64) (Class, Reason) {
	switch {
	case h.Magic < 0 || h.Magic > 2:
		return Unsupported, ReasonNone
	case h.Magic < 2:
		return NeedsOpening, ReasonOldFormat
	case h.Attributes&record.AttrControl != 0:
		return Control, ReasonNone
	case !h.Dense():
		return NeedsOpening, ReasonGaps
	case h.Attributes&record.AttrLogAppendTime != 0:
		return NeedsOpening, ReasonLogAppendTime
	case from > h.BaseOffset:
		return NeedsOpening, ReasonResume
	}
	return Closed, ReasonNone
}
