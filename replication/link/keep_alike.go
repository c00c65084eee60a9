package link

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
)

// compareTimeout bounds what a round spends on comparing topics.
const compareTimeout = 5 * time.Second

// keepAlike compares some of the copied topics with their sources. What cannot
// be asked is asked in the next pass: nothing else waits for it.
func (t *Task) keepAlike(ctx context.Context, s *snapshot, _ *Measurement) error {
	a := &t.alike
	if len(a.rest) == 0 {
		if time.Since(a.began) < t.cfg.CompareEvery {
			return nil
		}
		a.begin(time.Now(), copiedTopics(s.view, t.link))
		if a.told == nil {
			a.told = toldBefore(s.view.LinkEvents(t.link).Events)
		}
	}
	limited, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	if t.compare(limited, s, a.next(topicsAtOnce)); limited.Err() != nil {
		t.log.Warn("copied topics are not compared with their sources now: a Kafka cluster does not answer in time")
		a.rest = nil
	} else if len(a.rest) == 0 {
		a.passed = a.began
	}
	return ctx.Err()
}

// compare compares topics and records what is new.
func (t *Task) compare(ctx context.Context, s *snapshot, list []copiedTopic) {
	if len(list) == 0 {
		return
	}
	var sources, targets []string
	for _, c := range list {
		sources, targets = append(sources, c.topic), append(targets, c.target)
	}
	have, need := configsOf(ctx, s.target.client, targets), configsOf(ctx, s.source.client, sources)
	rules, unread := s.target.rules(ctx, 0)
	exist := s.target.topics(targets)
	lost := s.lost(ctx, list, exist, need)
	for _, c := range list {
		got := compared{lost: lost.found[c.topic], unseen: lost.unseen[c.topic], unread: cmp.Or(unread, need[c.topic].Err, have[c.target].Err)}
		if got.unread == nil {
			if have := exist[c.target]; have != nil {
				rules.replication = len(have.Partitions[0].Replicas)
			}
			got.differ = differing(c.topic, need[c.topic].Entries, have[c.target].Entries, rules)
		}
		t.alike.learn(c, got)
		for _, n := range t.alike.news(c) {
			t.record(c.topic, n.code, n.message)
		}
	}
}

// losses is what the target alone has removed, by source topic.
type losses struct {
	found  map[string][]TargetLost
	unseen map[string]bool // topics of which something that tells it is not known
}

// losing is a stream that may have lost something.
type losing struct {
	*fsm.Copy
	TargetLost
	keeps
}

func (l *losing) source() catalog.Partition {
	return catalog.Partition{Topic: l.Stream.Topic, Number: l.Stream.Partition}
}

func (l *losing) target() catalog.Partition {
	return catalog.Partition{Topic: l.Stream.TargetTopic, Number: l.Stream.Partition}
}

// lost compares where the logs of topics start on both sides.
func (s *snapshot) lost(ctx context.Context, list []copiedTopic, exist map[string]*kafka.TopicMetadata, settings map[string]kafka.ConfigsResult) losses {
	out := losses{map[string][]TargetLost{}, map[string]bool{}}
	var streams []losing
	var sources, targets []catalog.Partition
	for _, c := range list {
		have := exist[c.target]
		for _, id := range c.streams {
			if t := s.view.Task(id); t != nil && t.Copy.Mapping != nil && have != nil && !differ(have.ID, t.Copy.Mapping.TargetTopicID) {
				l := losing{Copy: t.Copy, keeps: keepsOf(settings[c.topic].Entries)}
				streams, sources, targets = append(streams, l), append(sources, l.source()), append(targets, l.target())
			}
		}
		out.unseen[c.topic] = settings[c.topic].Err != nil
	}
	atTarget, _ := s.target.Offsets(ctx, targets, kafka.ReadUncommitted, kafka.Earliest, 1)
	atSource, _ := s.source.Offsets(ctx, sources, kafka.ReadUncommitted, kafka.Earliest, 1)
	var found []losing
	for _, l := range streams {
		first, ok := atSource[l.source()]
		begin, there := atTarget[l.target()]
		if !ok || !there {
			out.unseen[l.Stream.Topic] = true
			continue
		}
		from, to := removed(l.Copy, first, begin)
		if l.TargetLost = (TargetLost{l.Stream.Topic, l.Stream.Partition, from, to}); from < to {
			found = append(found, l)
		}
	}
	s.promised(ctx, found, &out)
	return out
}

// promised adds to out what the source's settings promise to keep of what the
// target has removed.
func (s *snapshot) promised(ctx context.Context, found []losing, out *losses) {
	byAge := map[int64][]catalog.Partition{}
	sized := kadm.TopicsSet{}
	for _, l := range found {
		if l.ms >= 0 {
			byAge[l.ms] = append(byAge[l.ms], l.source())
		}
		if l.bytes >= 0 {
			sized.Add(l.Stream.TargetTopic, l.Partition)
		}
	}
	young := map[catalog.Partition]int64{}
	for ms, list := range byAge {
		first, _ := s.source.Offsets(ctx, list, kafka.ReadUncommitted, time.Now().UnixMilli()-ms, 1)
		maps.Copy(young, first)
	}
	sizes := s.target.sizes(ctx, sized)
	for _, l := range found {
		first, known := young[l.source()]
		size, told := sizes[l.target()]
		lost, sure := l.broken(l.TargetLost, figure{first, known}, figure{size, told})
		if !sure {
			out.unseen[l.Topic] = true
		} else if lost.From < lost.To {
			out.found[l.Topic] = append(out.found[l.Topic], lost)
		}
	}
}
