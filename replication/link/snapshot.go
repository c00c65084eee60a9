package link

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kadm"
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

// controller is the broker to send to what changes topics.
func (s *side) controller() int32 {
	if s.meta.Controller < 0 && len(s.meta.Brokers) > 0 {
		return s.meta.Brokers[0].ID
	}
	return s.meta.Controller
}

// topics finds topics of the side, by name; those that are not there are left
// out.
func (s *side) topics(names []string) map[string]*kafka.TopicMetadata {
	wanted, out := map[string]bool{}, map[string]*kafka.TopicMetadata{}
	for _, name := range names {
		wanted[name] = true
	}
	for i := range s.meta.Topics {
		if t := &s.meta.Topics[i]; wanted[t.Name] && t.Err == nil && len(t.Partitions) > 0 {
			out[t.Name] = t
		}
	}
	return out
}

// answer is where the topics of the side are: answers in the same place are the
// same (catalog.Cluster.All).
func (s *side) answer() *kafka.TopicMetadata { return unsafe.SliceData(s.meta.Topics) }

// claim is the key of the link's claim.
func (s *snapshot) claim() Key {
	return Key{Kind: kindClaim, Sluice: s.view.ClusterID, Source: s.source.meta.ClusterID, Link: s.link.Spec.Name}
}

// How often a leader is asked that may be moving: a new topic gets its leaders
// within some hundred ms, and a round is followed by the next one, while a
// person waits for what Preflight says.
const (
	offsetTries    = 4
	preflightTries = 10
)

// partitionsOf lists the partitions of topics.
func partitionsOf(topics []kafka.TopicMetadata) []catalog.Partition {
	var list []catalog.Partition
	for _, t := range topics {
		for _, p := range t.Partitions {
			list = append(list, catalog.Partition{Topic: t.Name, Number: p.Partition})
		}
	}
	return list
}

// empty tells which partitions of the topics hold no record, and of which
// topics that is not known, since not every partition answers.
func (s *side) empty(ctx context.Context, topics []string, tries int) (empty map[string][]bool, unknown map[string]error) {
	var found []kafka.TopicMetadata
	exist := s.topics(topics)
	for _, name := range topics {
		if t := exist[name]; t != nil {
			found = append(found, *t)
		}
	}
	list := partitionsOf(found)
	first, failed := s.Offsets(ctx, list, kafka.ReadUncommitted, kafka.Earliest, tries)
	list = slices.DeleteFunc(list, func(p catalog.Partition) bool { return failed[p] != nil })
	end, unended := s.Offsets(ctx, list, kafka.ReadUncommitted, kafka.Latest, tries)
	maps.Copy(failed, unended)
	empty, unknown = map[string][]bool{}, map[string]error{}
	for _, t := range found {
		for _, p := range partitionsOf([]kafka.TopicMetadata{t}) {
			if err := failed[p]; err != nil && unknown[t.Name] == nil {
				unknown[t.Name] = fmt.Errorf("partition %d of the existing target topic %s does not tell whether it is empty: %w", p.Number, t.Name, err)
			}
			empty[t.Name] = append(empty[t.Name], first[p] == end[p])
		}
	}
	return empty, unknown
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

// sizes asks the brokers how large partitions are, in bytes; those that do not
// tell are left out.
func (s *side) sizes(ctx context.Context, topics kadm.TopicsSet) map[catalog.Partition]int64 {
	if len(topics) == 0 {
		return nil
	}
	dirs, _ := kadm.NewClient(s.client.Kgo()).DescribeAllLogDirs(ctx, topics) // of the brokers that answer
	out := map[catalog.Partition]int64{}
	for _, d := range dirs.Sorted() {
		for _, p := range d.Topics.Sorted() {
			at := catalog.Partition{Topic: p.Topic, Number: p.Partition}
			out[at] = max(out[at], p.Size)
		}
	}
	return out
}
