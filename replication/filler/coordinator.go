package filler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/kafka"
)

const (
	// patience is how long a coordinator may not be ready, after a broker's death
	// say, before the caller is told of it, who then sees whose the stream is.
	patience = 15 * time.Second
	// firstPause and longestPause are between two attempts, each pause half as
	// long again as the one before. A coordinator takes a millisecond or two to
	// end a transaction.
	firstPause   = time.Millisecond
	longestPause = 100 * time.Millisecond
)

// take fences whoever had the filler, and returns when what he had begun is
// over. An attempt that is not answered is made again: if it is carried out
// later, it fences us, as another owner would.
func (f *Filler) take(ctx context.Context) error {
	resp, err := f.ask(ctx, "taking over", newInitProducer(f.id), true)
	if err != nil {
		return err
	}
	got := resp.(*kmsg.InitProducerIDResponse)
	f.producer, f.epoch, f.sequence = got.ProducerID, got.ProducerEpoch, 0
	return nil
}

// add adds the partition to a transaction, which begins with it.
func (f *Filler) add(ctx context.Context) error {
	_, err := f.ask(ctx, "beginning a transaction of", f.newAddPartition(), false)
	return err
}

// abort ends the transaction, and returns when the coordinator says that it is
// over. Until then it answers that the transactions are concurrent.
func (f *Filler) abort(ctx context.Context) error {
	for again := range 2 {
		if again > 0 {
			kafka.Pause(ctx, firstPause) // before, it surely is not over
		}
		if _, err := f.ask(ctx, "ending a transaction of", f.newEndTxn(), false); err != nil {
			return err
		}
	}
	return nil
}

// ask sends a request to the coordinator until it is carried out or refused for
// good. One that was not answered is sent again only where that is harmless.
func (f *Filler) ask(ctx context.Context, doing string, req kmsg.Request, harmless bool) (kmsg.Response, error) {
	end := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(pause+pause/2, longestPause) {
		resp, err := f.askOnce(ctx, req)
		if err == nil {
			return resp, nil
		}
		again := later(err) || errors.Is(err, kafka.ErrNotSent) && !errors.Is(err, ErrMoved) || harmless && errors.Is(err, kafka.ErrPerhapsSent)
		switch {
		case again && time.Now().After(end):
			err = fmt.Errorf("%w: %w", ErrCoordinator, err)
		case again && kafka.Pause(ctx, pause):
			continue
		case again:
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		default:
			err = f.explain(err)
		}
		return nil, fmt.Errorf("%s the filler %s: %w", doing, f.id, err)
	}
}

// askOnce sends it to the coordinator, which is looked for where it is not
// known.
func (f *Filler) askOnce(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if f.coordinator < 0 {
		if err := f.find(ctx); err != nil {
			return nil, err
		}
	}
	resp, err := f.conns.request(ctx, f.lane(f.coordinator), req)
	if err == nil {
		err = refusal(resp)
	}
	if elsewhere(err) || err != nil && !isAnswer(err) {
		f.coordinator = -1
	}
	return resp, err
}

// find asks the partition's leader, as any broker would do, for the
// coordinator.
func (f *Filler) find(ctx context.Context) error {
	resp, err := f.conns.request(ctx, f.lane(f.at.Leader), newFindCoordinator(f.id))
	if err != nil {
		return fmt.Errorf("asking for the coordinator: %w: %w", ErrMoved, err)
	}
	got := resp.(*kmsg.FindCoordinatorResponse)
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return fmt.Errorf("asking for the coordinator: %w", err)
	}
	f.coordinator = got.NodeID
	return nil
}

// refusal is the error in a coordinator's answer.
func refusal(resp kmsg.Response) error {
	switch resp := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		return kerr.ErrorForCode(resp.ErrorCode)
	case *kmsg.EndTxnResponse:
		return kerr.ErrorForCode(resp.ErrorCode)
	case *kmsg.AddPartitionsToTxnResponse:
		if len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1 {
			return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
		}
	}
	return fmt.Errorf("%w: an answer for something else", kafka.ErrProtocol)
}
