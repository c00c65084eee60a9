package verify

import (
	"context"
	"fmt"
	"slices"
	"sync"

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

// sizes asks the leaders of partitions how many bytes these hold, all leaders at
// once.
func sizes(ctx context.Context, k *catalog.Cluster, list []catalog.Partition) (bytes map[catalog.Partition]int64, failed map[catalog.Partition]error) {
	bytes, failed = map[catalog.Partition]int64{}, map[catalog.Partition]error{}
	byLeader := map[int32][]catalog.Partition{}
	for _, p := range list {
		at, err := k.Find(ctx, p.Topic, p.Number, false)
		if err != nil {
			failed[p] = err
			continue
		}
		byLeader[at.Leader] = append(byLeader[at.Leader], p)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for leader, list := range byLeader {
		wg.Go(func() {
			got, err := sizesAt(ctx, k, leader, list)
			mu.Lock()
			defer mu.Unlock()
			for _, p := range list {
				n, told := got[p.Topic][p.Number]
				switch {
				case err != nil:
					failed[p] = err
				case !told:
					failed[p] = fmt.Errorf("broker %d tells no size of %s/%d: DESCRIBE on the Kafka cluster is needed", leader, p.Topic, p.Number)
				default:
					bytes[p] = n
				}
			}
		})
	}
	wg.Wait()
	return bytes, failed
}

// sizesAt asks one broker.
func sizesAt(ctx context.Context, k *catalog.Cluster, leader int32, list []catalog.Partition) (bytes map[string]map[int32]int64, err error) {
	topics := map[string][]int32{}
	for _, p := range list {
		topics[p.Topic] = append(topics[p.Topic], p.Number)
	}
	err = k.Call(ctx, leader, func(ctx context.Context, b kafka.Broker) (err error) {
		bytes, err = b.LogBytes(ctx, topics)
		return err
	})
	return bytes, err
}

// topicsAtOnce are asked about in one request.
const topicsAtOnce = 500
