package api

import "sluice/fsm"

// Reason codes that only a reader of the facts can give.
const (
	CodeUnassigned fsm.Code = "unassigned" // no node owns the task
	CodeUnreported fsm.Code = "unreported" // its owner has not reported on it
	CodeDeleting   fsm.Code = "deleting"
)

// Severity orders reason codes: the higher, the more a person is needed.
type Severity int

// The severities, from good to bad.
const (
	SeverityGood    Severity = iota // copies, or waits for records
	SeverityTold                    // stands because it was told to
	SeverityWorking                 // starts or catches up
	SeverityWaiting                 // tried again by itself, but something is wrong
	SeverityStopped                 // waits for a person
)

// SeverityOf is the one place that says how bad a reason code is. An unknown
// code is taken for bad.
func SeverityOf(c fsm.Code) Severity {
	switch c {
	case fsm.CodeCopying, fsm.CodeIdle, fsm.CodeOpenTransaction:
		return SeverityGood
	case fsm.CodePaused, CodeDeleting:
		return SeverityTold
	case fsm.CodeStarting, fsm.CodeCatchingUp, fsm.CodeFilling, fsm.CodeWaiting, fsm.CodeHandover, CodeUnassigned:
		return SeverityWorking
	case fsm.CodeUnauthorized, fsm.CodeAuthenticationFailed, fsm.CodeUnreachable, fsm.CodeQuotaThrottled,
		fsm.CodeNotEnoughReplicas, fsm.CodeWrongCluster, fsm.CodeLostRace, CodeUnreported:
		return SeverityWaiting
	}
	return SeverityStopped
}
