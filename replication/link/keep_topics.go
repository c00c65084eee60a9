package link

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/words"
)

// keepTopics creates and raises target topics and adds streams. What fails for
// one topic is refused; an error ends the round, and what it saw is not Seen.
func (t *Task) keepTopics(ctx context.Context, s *snapshot, m *Measurement) (err error) {
	at := time.Now().UnixMilli()
	defer func() {
		if err == nil {
			m.At = at
		}
	}()
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
	var ready, grow, create []topicAction
	for _, a := range plan.actions {
		switch {
		case a.create > 0:
			create = append(create, a)
		case a.grow > 0:
			grow = append(grow, a)
		default:
			ready = append(ready, a)
		}
	}
	for part := range slices.Chunk(ready, topicsAtOnce) {
		if err := t.carryOut(ctx, m, part, added(part)); err != nil {
			return err
		}
	}
	rules := sync.OnceValues(func() (targetRules, error) { return s.target.rules(ctx, s.link.Spec.ReplicationFactor) })
	for _, change := range []struct {
		list []topicAction
		by   changes
	}{
		{grow, s.raise},
		{create, func(ctx context.Context, at kafka.Broker, part []topicAction) ([]outcome, time.Duration, error) {
			r, err := rules()
			if err != nil {
				return nil, 0, err
			}
			return s.create(ctx, at, part, r)
		}},
	} {
		if err := t.atPace(ctx, s, m, change.list, change.by); err != nil {
			return err
		}
	}
	for _, c := range streamsEnds(s.link, plan.ends, t.cfg.Node, time.Now().UnixMilli()) {
		if err := t.propose(ctx, c); err != nil {
			return fmt.Errorf("ending the streams of %s: %w", words.Count(len(c.Topics), "topic"), err)
		}
	}
	return nil
}

// carryOut adds the streams of actions that went well.
func (t *Task) carryOut(ctx context.Context, m *Measurement, part []topicAction, outcomes []outcome) error {
	streams, again, refused := sum(part, outcomes)
	m.Refused = append(m.Refused, refused...)
	if err := t.addStreams(ctx, streams, again); err != nil {
		return err
	}
	for i, a := range part {
		t.recordAdded(a, outcomes[i])
	}
	return nil
}

// changes is one request to the target's controller that creates partitions;
// the error concerns all of it.
type changes func(ctx context.Context, at kafka.Broker, part []topicAction) ([]outcome, time.Duration, error)

// changeFor bounds how long a round changes topics in one way: the next one
// goes on, and sees what else has happened meanwhile.
const changeFor = 5 * time.Second

// atPace creates or raises target topics, some by each request and at the pace
// that the target allows; each is copied as soon as it is ready.
func (t *Task) atPace(ctx context.Context, s *snapshot, m *Measurement, list []topicAction, by changes) error {
	if len(list) == 0 {
		return nil
	}
	var waiting []topicAction
	if t.pace.next(time.Now()) > 0 {
		// Of its own: while a quota holds, a broker reads no more from it.
		conn, err := s.target.Dial(ctx, s.target.controller())
		if err != nil {
			return fmt.Errorf("changing target topics: %w", err)
		}
		defer conn.Close()
		for began := time.Now(); len(list) > 0 && time.Since(began) < changeFor; {
			n := min(t.pace.next(time.Now()), len(list))
			if n == 0 {
				break
			}
			part := list[:n]
			list = list[n:]
			outcomes, throttle, err := by(ctx, conn.Broker(), part)
			if err != nil {
				return err
			}
			late := refusedByQuota(part, outcomes)
			t.pace.answered(time.Now(), n, len(late), throttle)
			waiting = append(waiting, late...)
			if err := t.carryOut(ctx, m, part, outcomes); err != nil {
				return err
			}
		}
	}
	if wait := time.Until(t.pace.after); wait > 0 {
		m.Refused = append(m.Refused, throttled(s.link.Spec.Target, append(waiting, list...), wait)...)
	}
	return nil
}

// planTopics decides, after a look into existing target topics where the
// decision needs it. What rests on the same answers is not decided again.
func (t *Task) planTopics(ctx context.Context, s *snapshot) (topicsPlan, error) {
	rests := basis{s.source.answer(), s.target.answer(), s.view.Changed(), t.ledgerAt}
	if rests == t.basis {
		return t.plan, nil
	}
	in, err := newTopicsInput(s, t.ledger.makers())
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
	in.made = t.ledger.makers()
	return decideTopics(in), nil
}

// raise raises target topics that have too few partitions.
func (s *snapshot) raise(ctx context.Context, at kafka.Broker, list []topicAction) ([]outcome, time.Duration, error) {
	topics := make([]kafka.RaiseTopic, len(list))
	for i, a := range list {
		topics[i] = kafka.RaiseTopic{Name: a.target, Total: a.grow}
	}
	errs, throttle, err := at.CreatePartitions(ctx, topics...)
	if err != nil {
		return nil, throttle, err
	}
	out := make([]outcome, len(list))
	for i, a := range list {
		out[i] = grown(a, errs[i])
	}
	return out, throttle, nil
}

// creation is a target topic to create.
type creation struct {
	topicAction
	outcome *outcome
	changed []Changed
}

// create makes target topics and notes in the ledger that we did. The error
// concerns all of them.
func (s *snapshot) create(ctx context.Context, at kafka.Broker, list []topicAction, rules targetRules) ([]outcome, time.Duration, error) {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.topic
	}
	configs, err := s.source.client.ConfigsOf(ctx, names...)
	if err != nil {
		return nil, 0, err
	}
	out := make([]outcome, len(list))
	var topics []kafka.CreateTopic
	var ready []creation
	for i, a := range list {
		if out[i].err = configs[i].Err; out[i].err == nil {
			topic, changed := targetTopic(a, configs[i].Entries, rules, s.link.Spec.ReplicationFactor)
			topics, ready = append(topics, topic), append(ready, creation{a, &out[i], changed})
		}
	}
	made, throttle, err := at.CreateTopics(ctx, topics...)
	if err != nil {
		return nil, throttle, err
	}
	var origins []ledgerRecord
	for i, c := range ready {
		if *c.outcome = created(c.topicAction, c.changed, made[i].Err); made[i].Err == nil {
			origins = append(origins, s.origin(c, made[i].ID))
		}
	}
	if len(origins) == 0 {
		return out, throttle, nil
	}
	return out, throttle, writeLedger(ctx, s.target.client, origins...)
}

func (s *snapshot) origin(c creation, id [16]byte) ledgerRecord {
	key := s.claim()
	key.Kind, key.Topic = kindTopic, c.target
	return ledgerRecord{key, Origin{ID: topicIDText(id), Topic: c.topic, Partitions: c.create, Changed: c.changed, At: time.Now().UnixMilli()}}
}

func (t *Task) addStreams(ctx context.Context, streams, again []fsm.StreamKey) error {
	for _, c := range streamsAdds(t.link, streams, again, time.Now().UnixMilli()) {
		if err := t.propose(ctx, c); err != nil {
			return fmt.Errorf("adding %s: %w", words.Count(len(c.Streams)+len(c.Again), "stream"), err)
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
