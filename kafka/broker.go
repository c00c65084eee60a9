package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Requester issues one request to one broker and waits for its answer.
type Requester interface {
	Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
}

// Broker is the set of one-shot calls to one broker, over shared connections
// (Client.Broker) or over one of the caller's own (Conn.Broker). What a
// broker refuses is a *kerr.Error, wrapped.
type Broker struct{ r Requester }

// Isolation says how far a consumer reads.
type Isolation int8

const (
	// ReadUncommitted reads up to the high watermark.
	ReadUncommitted Isolation = 0
	// ReadCommitted reads up to the last stable offset and is told which
	// transactions were aborted.
	ReadCommitted Isolation = 1
)

// Timestamps of an OffsetQuery with a meaning of their own.
const (
	Latest   int64 = -1
	Earliest int64 = -2
)

// OffsetQuery asks for one offset of one partition.
type OffsetQuery struct {
	Topic       string
	Partition   int32
	LeaderEpoch int32 // current; -1: not checked
	Timestamp   int64 // ms since 1970, Latest or Earliest
}

// OffsetResult answers an OffsetQuery.
type OffsetResult struct {
	Offset      int64 // -1: no record at or after the timestamp
	Timestamp   int64 // of that record, ms since 1970; -1: Latest, Earliest
	LeaderEpoch int32 // of that record; -1: unknown
	Err         error // wraps a *kerr.Error, or nil
}

// ListOffsets answers queries in their order; a partition may be asked for
// once. Latest is the high watermark with ReadUncommitted and the last stable
// offset with ReadCommitted.
func (b Broker) ListOffsets(ctx context.Context, iso Isolation, queries []OffsetQuery) ([]OffsetResult, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, int8(iso)
	topics := map[string]int{}
	index := make(map[partitionKey]int, len(queries))
	for i, q := range queries {
		t, ok := topics[q.Topic]
		if !ok {
			t = len(req.Topics)
			topics[q.Topic] = t
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = q.Topic
			req.Topics = append(req.Topics, topic)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.Timestamp = q.Partition, q.LeaderEpoch, q.Timestamp
		req.Topics[t].Partitions = append(req.Topics[t].Partitions, p)
		index[partitionKey{topic: q.Topic, partition: q.Partition}] = i
	}
	if len(index) != len(queries) {
		return nil, errors.New("listing offsets: a partition is asked for twice")
	}
	resp, err := req.RequestWith(ctx, b.r)
	if err != nil {
		return nil, fmt.Errorf("listing offsets: %w", err)
	}
	return offsetResults(resp, index)
}

// offsetResults puts an answer in the order of the queries.
func offsetResults(resp *kmsg.ListOffsetsResponse, index map[partitionKey]int) ([]OffsetResult, error) {
	out := make([]OffsetResult, len(index))
	answered := 0
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			i, ok := index[partitionKey{topic: t.Topic, partition: p.Partition}]
			if !ok {
				continue
			}
			answered++
			out[i] = OffsetResult{Offset: p.Offset, Timestamp: p.Timestamp, LeaderEpoch: p.LeaderEpoch}
			if err := Needs(kerr.ErrorForCode(p.ErrorCode), "DESCRIBE", t.Topic); err != nil {
				out[i].Err = fmt.Errorf("listing offsets of %s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	if answered != len(index) {
		return nil, fmt.Errorf("listing offsets: %w: %d of %d partitions answered", ErrProtocol, answered, len(index))
	}
	return out, nil
}

// LogEnd is where the log of the leader epoch ends that the partition was found
// with: another epoch is refused, for its end may be an older one.
func (b Broker) LogEnd(ctx context.Context, topic string, partition, epoch int32) (int64, error) {
	_, end, err := b.OffsetForLeaderEpoch(ctx, topic, partition, epoch, epoch)
	if err != nil || end >= 0 {
		return end, err
	}
	// The epoch has no record, and so the log none.
	got, err := b.ListOffsets(ctx, ReadUncommitted, []OffsetQuery{{Topic: topic, Partition: partition, LeaderEpoch: epoch, Timestamp: Latest}})
	if err != nil {
		return -1, err
	}
	return got[0].Offset, got[0].Err
}

// OffsetForLeaderEpoch returns the largest leader epoch up to epoch that the
// leader knows and where it ended, which for the current one is the log end,
// not the high watermark (KIP-101, KIP-320); -1, -1: none. currentEpoch is
// checked against the leader's unless it is -1.
func (b Broker) OffsetForLeaderEpoch(ctx context.Context, topic string, partition, currentEpoch, epoch int32) (endEpoch int32, endOffset int64, err error) {
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, currentEpoch, epoch
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, t)
	resp, err := req.RequestWith(ctx, b.r)
	switch {
	case err != nil:
	case len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != partition:
		err = fmt.Errorf("%w: another partition answered", ErrProtocol)
	default:
		err = Needs(kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode), "DESCRIBE", topic)
	}
	if err != nil {
		return -1, -1, fmt.Errorf("asking for the end of epoch %d of %s/%d: %w", epoch, topic, partition, err)
	}
	got := resp.Topics[0].Partitions[0]
	return got.LeaderEpoch, got.EndOffset, nil
}

