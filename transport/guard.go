package transport

import "sync/atomic"

// Meeting is two nodes on one connection: one that is about to be used, or is.
type Meeting struct {
	Kind    Kind
	Peer    Peer
	Inbound bool // the peer has dialled
	Named   bool // this node has dialled a ServerID, not whoever is there
}

// guards ask whether a connection may be, and tell when this node was refused
// because its identity is alive elsewhere.
type guards struct {
	judge   atomic.Pointer[func(Meeting) error]
	refused chan *TwinError
}

// Guard lets judge refuse connections, of whichever side. Its errors are this
// package's (TwinError, BannedError, ErrStranger, ErrNotReady), perhaps wrapped. It may be
// called by any goroutine and must not wait.
func (g *guards) Guard(judge func(Meeting) error) { g.judge.Store(&judge) }

// Twin tells when a peer has refused this node because its identity is alive
// elsewhere. Tells are dropped when nobody reads them.
func (g *guards) Twin() <-chan *TwinError { return g.refused }

// guard asks.
func (g *guards) guard(m Meeting) error {
	if judge := g.judge.Load(); judge != nil {
		return (*judge)(m)
	}
	return nil
}

// answered takes a refusal of a peer for the one of a twin.
func (g *guards) answered(theirs hello) error {
	twin := &TwinError{Alive: theirs.Alive, By: theirs.Name}
	select {
	case g.refused <- twin:
	default:
	}
	return twin
}
