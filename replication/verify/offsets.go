package verify

import (
	"context"
	"fmt"
	"slices"

	"sluice/kafka"
	"sluice/kafka/catalog"
)

// tries to ask a partition's leader, which may be moving.
const tries = 10

// askOffsets asks for one offset of each partition, for a while where a leader is
// moving.
func askOffsets(ctx context.Context, k *catalog.Cluster, list []catalog.Partition, iso kafka.Isolation, timestamp int64) (found map[catalog.Partition]int64, failed map[catalog.Partition]error) {
	found, failed = k.Offsets(ctx, list, iso, timestamp, tries)
	for p, err := range failed {
		failed[p] = fmt.Errorf("offset of %s/%d: %w", p.Topic, p.Number, err)
	}
	return found, failed
}

// offset is askOffsets of one partition.
func offset(ctx context.Context, k *catalog.Cluster, p catalog.Partition, timestamp int64) (int64, error) {
	found, failed := askOffsets(ctx, k, []catalog.Partition{p}, kafka.ReadUncommitted, timestamp)
	return found[p], failed[p]
}

// retentions tells of topics how they lose records.
func retentions(ctx context.Context, k *catalog.Cluster, topics []string) map[string]retention {
	out := map[string]retention{}
	client, err := k.Client(ctx)
	for part := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(topics))), topicsAtOnce) {
		var got []kafka.ConfigsResult
		if err == nil {
			got, err = client.ConfigsOf(ctx, part...)
		}
		for i, topic := range part {
			if out[topic] = (retention{err: err}); err == nil {
				out[topic] = retentionOf(got[i])
			}
		}
	}
	return out
}

// size asks the leader of a partition how many bytes it holds.
func size(ctx context.Context, k *catalog.Cluster, p catalog.Partition) (bytes int64, err error) {
	at, err := k.Find(ctx, p.Topic, p.Number, false)
	if err != nil {
		return 0, err
	}
	err = k.Call(ctx, at.Leader, func(ctx context.Context, b kafka.Broker) error {
		got, err := b.LogBytes(ctx, map[string][]int32{p.Topic: {p.Number}})
		if err != nil {
			return err
		}
		var ok bool
		if bytes, ok = got[p.Topic][p.Number]; !ok {
			return fmt.Errorf("broker %d tells no size of %s/%d: DESCRIBE on the Kafka cluster is needed", at.Leader, p.Topic, p.Number)
		}
		return nil
	})
	return bytes, err
}

// topicsAtOnce are asked about in one request.
const topicsAtOnce = 500