// ProducerState is what a leader remembers of a producer id.
type ProducerState struct {
	ID               int64
	Epoch            int32
	LastSequence     int32 // -1: none
	LastTimestamp    int64 // of the last batch, ms since 1970; -1: none
	CoordinatorEpoch int32
	TxnStartOffset   int64 // -1: no open transaction
}

// DescribeProducers lists every producer id that the leader holds state of
// for the partition, plain ones too (KIP-664). ErrUnsupported: the broker is
// older than 2.8.
func (b Broker) DescribeProducers(ctx context.Context, topic string, partition int32) ([]ProducerState, error) {
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, b.r)
	switch {
	case err != nil:
	case len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != partition:
		err = fmt.Errorf("%w: another partition answered", ErrProtocol)
	default:
		err = Needs(withMessage(resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[0].Partitions[0].ErrorMessage), "READ", topic)
	}
	if err != nil {
		return nil, fmt.Errorf("describing producers of %s/%d: %w", topic, partition, err)
	}
	active := resp.Topics[0].Partitions[0].ActiveProducers
	out := make([]ProducerState, len(active))
	for i, p := range active {
		out[i] = ProducerState{
			ID: p.ProducerID, Epoch: p.ProducerEpoch,
			LastSequence: p.LastSequence, LastTimestamp: p.LastTimestamp,
			CoordinatorEpoch: p.CoordinatorEpoch, TxnStartOffset: p.CurrentTxnStartOffset,
		}
	}
	return out, nil
}

// InitProducerID issues a producer id that nobody had before, without a
// transactional id. A broker that is just fetching its next block of ids from
// the controller, as at its very first call, says COORDINATOR_LOAD_IN_PROGRESS:
// it is asked again until ctx ends.
func (b Broker) InitProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.ProducerID, req.ProducerEpoch = -1, -1
	for {
		resp, err := req.RequestWith(ctx, b.r)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			return resp.ProducerID, resp.ProducerEpoch, nil
		}
		if !errors.Is(err, kerr.CoordinatorLoadInProgress) || !Pause(ctx, loadRetry) {
			return -1, -1, fmt.Errorf("asking for a producer id: %w", err)
		}
	}
}

// loadRetry is how long to wait for a broker that fetches a block of ids,
// which takes it a few milliseconds.
const loadRetry = 20 * time.Millisecond

// Pause waits for d and reports whether ctx still lives.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// DeleteRecords deletes what stands in a partition before an offset.
func (b Broker) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, before
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, b.r)
	switch {
	case err != nil:
	case len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != partition:
		err = fmt.Errorf("%w: another partition answered", ErrProtocol)
	default:
		err = Needs(kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode), "DELETE", topic)
	}
	if err != nil {
		return fmt.Errorf("deleting the records of %s/%d before %d: %w", topic, partition, before, err)
	}
	return nil
}

// Request issues any request.
func (b Broker) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return b.r.Request(ctx, req)
}
