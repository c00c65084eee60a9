package link

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
)

// keepTopics creates and raises target topics and adds streams. What fails for
// one topic is refused; an error ends the round.
func (t *Task) keepTopics(ctx context.Context, s *snapshot, m *Measurement) error {
	plan, err := t.planTopics(ctx, s)
	if err != nil {
		return err
	}
	m.Topics, m.Streams, m.Refused, m.LeftOut = plan.topics, plan.streams, slices.Clip(plan.refused), plan.leftOut
	if len(plan.actions) == 0 && len(plan.ends) == 0 {
		return nil
	}
	if err := t.confirm(ctx); err != nil {
		return err
	}
	for part := range slices.Chunk(plan.actions, topicsAtOnce) {
		outcomes, err := s.makeReady(ctx, part)
		if err != nil {
			return err
		}
		streams, again, refused := sum(part, outcomes)
		m.Refused = append(m.Refused, refused...)
		if err := t.addStreams(ctx, streams, again); err != nil {
			return err
		}
		for i, a := range part {
			t.recordAdded(a, outcomes[i])
		}
	}
	for _, c := range streamsEnds(s.link, plan.ends, t.cfg.Node, time.Now().UnixMilli()) {
		if err := t.propose(ctx, c); err != nil {
			return fmt.Errorf("ending the streams of %d topics: %w", len(c.Topics), err)
		}
	}
	return nil
}

// topicsAtOnce are created by one request, and copied from then on. Brokers
// take some ten ms for each.
const topicsAtOnce = 100

// planTopics decides, after a look into existing target topics where the
// decision needs it. What rests on the same answers is not decided again.
func (t *Task) planTopics(ctx context.Context, s *snapshot) (topicsPlan, error) {
	rests := basis{s.source.answer(), s.target.answer(), s.view.Index, t.ledgerAt}
	if rests == t.basis {
		return t.plan, nil
	}
	in, err := newTopicsInput(s, t.ledger.made)
	if err != nil {
		return topicsPlan{}, err
	}
	p := decideTopics(in)
	if len(p.examine) == 0 {
		t.basis, t.plan = rests, p
		return p, nil
	}
	in.empty, in.unknown = s.target.empty(ctx, p.examine, offsetTries)
	if err := t.readLedger(ctx, s); err != nil { // another may have made them since
		return topicsPlan{}, err
	}
	in.made = t.ledger.made
	return decideTopics(in), nil
}

// parallel bounds how many topics are raised at a time.
const parallel = 8

// makeReady creates or raises the target topics of actions.
func (s *snapshot) makeReady(ctx context.Context, actions []topicAction) ([]outcome, error) {
	out := make([]outcome, len(actions))
	var create []creation
	var g errgroup.Group
	g.SetLimit(parallel)
	for i, a := range actions {
		switch {
		case a.create > 0:
			create = append(create, creation{topicAction: a, outcome: &out[i]})
		case a.grow > 0:
			g.Go(func() error {
				out[i] = grown(a, s.target.client.CreatePartitions(ctx, a.target, a.grow))
				return nil
			})
		default:
			out[i] = added(a)
		}
	}
	_ = g.Wait() // no function returns an error
	if len(create) == 0 {
		return out, nil
	}
	rules, err := s.target.rules(ctx, s.link.Spec.ReplicationFactor)
	if err != nil {
		return nil, err
	}
	if err := s.create(ctx, create, rules); err != nil {
		for _, c := range create {
			c.outcome.err = err
		}
	}
	return out, nil
}

// creation is a target topic to create.
type creation struct {
	topicAction
	outcome *outcome
	changed []Changed
}

// create makes target topics and notes in the ledger that we did. The error
// concerns all of them.
func (s *snapshot) create(ctx context.Context, list []creation, rules targetRules) error {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.topic
	}
	configs, err := s.source.client.ConfigsOf(ctx, names...)
	if err != nil {
		return err
	}
	var topics []kafka.CreateTopic
	var ready []creation
	for i, c := range list {
		if c.outcome.err = configs[i].Err; c.outcome.err != nil {
			continue
		}
		var topic kafka.CreateTopic
		topic, c.changed = targetTopic(c.topicAction, configs[i].Entries, rules, s.link.Spec.ReplicationFactor)
		topics, ready = append(topics, topic), append(ready, c)
	}
	made, err := s.target.client.CreateTopics(ctx, topics...)
	if err != nil {
		return err
	}
	var origins []ledgerRecord
	for i, c := range ready {
		if *c.outcome = created(c.topicAction, c.changed, made[i].Err); made[i].Err == nil {
			origins = append(origins, s.origin(c, made[i].ID))
		}
	}
	return writeLedger(ctx, s.target.client, origins...)
}

func (s *snapshot) origin(c creation, id [16]byte) ledgerRecord {
	key := s.claim()
	key.Kind, key.Topic = kindTopic, c.target
	return ledgerRecord{key, Origin{ID: topicIDText(id), Topic: c.topic, Partitions: c.create, Changed: c.changed, At: time.Now().UnixMilli()}}
}

func (t *Task) addStreams(ctx context.Context, streams, again []fsm.StreamKey) error {
	for _, c := range streamsAdds(t.link, streams, again, time.Now().UnixMilli()) {
		if err := t.propose(ctx, c); err != nil {
			return fmt.Errorf("adding %d streams: %w", len(c.Streams)+len(c.Again), err)
		}
	}
	return nil
}

func (t *Task) recordAdded(a topicAction, o outcome) {
	if o.err != nil || o.later {
		return
	}
	t.log.Info("topic in step", "topic", a.topic, "target", a.target, "streams", len(a.add), "note", o.note)
	t.record(a.topic, fsm.CodeTopicAdded, o.note)
}
