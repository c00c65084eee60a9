package transport

import "sync/atomic"

// twins keep one identity at one address: they ask who is to be refused, and
// tell when this node was.
type twins struct {
	judge   atomic.Pointer[func(Identity) *TwinError]
	refused chan *TwinError
}

// Guard lets judge refuse diallers whose identity is alive elsewhere (nil:
// not known to be). It may be called by any goroutine and must not wait.
func (t *twins) Guard(judge func(Identity) *TwinError) { t.judge.Store(&judge) }

// Twin tells when a peer has refused this node for that reason. Tells are
// dropped when nobody reads them.
func (t *twins) Twin() <-chan *TwinError { return t.refused }

// guard asks; an untyped nil lets the dialler in.
func (t *twins) guard(who Identity) error {
	if judge := t.judge.Load(); judge != nil {
		if twin := (*judge)(who); twin != nil {
			return twin
		}
	}
	return nil
}

// answered takes a refusal of a peer for the one of this reason.
func (t *twins) answered(theirs hello) error {
	twin := &TwinError{Alive: theirs.Alive, By: theirs.Name}
	select {
	case t.refused <- twin:
	default:
	}
	return twin
}
