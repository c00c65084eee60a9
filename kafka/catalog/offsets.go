package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
)

// Partition names a partition.
type Partition struct {
	Topic  string
	Number int32
}

// Offsets asks the leaders of partitions for one offset each (see
// kafka.OffsetQuery), one request to each broker, all brokers at once. It asks
// up to tries times where a leader moves, each time after the first with leaders
// looked up anew; a broker that hangs has used that time up. A partition that
// could not be asked, or did not answer, is in failed instead.
func (k *Cluster) Offsets(ctx context.Context, list []Partition, iso kafka.Isolation, timestamp int64, tries int) (offsets map[Partition]int64, failed map[Partition]error) {
	began := time.Now()
	offsets, failed = k.offsets(ctx, list, iso, timestamp, false)
	for try := 1; try < tries && time.Since(began) < time.Duration(2*tries)*retryPause; try++ {
		again := slices.DeleteFunc(slices.Collect(maps.Keys(failed)), func(p Partition) bool { return try > 1 && final(failed[p]) })
		if len(again) == 0 || !kafka.Pause(ctx, retryPause) {
			break
		}
		more, still := k.offsets(ctx, again, iso, timestamp, true)
		maps.Copy(offsets, more)
		for _, p := range again {
			delete(failed, p)
		}
		maps.Copy(failed, still)
	}
	return offsets, failed
}

// retryPause lies between two tries to reach a partition.
const retryPause = 200 * time.Millisecond

// final errors, once leaders were looked up anew, are not mended by asking
// again.
func final(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kafka.ErrClusterIDMismatch)
}

// offsets asks once; fresh looks the leaders up anew.
func (k *Cluster) offsets(ctx context.Context, list []Partition, iso kafka.Isolation, timestamp int64, fresh bool) (offsets map[Partition]int64, failed map[Partition]error) {
	offsets, failed = make(map[Partition]int64, len(list)), map[Partition]error{}
	byLeader := k.byLeader(ctx, list, timestamp, fresh, failed)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for leader, queries := range byLeader {
		wg.Go(func() {
			var got []kafka.OffsetResult
			err := k.Call(ctx, leader, func(ctx context.Context, b kafka.Broker) (err error) {
				got, err = b.ListOffsets(ctx, iso, queries)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			for i, q := range queries {
				p := Partition{q.Topic, q.Partition}
				switch {
				case err != nil:
					failed[p] = fmt.Errorf("broker %d: %w", leader, err)
				case got[i].Err != nil:
					failed[p] = got[i].Err
				default:
					offsets[p] = got[i].Offset
				}
			}
		})
	}
	wg.Wait()
	return offsets, failed
}

// byLeader puts the queries together that go to the same broker.
func (k *Cluster) byLeader(ctx context.Context, list []Partition, timestamp int64, fresh bool, failed map[Partition]error) map[int32][]kafka.OffsetQuery {
	var names []string
	seen := map[string]bool{}
	for _, p := range list {
		if !seen[p.Topic] {
			seen[p.Topic] = true
			names = append(names, p.Topic)
		}
	}
	lost := k.topics.have(ctx, names, fresh)
	out := map[int32][]kafka.OffsetQuery{}
	for _, p := range list {
		at, err := k.known(p)
		if lost != nil && (fresh || err != nil) {
			err = lost
		}
		if err == nil && at.Leader < 0 {
			err = fmt.Errorf("%s/%d: %w", p.Topic, p.Number, kerr.LeaderNotAvailable)
		}
		if err != nil {
			failed[p] = err
			continue
		}
		out[at.Leader] = append(out[at.Leader], kafka.OffsetQuery{Topic: p.Topic, Partition: p.Number, LeaderEpoch: -1, Timestamp: timestamp})
	}
	return out
}

// known is where a partition is as far as is known.
func (k *Cluster) known(p Partition) (Place, error) {
	t, err := k.topics.told(p.Topic)
	if err != nil {
		return Place{}, err
	}
	return placeIn(&t, p.Number)
}
