package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Batch encodes records as one uncompressed batch of format 2, without a producer id. Offsets and
// producer fields can be set in the bytes afterwards; all but base offset and leader epoch lie under
// the CRC.
func Batch(recs []*kgo.Record) []byte {
	first := recs[0].Timestamp.UnixMilli()
	batch := kmsg.RecordBatch{Magic: 2, PartitionLeaderEpoch: -1, FirstTimestamp: first, MaxTimestamp: first,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		LastOffsetDelta: int32(len(recs) - 1), NumRecords: int32(len(recs))}
	for i, r := range recs {
		at := r.Timestamp.UnixMilli()
		batch.MaxTimestamp = max(batch.MaxTimestamp, at)
		kr := kmsg.Record{TimestampDelta64: at - first, OffsetDelta: int32(i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			kr.Headers = append(kr.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		body := kr.AppendTo(nil)[1:] // without the length, a varint 0
		batch.Records = append(binary.AppendVarint(batch.Records, int64(len(body))), body...)
	}
	const beforeLeaderEpoch, beforeAttributes = 12, 21
	out := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-beforeLeaderEpoch))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[beforeAttributes:], castagnoli()))
	return out
}

// Append produces batches of bytes, one per partition, in one request with acks=all, and returns the
// base offset of each. The first refusal is the error. All partitions must have the same leader.
func Append(ctx context.Context, cl *kgo.Client, topic string, batches map[int32][]byte) (map[int32]int64, error) {
	r := newReader(cl, topic, 0, 0, 0)
	for p := range batches {
		r.partition = p
	}
	if err := r.findLeader(ctx); err != nil {
		return nil, fmt.Errorf("appending to %s: %w", topic, err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = topic, r.id
	for p, b := range batches {
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = p, b
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	got, err := cl.Broker(int(r.leader)).Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("appending to %s: %w", topic, err)
	}
	bases := map[int32]int64{}
	for _, t := range got.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("appending to %s/%d: %w", topic, p.Partition, err)
			}
			bases[p.Partition] = p.BaseOffset
		}
	}
	return bases, nil
}

// ProduceTiny appends so many batches of one record each to every partition of a topic. All of its
// partitions must have the same leader.
func ProduceTiny(ctx context.Context, client []kgo.Opt, topic Topic, batches, size int, seed uint64) error {
	cl, err := kgo.NewClient(client...)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer cl.Close()
	m := newMaker(topic.Name, seed, size, time.Now(), 10*time.Microsecond)
	for n := range batches {
		all := map[int32][]byte{}
		for p := range topic.Partitions {
			all[p] = Batch([]*kgo.Record{m.record(p, int64(n), time.Now())})
		}
		if _, err := Append(ctx, cl, topic.Name, all); err != nil {
			return err
		}
	}
	return nil
}
