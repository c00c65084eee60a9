package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/replication/position"
)

// reading is what a target partition's leader answered.
type reading struct {
	position.Observed
	high int64 // high watermark
}

// errMoving: two readings of the log end kept differing.
var errMoving = errors.New("the target's log end keeps moving: another owner still writes")

// read takes an agreed reading of the target: log end, producers, log end
// again. ListOffsets knows only the high watermark, so the log end is where
// the current leader epoch ends.
func (s *Stream) read(ctx context.Context, dst place, m *fsm.Mapping) (reading, error) {
	var out reading
	err := s.dst.call(ctx, dst.leader, func(ctx context.Context, b kafka.Broker) error {
		for range 20 {
			ok, err := s.readOnce(ctx, b, dst, m, &out)
			if err != nil || ok {
				return err
			}
			s.pause(5 * time.Millisecond)
		}
		return errMoving
	})
	if err != nil {
		return out, fmt.Errorf("reading target %s/%d: %w", s.key.TargetTopic, s.key.Partition, err)
	}
	if out.Producer == nil && out.LogEnd > out.LogStart {
		tail, err := s.tail(ctx, dst, out.LogEnd, out.high)
		if err != nil {
			return out, err
		}
		out.Tail = tail
	}
	return out, nil
}

func (s *Stream) readOnce(ctx context.Context, b kafka.Broker, dst place, m *fsm.Mapping, out *reading) (bool, error) {
	_, end, err := b.OffsetForLeaderEpoch(ctx, s.key.TargetTopic, s.key.Partition, dst.epoch, dst.epoch)
	if err != nil {
		return false, err
	}
	producers, err := b.DescribeProducers(ctx, s.key.TargetTopic, s.key.Partition)
	if err != nil && !errors.Is(err, kafka.ErrUnsupported) {
		return false, needs(err, "READ", s.key.TargetTopic)
	}
	q := kafka.OffsetQuery{Topic: s.key.TargetTopic, Partition: s.key.Partition, LeaderEpoch: dst.epoch, Timestamp: kafka.Earliest}
	start, err := one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{q}))
	if err != nil {
		return false, err
	}
	q.Timestamp = kafka.Latest
	high, err := one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{q}))
	if err != nil {
		return false, err
	}
	_, again, err := b.OffsetForLeaderEpoch(ctx, s.key.TargetTopic, s.key.Partition, dst.epoch, dst.epoch)
	if err != nil {
		return false, err
	}
	*out = reading{Observed: position.Observed{LogStart: start, LogEnd: end}, high: high}
	if end < 0 { // the epoch has no record yet and the log is empty
		out.LogEnd, end, again = high, high, max(again, high)
	}
	for _, p := range producers {
		if m != nil && p.ID == m.ProducerID && p.LastSequence >= 0 {
			out.Producer = &position.Producer{Epoch: int16(p.Epoch), LastSequence: p.LastSequence, LastTimestamp: p.LastTimestamp}
		}
	}
	return end == again, nil
}

// one unwraps a single ListOffsets answer.
func one(res []kafka.OffsetResult, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res[0].Offset, res[0].Err
}

// tail reads the header of the last batch before the log end. A consumer sees
// only what the high watermark has passed, so it waits for that.
func (s *Stream) tail(ctx context.Context, dst place, end, high int64) (*position.Tail, error) {
	if high < end {
		return nil, notReplicated(false, high, end)
	}
	var tail *position.Tail
	err := s.scan(ctx, s.dst, dst, s.key.TargetTopic, end-1, end, func(b record.Batch) error {
		h := b.Header()
		tail = &position.Tail{
			ProducerID: h.ProducerID, Epoch: h.ProducerEpoch, BaseOffset: h.BaseOffset, BaseSequence: h.BaseSequence,
			Count: h.Count, MaxTimestamp: h.MaxTimestamp, LastOffset: h.LastOffset(),
			Transactional: h.Attributes&(record.AttrTransactional|record.AttrControl) != 0,
		}
		return nil
	})
	return tail, err
}

// notReplicated: a log has more than its high watermark lets anybody read.
func notReplicated(source bool, high, end int64) error {
	side := "target"
	if source {
		side = "source"
	}
	return fail(trouble{remedy: later, code: fsm.CodeWaiting, source: source, from: high, to: end, msg: "the end of the " + side + "'s log is not replicated yet"})
}

// scan reads the batches that hold the offsets [from, to) of a partition, in
// order, over a connection of its own.
func (s *Stream) scan(ctx context.Context, at *site, p place, topic string, from, to int64, f func(record.Batch) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := at.dial(ctx, p.leader)
	if err != nil {
		return err
	}
	defer func() { conn.Close(); <-conn.Done() }()
	for from < to {
		next, err := scanOnce(ctx, conn, p, topic, s.key.Partition, from, to, f)
		if err != nil {
			return fmt.Errorf("scanning %s/%d from %d: %w", topic, s.key.Partition, from, err)
		}
		if next == from {
			return nil // nothing more there
		}
		from = next
	}
	return nil
}

func scanOnce(ctx context.Context, conn *kafka.Conn, p place, topic string, partition int32, from, to int64, f func(record.Batch) error) (int64, error) {
	type answer struct {
		resp kafka.FetchResponse
		err  error
	}
	got := make(chan answer, 1)
	err := conn.Fetch(&kafka.FetchRequest{
		MaxWait: 500 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20, SessionID: 0, SessionEpoch: -1,
		Partitions: []kafka.FetchPartition{{
			Topic: topic, TopicID: p.topicID, Partition: partition, Offset: from,
			LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20,
		}},
	}, func(r kafka.FetchResponse, err error) { got <- answer{r, err} })
	if err != nil {
		return from, err
	}
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		conn.Close()
		a = <-got
	}
	if a.resp.Buf != nil {
		defer a.resp.Buf.Release()
	}
	if a.err != nil {
		return from, a.err
	}
	if a.resp.Err != nil {
		return from, a.resp.Err
	}
	return scanAnswer(&a.resp, from, to, f)
}

func scanAnswer(resp *kafka.FetchResponse, from, to int64, f func(record.Batch) error) (int64, error) {
	var p kafka.FetchedPartition
	for {
		ok, err := resp.Next(&p)
		if err != nil || !ok {
			return from, err
		}
		if err := errorOf(p.ErrorCode); err != nil {
			return from, err
		}
		for rest := p.Records; ; {
			b, r, err := record.NextBatch(rest)
			if err != nil {
				return from, err
			}
			if b == nil || b.BaseOffset() >= to {
				break
			}
			rest = r
			if b.LastOffset() < from {
				continue
			}
			if err := f(b); err != nil {
				return from, err
			}
			from = b.LastOffset() + 1
		}
	}
}
