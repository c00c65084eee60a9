package recovery

import (
	"time"

	"sluice/fsm"
)

// Lifetimes bound how long a request that nobody answered may still be appended.
type Lifetimes struct {
	Lease   time.Duration // an owner that no leader confirms still sends for as long
	Request time.Duration // a broker may hold a request without a guard for as long
	Guarded time.Duration // and a whole window of guarded ones, one behind the other
}

// Any is how long a request of whoever owned the stream may still be appended.
func (l Lifetimes) Any() time.Duration { return l.Lease + l.Request }

// Before is how long those may that were sent before this owner began; 0: none
// was.
func (l Lifetimes) Before(t *fsm.Copy) time.Duration {
	if t.Mapping == nil {
		return 0
	}
	return l.Any() // of an earlier owner, or of this node before it started again
}

// Opening is how long those may that were sent before the pipe; 0: nothing is
// known of any, or they have been waited for. A guarded stream goes on at once,
// but should it turn unguarded, a broker may by then still hold a whole window
// of them.
func (l Lifetimes) Opening(o Open, m Memory) time.Duration {
	if !o.Guarded || !m.OldRequests {
		return 0
	}
	return l.Lease + l.Guarded
}

// Ended is how long those may that a pipe has left behind; 0: all were answered.
func (l Lifetimes) Ended(f Fault, inFlight bool) time.Duration {
	if !f.Perhaps && !inFlight {
		return 0
	}
	return l.Any()
}
