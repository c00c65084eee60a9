package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
)

// newSide learns the topics of one side.
func newSide(ctx context.Context, client *kafka.Client, topics []string) (side, error) {
	s := side{client: client, topics: map[string]kafka.TopicMetadata{}}
	if len(topics) == 0 {
		return s, nil
	}
	m, err := client.Metadata(ctx, topics...)
	if err != nil {
		return s, err
	}
	for _, t := range m.Topics {
		s.topics[t.Name] = t
	}
	return s, nil
}

// leader returns the leader that the last metadata named, -1: none.
func (s *side) leader(topic string, partition int32) int32 {
	t, ok := s.topics[topic]
	if !ok || int(partition) >= len(t.Partitions) {
		return -1
	}
	return t.Partitions[partition].Leader
}

// offset asks for one offset, following a leader that moves for a while.
func (s *side) offset(ctx context.Context, topic string, partition int32, iso kafka.Isolation, timestamp int64) (int64, error) {
	leader := s.leader(topic, partition)
	var err error
	for try := range 10 {
		if try > 0 {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(retryPause):
			}
			if leader, err = s.newLeader(ctx, topic, partition); errors.Is(err, kerr.UnknownTopicOrPartition) {
				break
			} else if err != nil {
				continue
			}
		}
		if leader < 0 {
			err = kerr.LeaderNotAvailable
			continue
		}
		var got []kafka.OffsetResult
		got, err = s.client.Broker(leader).ListOffsets(ctx, iso, []kafka.OffsetQuery{{Topic: topic, Partition: partition, LeaderEpoch: -1, Timestamp: timestamp}})
		if err == nil {
			err = got[0].Err
		}
		if err == nil {
			return got[0].Offset, nil
		}
		if errors.Is(err, kerr.TopicAuthorizationFailed) {
			break
		}
	}
	return 0, fmt.Errorf("offset of %s/%d: %w", topic, partition, err)
}

func (s *side) newLeader(ctx context.Context, topic string, partition int32) (int32, error) {
	m, err := s.client.Metadata(ctx, topic)
	if err != nil {
		return -1, err
	}
	for _, t := range m.Topics {
		if t.Name == topic && t.Err == nil && int(partition) < len(t.Partitions) {
			return t.Partitions[partition].Leader, nil
		}
	}
	return -1, fmt.Errorf("%s/%d: %w", topic, partition, kerr.UnknownTopicOrPartition)
}

// ends asks for one end of many partitions, one request to each leader; those
// that cannot be answered so are asked one by one.
func (s *side) ends(ctx context.Context, keys []topicPartition, iso kafka.Isolation) (map[topicPartition]int64, map[topicPartition]error) {
	byLeader := map[int32][]kafka.OffsetQuery{}
	for _, k := range keys {
		if l := s.leader(k.topic, k.partition); l >= 0 {
			byLeader[l] = append(byLeader[l], kafka.OffsetQuery{Topic: k.topic, Partition: k.partition, LeaderEpoch: -1, Timestamp: kafka.Latest})
		}
	}
	out := make(map[topicPartition]int64, len(keys))
	for leader, queries := range byLeader {
		got, err := s.client.Broker(leader).ListOffsets(ctx, iso, queries)
		if err != nil {
			continue
		}
		for i, r := range got {
			if r.Err == nil {
				out[topicPartition{queries[i].Topic, queries[i].Partition}] = r.Offset
			}
		}
	}
	failed := map[topicPartition]error{}
	for _, k := range keys {
		if _, ok := out[k]; ok {
			continue
		}
		if offset, err := s.offset(ctx, k.topic, k.partition, iso, kafka.Latest); err != nil {
			failed[k] = err
		} else {
			out[k] = offset
		}
	}
	return out, failed
}

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}
