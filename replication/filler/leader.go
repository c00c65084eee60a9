package filler

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/kafka"
)

// logEnd is where the log ends.
func (f *Filler) logEnd(ctx context.Context) (int64, error) {
	conn, err := f.conns.get(ctx, f.lane(f.at.Leader))
	if err != nil {
		return -1, f.ofLeader(ctx, err)
	}
	end, err := conn.Broker().LogEnd(ctx, f.at.Topic, f.at.Partition, f.at.LeaderEpoch)
	return end, f.ofLeader(ctx, err)
}

// verifies reports whether the leader asks the coordinator about a batch.
func (f *Filler) verifies(ctx context.Context) (bool, error) {
	conn, err := f.conns.get(ctx, f.lane(f.at.Leader))
	if err != nil {
		return false, f.ofLeader(ctx, err)
	}
	return conn.Supports(keyAddPartitions, verifies), nil
}

// append appends a batch and returns the offset of its first record. Its error
// is the broker's own where the batch is too large.
func (f *Filler) append(ctx context.Context, batch []byte) (base int64, err error) {
	resp, err := f.conns.request(ctx, f.lane(f.at.Leader), f.newProduce(batch))
	if err != nil {
		return -1, f.ofLeader(ctx, err)
	}
	got := resp.(*kmsg.ProduceResponse)
	if len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 {
		return -1, fmt.Errorf("%w: an answer for something else", kafka.ErrProtocol)
	}
	one := got.Topics[0].Partitions[0]
	return one.BaseOffset, f.ofLeader(ctx, kerr.ErrorForCode(one.ErrorCode))
}

// ofLeader gives an error of a request to the leader its kind: one that does not
// answer is to be looked up, as one that is none any more.
func (f *Filler) ofLeader(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil || isAnswer(err) || errors.Is(err, kafka.ErrUnsupported):
		err = f.explain(err)
	default:
		err = fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return fmt.Errorf("filling %s/%d: %w", f.at.Topic, f.at.Partition, err)
}
