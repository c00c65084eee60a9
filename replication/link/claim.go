package link

import (
	"errors"

	"sluice/fsm"
)

// claimInput is all that the next step about a link's claim rests on.
type claimInput struct {
	standing
	link     fsm.LinkID
	adopted  string // the Sluice cluster whose claim is taken over, if there is one
	producer int64  // the link's producer id
	recent   bool   // the ledger was read a short while ago
	read     bool   // it was read in this round
	written  bool   // our claim was written in this round
}

// ErrClaimed says that another Sluice cluster copies this link.
var ErrClaimed = errors.New("link is claimed by another Sluice cluster")

// claimStep is what to do next about a link's claim.
type claimStep int

const (
	claimHeld     claimStep = iota // it is ours: go on
	claimRead                      // read the ledger
	claimWrite                     // write our claim, and read it back
	claimWithdraw                  // take ours back
	claimRefused                   // another Sluice cluster has the link
	claimTake                      // remove that of the Sluice cluster from which the link was adopted, write ours, and read it back
)

// decideClaim: the ledger is read when this node begins and now and then. A
// claim is written, then read back; of two that were written at the same time
// the later one is taken back. While it is not alone it is not written again,
// which keeps its place.
func decideClaim(in claimInput) claimStep {
	same := in.claim.ProducerID == in.producer
	switch {
	case !in.read && in.recent && in.mine && same:
		return claimHeld
	case !in.read:
		return claimRead
	case in.other != "" && in.other == in.adopted && !in.written:
		return claimTake
	case (in.other != "" || in.written && !in.mine) && in.have:
		return claimWithdraw
	case in.other != "" || in.written && !in.mine:
		return claimRefused
	case in.mine && (in.written || !in.alone || same && in.claim.LinkID == in.link):
		return claimHeld
	}
	return claimWrite
}

// ledgerReplication is that of the link's topics, or three where there are so
// many brokers.
func ledgerReplication(replication int16, brokers int) int16 {
	if replication > 0 {
		return replication
	}
	return int16(max(1, min(3, brokers)))
}
