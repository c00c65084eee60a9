package stream

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/recovery"
	"sluice/replication/wire"
)

// side is one of the two Kafka clusters of a stream, and where its partition
// was last found.
type side struct {
	*catalog.Cluster
	topic     string
	partition int32
	isSource  bool
	fresh     *freshConns // of the node
	share     *wire.Share // of the stream, for what is read
	place     catalog.Place
}

// fault makes an error one of this side.
func (s *side) fault(err error) error {
	if err == nil {
		return nil
	}
	return wire.FaultOf(err, s.isSource)
}

// find looks up where the partition is, as brokers say now.
func (s *side) find(ctx context.Context) (err error) {
	if s.place, err = s.Find(ctx, s.topic, s.partition, true); err != nil {
		return s.fault(err)
	}
	if s.place.Leader < 0 {
		f := recovery.Faulty(recovery.Retry, fsm.CodeUnreachable, fmt.Sprintf("%s/%d has no leader", s.topic, s.partition))
		f.Source = s.isSource
		return f
	}
	return nil
}

// call runs one-shot calls to the partition's leader.
func (s *side) call(ctx context.Context, f func(context.Context, kafka.Broker) error) error {
	return s.fault(s.Call(ctx, s.place.Leader, f))
}

// offset asks for one offset: kafka.Earliest, kafka.Latest.
func (s *side) offset(ctx context.Context, b kafka.Broker, iso kafka.Isolation, at int64, epoch int32) (int64, error) {
	res, err := b.ListOffsets(ctx, iso, []kafka.OffsetQuery{{Topic: s.topic, Partition: s.partition, LeaderEpoch: epoch, Timestamp: at}})
	if err != nil {
		return 0, err
	}
	return res[0].Offset, res[0].Err
}

// stableEnd is how far what the partition holds is committed: its last stable
// offset.
func (s *side) stableEnd(ctx context.Context) (end int64, err error) {
	err = s.call(ctx, func(ctx context.Context, b kafka.Broker) (err error) {
		end, err = s.offset(ctx, b, kafka.ReadCommitted, kafka.Latest, -1)
		return err
	})
	return end, err
}

// logEnd is where the current leader epoch ends: ListOffsets knows only the
// high watermark. An epoch without a record has none: -1.
func (s *side) logEnd(ctx context.Context, b kafka.Broker) (int64, error) {
	_, end, err := b.OffsetForLeaderEpoch(ctx, s.topic, s.partition, s.place.LeaderEpoch, s.place.LeaderEpoch)
	return end, err
}

// epochEnd is where a leader epoch ended, or the log ends; -1: the leader does not
// know the epoch.
func (s *side) epochEnd(ctx context.Context, epoch int32) (end int64, err error) {
	err = s.call(ctx, func(ctx context.Context, b kafka.Broker) (err error) {
		_, end, err = b.OffsetForLeaderEpoch(ctx, s.topic, s.partition, s.place.LeaderEpoch, epoch)
		return err
	})
	return end, err
}

// endOnFresh asks the leader for its log end on a new connection, and says how
// long the answer took.
func (s *side) endOnFresh(ctx context.Context) (end int64, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = s.fresh.use(ctx, s.Cluster, s.place.Leader, func(conn *kafka.Conn) (err error) {
		asked := time.Now()
		end, err = conn.Broker().LogEnd(ctx, s.topic, s.partition, s.place.LeaderEpoch)
		took = time.Since(asked)
		return err
	})
	return end, took, s.fault(err)
}
