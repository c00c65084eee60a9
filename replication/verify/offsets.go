package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

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

// compaction is whether a topic removes records by their keys.
type compaction struct {
	yes bool
	err error
}

// compacted tells of topics whether they are compacted.
func compacted(ctx context.Context, k *catalog.Cluster, topics []string) map[string]compaction {
	out := map[string]compaction{}
	client, err := k.Client(ctx)
	for part := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(topics))), topicsAtOnce) {
		var got []kafka.ConfigsResult
		if err == nil {
			got, err = client.ConfigsOf(ctx, part...)
		}
		for i, topic := range part {
			c := compaction{err: err}
			if err == nil {
				c.err = got[i].Err
				c.yes = slices.ContainsFunc(got[i].Entries, func(e kafka.ConfigEntry) bool {
					return e.Name == "cleanup.policy" && strings.Contains(e.Value, "compact")
				})
			}
			out[topic] = c
		}
	}
	return out
}

// topicsAtOnce are asked about in one request.
const topicsAtOnce = 500
