package transport

import (
	"sync/atomic"
)

// refusalCodes are the labels of sluice_transport_refused_total.
var refusalCodes = [...]string{
	"cluster-mismatch", "version-mismatch", "wrong-server", "not-ready", "bad-handshake", "certificate", codeTwin, "stranger", codeBanned, "timeout", "too-many", "busy", "probe",
}

// stats counts per kind; it is read by Collector.
type stats struct {
	acceptedBy, dialledBy, inBy, outBy [len(kindNames)]atomic.Uint64
	refusedBy                          [len(refusalCodes)]atomic.Uint64
	dialFailed, packetsDropped         atomic.Uint64
}

func (s *stats) accepted(k Kind) *atomic.Uint64 { return &s.acceptedBy[k-KindRaft] }
func (s *stats) dialled(k Kind) *atomic.Uint64  { return &s.dialledBy[k-KindRaft] }
func (s *stats) in(k Kind) *atomic.Uint64       { return &s.inBy[k-KindRaft] }
func (s *stats) out(k Kind) *atomic.Uint64      { return &s.outBy[k-KindRaft] }

// refused returns the counter of a code; an unknown one counts as
// bad-handshake.
func (s *stats) refused(code string) *atomic.Uint64 {
	unknown := 0
	for i, c := range refusalCodes {
		if c == code {
			return &s.refusedBy[i]
		}
		if c == "bad-handshake" {
			unknown = i
		}
	}
	return &s.refusedBy[unknown]
}
