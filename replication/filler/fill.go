package filler

import (
	"context"
	"fmt"
	"hash/fnv"
)

// Fillers are the fillers of a node at one Kafka cluster, which share their
// connections. Safe for concurrent use.
type Fillers struct{ conns *conns }

// New makes Fillers that connect nowhere yet.
func New(d Dialer) *Fillers { return &Fillers{newConns(d)} }

// Close ends the connections; what is under way ends with an error. A
// transaction that is open then is ended by the next Open, or by the
// coordinator after Timeout.
func (s *Fillers) Close() { s.conns.close() }

// Open takes over the filler with a transactional id (IDOf). Whoever had it is
// fenced, and what he had begun is over, its marker in the log, when Open
// returns: where the log ends is to be read after that. Errors: ErrCoordinator,
// and what the coordinator refuses, a *kerr.Error.
func (s *Fillers) Open(ctx context.Context, at Partition, id string) (*Filler, error) {
	f := &Filler{conns: s.conns, at: at, id: id, number: numberOf(id), coordinator: -1, records: maxRecords}
	if err := f.take(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// numberOf spreads fillers over the connections to a broker.
func numberOf(id string) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % lanes)
}

// Gap is offsets to be taken.
type Gap struct {
	From  int64 // where the log ends
	Count int64 // at least 1
	// Timestamp is that of records, in ms since 1970: that of the source's
	// record next to them, so that retention and a search for a time find the
	// partition as they would find the source's.
	Timestamp int64
}

// Fill takes the offsets of a gap, and returns where the log ends then: at
// gap.From+gap.Count. Where it ends elsewhere, before, between or after the
// transactions that it takes, it goes no further and the error is an EndError;
// other errors are ErrFenced, ErrMoved, ErrCoordinator, what a broker refuses,
// kafka.ErrPerhapsSent. With an error end is where the log was last seen to end,
// and the Filler is finished: each further Fill returns that error. Who still
// owns the stream looks up where the partition is, opens the filler anew, reads
// the log and fills what is left.
func (f *Filler) Fill(ctx context.Context, gap Gap) (end int64, err error) {
	if f.err != nil {
		return gap.From, fmt.Errorf("the filler %s is finished: %w", f.id, f.err)
	}
	if gap.Count < 1 {
		return gap.From, fmt.Errorf("filling %d offsets from %d: at least one", gap.Count, gap.From)
	}
	end, f.err = f.fill(ctx, gap)
	return end, f.err
}

// fill takes the gap by as many transactions as it needs. The log is read
// while none is open.
func (f *Filler) fill(ctx context.Context, gap Gap) (end int64, err error) {
	to := gap.From + gap.Count
	for end = gap.From; ; {
		got, err := f.logEnd(ctx)
		switch {
		case err != nil:
			return end, err
		case got != end:
			return got, &EndError{Want: end, Got: got}
		case end == to:
			return end, nil
		}
		took, err := f.transaction(ctx, end, to-end, gap.Timestamp)
		if err != nil {
			return end, err
		}
		end += took
	}
}
