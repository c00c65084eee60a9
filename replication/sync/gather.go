package sync

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
)

// topicsOf lists the topics of a metadata answer that can be seen.
func topicsOf(m kafka.Metadata) []Topic {
	out := make([]Topic, 0, len(m.Topics))
	for _, t := range m.Topics {
		if t.Err == nil {
			out = append(out, Topic{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions)), Internal: t.Internal})
		}
	}
	return out
}

func byName(topics []Topic) map[string]Topic {
	out := make(map[string]Topic, len(topics))
	for _, t := range topics {
		out[t.Name] = t
	}
	return out
}

// copied summarises the streams of a link by source topic, and tells which
// target topics other links write to on the same target.
func copied(v *fsm.View, link *fsm.Link) (mine map[string]Copied, taken map[string]string) {
	mine, taken = map[string]Copied{}, map[string]string{}
	rivals := map[fsm.LinkID]string{}
	for _, l := range v.Links {
		if l.ID != link.ID && !l.Deleting && l.Spec.Target == link.Spec.Target {
			rivals[l.ID] = l.Spec.Name
		}
	}
	for t := range v.Tasks {
		if t.Kind != fsm.KindCopy {
			continue
		}
		if name, ok := rivals[t.Link]; ok {
			taken[t.Copy.Stream.TargetTopic] = name
		}
		if t.Link == link.ID {
			mine[t.Copy.Stream.Topic] = mine[t.Copy.Stream.Topic].with(t)
		}
	}
	return mine, taken
}

// with adds what one stream tells.
func (c Copied) with(t *fsm.Task) Copied {
	if c.Partitions == nil {
		c.Partitions, c.Recopy = map[int32]bool{}, true
	}
	c.Partitions[t.Copy.Stream.Partition] = true
	c.Recopy = c.Recopy && t.Copy.Order == fsm.OrderRecopy
	if t.Copy.Mapping != nil {
		c.Mapped = true
		c.SourceID, c.TargetID = t.Copy.Mapping.SourceTopicID, t.Copy.Mapping.TargetTopicID
	}
	return c
}

// partition names a partition of a topic.
type partition struct {
	topic  string
	number int32
}

// listOffsets asks the leaders of all partitions of the topics for one
// timestamp, one request to each broker. Partitions that cannot be asked are
// missing from the answer; the error joins why.
func listOffsets(ctx context.Context, c *kafka.Client, topics []kafka.TopicMetadata, iso kafka.Isolation, timestamp int64) (map[partition]int64, error) {
	byLeader := map[int32][]kafka.OffsetQuery{}
	var errs []error
	for _, t := range topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				errs = append(errs, fmt.Errorf("%s/%d: %w", t.Name, p.Partition, kerr.LeaderNotAvailable))
				continue
			}
			byLeader[p.Leader] = append(byLeader[p.Leader], kafka.OffsetQuery{Topic: t.Name, Partition: p.Partition, LeaderEpoch: -1, Timestamp: timestamp})
		}
	}
	out := map[partition]int64{}
	for leader, queries := range byLeader {
		got, err := c.Broker(leader).ListOffsets(ctx, iso, queries)
		if err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", leader, err))
			continue
		}
		for i, r := range got {
			if r.Err != nil {
				errs = append(errs, r.Err)
				continue
			}
			out[partition{queries[i].Topic, queries[i].Partition}] = r.Offset
		}
	}
	return out, errors.Join(errs...)
}

// examine tells which partitions of the topics hold no record. A partition
// that cannot be asked fails the whole: nothing is taken for empty unseen.
func examine(ctx context.Context, c *kafka.Client, m kafka.Metadata, topics []string) (map[string][]bool, error) {
	wanted := make(map[string]bool, len(topics))
	for _, t := range topics {
		wanted[t] = true
	}
	var list []kafka.TopicMetadata
	for _, t := range m.Topics {
		if wanted[t.Name] {
			list = append(list, t)
		}
	}
	first, err := listOffsets(ctx, c, list, kafka.ReadUncommitted, kafka.Earliest)
	if err != nil {
		return nil, fmt.Errorf("asking for the starts of target topics: %w", err)
	}
	end, err := listOffsets(ctx, c, list, kafka.ReadUncommitted, kafka.Latest)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of target topics: %w", err)
	}
	out := make(map[string][]bool, len(list))
	for _, t := range list {
		empty := make([]bool, len(t.Partitions))
		for i := range empty {
			p := partition{t.Name, int32(i)}
			empty[i] = first[p] == end[p]
		}
		out[t.Name] = empty
	}
	return out, nil
}

// targetRules reads what the target's defaults say about a topic that will be
// created with the replication factor of the link (0: the default).
func targetRules(ctx context.Context, c *kafka.Client, m kafka.Metadata, replication int16) (TargetRules, error) {
	rules := TargetRules{Replication: int(replication)}
	if len(m.Brokers) == 0 {
		return rules, fmt.Errorf("%w: metadata names no broker", kafka.ErrProtocol)
	}
	broker, err := c.BrokerConfigs(ctx, m.Brokers[0].ID)
	if err != nil {
		return rules, err
	}
	if rules.Replication <= 0 {
		rules.Replication = number(broker, brokerReplication)
	}
	rules.MaxBytes = number(broker, brokerMaxBytes)
	// The ledger is a topic that is surely there; it has every setting that
	// topics of this Kafka cluster know.
	known, err := c.TopicConfigs(ctx, LedgerTopic)
	if err != nil {
		return rules, err
	}
	rules.Known = make(map[string]bool, len(known))
	for _, e := range known {
		rules.Known[e.Name] = true
	}
	return rules, nil
}
