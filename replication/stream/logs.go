package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// logs reads both sides of a stream. Its errors are faults, or are made faults
// of the target by their caller.
type logs struct {
	source, target side
	conns          *wire.Conns // whose memory batches are opened in
	fillers        *fillers
	filters        *filters
	link           fsm.LinkID
	maxOpened      int // bytes that a batch which has to be opened may decompress to

	compared comparison
	listed   listing
}

// newHashes makes one whose hashes can be compared with each other.
func (l *logs) newHashes() *hashes { return &hashes{conns: l.conns, maxOpened: l.maxOpened} }

// find finds both partitions.
func (l *logs) find(ctx context.Context) (*recovery.Places, error) {
	if err := l.source.find(ctx); err != nil {
		return nil, err
	}
	if err := l.target.find(ctx); err != nil {
		return nil, err
	}
	return &recovery.Places{Source: l.source.place.TopicID, Target: l.target.place.TopicID}, nil
}

// readSource returns the source's log start and high watermark.
func (l *logs) readSource(ctx context.Context) (*recovery.SourceLog, error) {
	var out recovery.SourceLog
	err := l.source.call(ctx, func(ctx context.Context, b kafka.Broker) (err error) {
		if out.First, err = l.source.offset(ctx, b, kafka.ReadUncommitted, kafka.Earliest, -1); err == nil {
			out.End, err = l.source.offset(ctx, b, kafka.ReadUncommitted, kafka.Latest, -1)
		}
		return err
	})
	return &out, err
}

// readings is how often the target is read before two in a row have to agree.
const readings = 3

// moving: two readings of the log end kept differing.
func moving() error {
	return recovery.Faulty(recovery.Retry, fsm.CodeWaiting, "the target's log end keeps moving: another owner still writes")
}

// readTarget takes an agreed reading of the target: log end, producers, log
// end again, and where the producer's state does not say it, the last batch.
func (l *logs) readTarget(ctx context.Context, m *fsm.Mapping, pause func(time.Duration)) (*recovery.TargetLog, error) {
	var out recovery.TargetLog
	err := l.target.Call(ctx, l.target.place.Leader, func(ctx context.Context, b kafka.Broker) error {
		for range readings {
			ok, err := l.readOnce(ctx, b, m, &out)
			if err != nil || ok {
				return err
			}
			pause(5 * time.Millisecond)
		}
		return moving()
	})
	if err != nil {
		return nil, fmt.Errorf("reading target %s/%d: %w", l.target.topic, l.target.partition, err)
	}
	if out.Producer == nil && out.LogEnd > out.LogStart {
		out.Tail, err = l.tail(ctx, out.LogEnd, out.High)
	}
	return &out, err
}

// readOnce takes one reading; false: the log end moved meanwhile.
func (l *logs) readOnce(ctx context.Context, b kafka.Broker, m *fsm.Mapping, out *recovery.TargetLog) (bool, error) {
	t := &l.target
	end, err := t.logEnd(ctx, b)
	if err != nil {
		return false, err
	}
	producers, err := b.DescribeProducers(ctx, t.topic, t.partition)
	if err != nil && !errors.Is(err, kafka.ErrUnsupported) {
		return false, err
	}
	start, err := t.offset(ctx, b, kafka.ReadUncommitted, kafka.Earliest, t.place.LeaderEpoch)
	if err != nil {
		return false, err
	}
	high, err := t.offset(ctx, b, kafka.ReadUncommitted, kafka.Latest, t.place.LeaderEpoch)
	if err != nil {
		return false, err
	}
	again, err := t.logEnd(ctx, b)
	if err != nil {
		return false, err
	}
	if end < 0 { // the epoch has no record yet and the log is empty
		end, again = high, max(again, high)
	}
	*out = recovery.TargetLog{Observed: recovery.Observed{LogStart: start, LogEnd: end}, High: high}
	for _, p := range producers {
		if m != nil && p.ID == m.ProducerID && p.LastSequence >= 0 {
			out.Producer = &recovery.Producer{Epoch: int16(p.Epoch), LastSequence: p.LastSequence, LastTimestamp: p.LastTimestamp}
		}
	}
	return end == again, nil
}

// tail reads the header of the last batch before the log end. A consumer sees
// only what the high watermark has passed, so it waits for that.
func (l *logs) tail(ctx context.Context, end, high int64) (*recovery.Tail, error) {
	if high < end {
		return nil, recovery.NotReplicated(false, high, end)
	}
	var tail *recovery.Tail
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	err := l.target.fresh.use(ctx, l.target.Cluster, l.target.place.Leader, func(conn *kafka.Conn) error {
		return l.target.scanOver(ctx, conn, span{from: end - 1, to: end}, func(b record.Batch) error {
			h := b.Header()
			tail = tailOf(&h)
			return nil
		})
	})
	return tail, l.target.fault(err)
}

// newProducer asks the target for an unused producer id.
func (l *logs) newProducer(ctx context.Context) (id int64, err error) {
	err = l.target.call(ctx, func(ctx context.Context, b kafka.Broker) (err error) {
		id, _, err = b.InitProducerID(ctx)
		return err
	})
	return id, err
}

// holder is the producer with the oldest open transaction at the source, nil:
// none.
func (l *logs) holder(ctx context.Context) (holder *kafka.ProducerState, err error) {
	err = l.source.call(ctx, func(ctx context.Context, b kafka.Broker) error {
		all, err := b.DescribeProducers(ctx, l.source.topic, l.source.partition)
		for i, p := range all {
			if p.TxnStartOffset >= 0 && (holder == nil || p.TxnStartOffset < holder.TxnStartOffset) {
				holder = &all[i]
			}
		}
		return err
	})
	return holder, err
}

// replicatedTo is where the source's log ends, at most at to. That part of it
// can be read: where the high watermark is behind, it is to be asked later.
func (l *logs) replicatedTo(ctx context.Context, to int64) (int64, error) {
	log, err := l.readSource(ctx)
	if err != nil || log.End >= to {
		return to, err
	}
	end, err := l.source.epochEnd(ctx, l.source.place.LeaderEpoch)
	if err == nil && end > log.End {
		err = recovery.NotReplicated(true, log.End, end)
	}
	return log.End, err
}
