package link

import (
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/words"
)

// measure tells about how many bytes of each new topic the link will copy: the
// size of its partitions, as far as they lie behind where the link starts.
func (f *findings) measure(ctx context.Context, source *side, list []*TopicCheck, heads, starts, ends offsetsAt) {
	topics := kadm.TopicsSet{}
	for _, t := range list {
		for i := range t.Partitions {
			topics.Add(t.Topic, i)
		}
	}
	sizes := source.sizes(ctx, topics)
	if len(topics) > 0 && len(sizes) == 0 {
		f.warn("Kafka cluster %s does not tell how large its topics are: its user needs DESCRIBE on the cluster for that, and for nothing else", source.Name())
		return
	}
	for _, t := range list {
		t.Bytes = 0
		for i := range t.Partitions {
			p := catalog.Partition{Topic: t.Topic, Number: i}
			size, known := sizes[p]
			if !known {
				t.Bytes = -1
				break
			}
			t.Bytes += part(size, heads[p], starts[p], ends[p])
		}
	}
}

// part is how much of a partition's bytes lies behind start, if records are of
// about one size: it holds the offsets from first to end.
func part(size, first, start, end int64) int64 {
	if start <= first || end <= first {
		return size
	}
	return int64(float64(size) * float64(max(0, end-start)) / float64(end-first))
}

// rights tells what the users of both sides may not do with the topics
// that are new to the link and there already.
func (f *findings) rights(ctx context.Context, s *snapshot, list []*TopicCheck) {
	var source, target []string
	for _, t := range list {
		if source = append(source, t.Topic); t.Exists {
			target = append(target, t.Target)
		}
	}
	f.lack(ctx, &s.source, source, kafka.RightRead, kafka.RightDescribeConfigs)
	f.lack(ctx, &s.target, target, kafka.RightRead, kafka.RightWrite, kafka.RightAlter, kafka.RightDescribeConfigs)
}

func (f *findings) lack(ctx context.Context, at *side, topics []string, rights ...kafka.Right) {
	if len(topics) == 0 {
		return
	}
	got, err := at.client.Broker(at.controller()).TopicRights(ctx, topics)
	if err != nil {
		f.warn("Kafka cluster %s: whether its user has all rights could not be found out: %s", at.Name(), kafka.Explain(err))
		return
	}
	var told fold
	for _, name := range topics {
		r, seen := got[name]
		if !seen {
			continue
		}
		var names []string
		for _, right := range r.Lack(rights...) {
			names = append(names, right.String())
		}
		if len(names) > 0 {
			told.add(name, strings.Join(names, ", "))
		}
	}
	for _, names := range told.texts {
		f.warn("Kafka cluster %s: its user lacks %s on %s", at.Name(), names, words.Named("topic", told.topics[names]))
	}
}

// mostTried bounds how many topics are tried: a controller's quota may count
// them.
const mostTried = 20

// tryTopics asks the target's controller whether some of the topics could be
// created: rights, replication factor, settings, and its own rules.
func (f *findings) tryTopics(ctx context.Context, target *side, list []kafka.CreateTopic) {
	list = list[:min(len(list), mostTried)]
	if len(list) == 0 {
		return
	}
	conn, err := target.Dial(ctx, target.controller()) // of its own: see kafka.Broker.CreateTopics
	if err == nil {
		defer conn.Close()
		err = f.tryOver(ctx, conn.Broker(), list)
	}
	if err != nil {
		f.warn("Kafka cluster %s: whether topics can be created there could not be found out: %s", target.Name(), kafka.Explain(err))
	}
}

func (f *findings) tryOver(ctx context.Context, at kafka.Broker, list []kafka.CreateTopic) error {
	got, err := at.TryTopics(ctx, list...)
	if err != nil {
		return err
	}
	var told fold
	for i, t := range got {
		switch {
		case t.Err == nil, errors.Is(t.Err, kerr.ThrottlingQuotaExceeded), errors.Is(t.Err, kerr.TopicAlreadyExists):
		default:
			told.add(list[i].Name, strings.TrimPrefix(t.Err.Error(), "creating topic "+list[i].Name+": "))
		}
	}
	for _, text := range told.texts {
		f.warn("target %s cannot be created: %s", words.Named("topic", told.topics[text]), text)
	}
	return nil
}
