package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
)

// snapshot is what one look at both Kafka clusters and at the facts found.
type snapshot struct {
	link           *fsm.Link
	source, target side
	// The facts are read after the topics: a mapping that is older than a topic
	// of the same name is seen to be of another topic.
	view *fsm.View
}

// side is one of the two Kafka clusters.
type side struct {
	*catalog.Cluster
	client *kafka.Client
	meta   kafka.Metadata
}

// look asks for the topics of a side.
func (s *side) look(ctx context.Context, maxAge time.Duration) (err error) {
	if s.client, err = s.Client(ctx); err != nil {
		return err
	}
	s.meta, err = s.All(ctx, maxAge)
	return err
}

// answer is where the topics of the side are: answers in the same place are the
// same (catalog.Cluster.All).
func (s *side) answer() *kafka.TopicMetadata { return unsafe.SliceData(s.meta.Topics) }

// claim is the key of the link's claim.
func (s *snapshot) claim() Key {
	return Key{Kind: kindClaim, Sluice: s.view.ClusterID, Source: s.source.meta.ClusterID, Link: s.link.Spec.Name}
}

// offsetTries is how often a leader is asked that may be moving.
const offsetTries = 4

// offsets lists one offset of each partition of the topics. A partition that
// cannot be asked fails the whole: nothing is taken for seen that was not.
func (s *side) offsets(ctx context.Context, topics []kafka.TopicMetadata, iso kafka.Isolation, timestamp int64) (map[catalog.Partition]int64, error) {
	var list []catalog.Partition
	for _, t := range topics {
		for _, p := range t.Partitions {
			list = append(list, catalog.Partition{Topic: t.Name, Number: p.Partition})
		}
	}
	out, failed := s.Offsets(ctx, list, iso, timestamp, offsetTries)
	var errs []error
	for _, p := range slices.SortedFunc(maps.Keys(failed), func(a, b catalog.Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	}) {
		errs = append(errs, failed[p])
	}
	return out, errors.Join(errs[:min(len(errs), 5)]...)
}

// empty tells which partitions of the topics hold no record.
func (s *side) empty(ctx context.Context, topics []string) (map[string][]bool, error) {
	var list []kafka.TopicMetadata
	for _, t := range s.meta.Topics {
		if slices.Contains(topics, t.Name) {
			list = append(list, t)
		}
	}
	first, err := s.offsets(ctx, list, kafka.ReadUncommitted, kafka.Earliest)
	if err != nil {
		return nil, fmt.Errorf("asking for the starts of target topics: %w", err)
	}
	end, err := s.offsets(ctx, list, kafka.ReadUncommitted, kafka.Latest)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of target topics: %w", err)
	}
	out := make(map[string][]bool, len(list))
	for _, t := range list {
		for _, p := range t.Partitions {
			at := catalog.Partition{Topic: t.Name, Number: p.Partition}
			out[t.Name] = append(out[t.Name], first[at] == end[at])
		}
	}
	return out, nil
}

// rules reads what the target's defaults say about a topic that will be
// created with the replication factor of the link (0: the default).
func (s *side) rules(ctx context.Context, replication int16) (targetRules, error) {
	if len(s.meta.Brokers) == 0 {
		return targetRules{}, fmt.Errorf("%w: metadata names no broker", kafka.ErrProtocol)
	}
	broker, err := s.client.BrokerConfigs(ctx, s.meta.Brokers[0].ID)
	if err != nil {
		return targetRules{}, err
	}
	// Once there is a link, the ledger is there; it has every setting that
	// topics of this Kafka cluster know.
	known, err := s.client.TopicConfigs(ctx, LedgerTopic)
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return targetRules{}, err
	}
	return rulesOf(broker, known, replication), nil
}
