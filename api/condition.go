package api

import "sluice/fsm"

// Reason codes that only a reader of the facts can give.
const (
	CodeUnassigned fsm.Code = "unassigned" // no node owns the task
	CodeUnreported fsm.Code = "unreported" // its owner has not reported on it
	CodeDeleting   fsm.Code = "deleting"
)

// severity orders reason codes: the higher, the more a person is needed.
type severity int

const (
	sevGood    severity = iota // copies, or waits for records
	sevTold                    // stands because it was told to
	sevWorking                 // starts or catches up
	sevWaiting                 // tried again by itself, but something is wrong
	sevStopped                 // waits for a person
)

// severityOf is the one place that says how bad a reason code is. An unknown
// code is taken for bad.
func severityOf(c fsm.Code) severity {
	switch c {
	case fsm.CodeCopying, fsm.CodeIdle, fsm.CodeOpenTransaction:
		return sevGood
	case fsm.CodePaused, CodeDeleting:
		return sevTold
	case fsm.CodeStarting, fsm.CodeCatchingUp, fsm.CodeFilling, fsm.CodeWaiting, fsm.CodeHandover, CodeUnassigned:
		return sevWorking
	case fsm.CodeUnauthorized, fsm.CodeAuthenticationFailed, fsm.CodeUnreachable, fsm.CodeQuotaThrottled,
		fsm.CodeNotEnoughReplicas, fsm.CodeLostRace, CodeUnreported:
		return sevWaiting
	}
	return sevStopped
}
