package sync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
)

// parallel bounds how many topics are created at a time.
const parallel = 8

// outcome is what became of one action.
type outcome struct {
	note   string // what was created, for the event
	failed error
	later  bool // look again in the next round
}

// carry makes the target topics ready, then adds the streams of those that
// are. What fails for one topic is returned as refused; an error ends the
// round.
func (r *Runner) carry(ctx context.Context, s *sight, actions []Action) ([]Refused, error) {
	rules, err := r.rules(ctx, s, actions)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, len(actions))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, a := range actions {
		g.Go(func() error {
			outcomes[i] = r.ready(gctx, s, a, rules)
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	var refused []Refused
	var streams []fsm.StreamKey
	for i, a := range actions {
		if outcomes[i].later {
			continue
		}
		if err := outcomes[i].failed; err != nil {
			refused = append(refused, Refused{a.Topic, codeOf(err), err.Error()})
			continue
		}
		for _, p := range a.Add {
			streams = append(streams, fsm.StreamKey{Topic: a.Topic, Partition: p, TargetTopic: a.Target})
		}
	}
	if err := r.addStreams(ctx, streams); err != nil {
		return refused, err
	}
	for i, a := range actions {
		if outcomes[i].failed == nil && !outcomes[i].later {
			r.tellAdded(a, outcomes[i].note)
		}
	}
	return refused, nil
}

// rules are asked for only where a topic is to be created.
func (r *Runner) rules(ctx context.Context, s *sight, actions []Action) (TargetRules, error) {
	for _, a := range actions {
		if a.Create > 0 {
			return targetRules(ctx, s.target, s.targetMeta, s.link.Spec.ReplicationFactor)
		}
	}
	return TargetRules{}, nil
}

// ready creates or raises the target topic of one action.
func (r *Runner) ready(ctx context.Context, s *sight, a Action, rules TargetRules) outcome {
	switch {
	case a.Create > 0:
		return r.create(ctx, s, a, rules)
	case a.Grow > 0:
		err := s.target.CreatePartitions(ctx, a.Target, a.Grow)
		return outcome{note: fmt.Sprintf("%s raised to %d partitions", a.Target, a.Grow), failed: err}
	}
	return outcome{note: fmt.Sprintf("%d partitions of %s are copied to %s", len(a.Add), a.Topic, a.Target)}
}

func (r *Runner) create(ctx context.Context, s *sight, a Action, rules TargetRules) outcome {
	source, err := s.source.TopicConfigs(ctx, a.Topic)
	if err != nil {
		return outcome{failed: err}
	}
	configs, changed := TargetConfigs(source, rules)
	rf := s.link.Spec.ReplicationFactor
	if rf == 0 {
		rf = -1
	}
	id, err := s.target.CreateTopic(ctx, kafka.CreateTopic{Name: a.Target, Partitions: a.Create, ReplicationFactor: rf, Configs: configs})
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return outcome{later: true} // it appeared meanwhile: whose is it?
	}
	if err != nil {
		return outcome{failed: err}
	}
	key := s.claim
	key.Kind, key.Topic = kindTopic, a.Target
	origin := Origin{ID: topicIDText(id), Topic: a.Topic, Partitions: a.Create, Changed: changed, At: time.Now().UnixMilli()}
	if err := writeLedger(ctx, s.target, key, origin); err != nil {
		return outcome{failed: err}
	}
	note := fmt.Sprintf("%s created with %d partitions", a.Target, a.Create)
	var diffs []string
	for _, c := range changed {
		to := c.Target
		if to == "" {
			to = "the target's default"
		}
		diffs = append(diffs, fmt.Sprintf("%s %s (source: %s)", c.Name, to, c.Source))
	}
	if len(diffs) > 0 {
		note += "; other than at the source: " + strings.Join(diffs, ", ")
	}
	return outcome{note: note}
}

func (r *Runner) addStreams(ctx context.Context, streams []fsm.StreamKey) error {
	for _, c := range streamsAdds(r.link, streams, time.Now().UnixMilli()) {
		res, err := r.ctl.Propose(ctx, c)
		if err == nil && res.Refused != fsm.RefusedNot {
			err = errors.New(res.Message)
		}
		if err != nil {
			return fmt.Errorf("adding %d streams: %w", len(c.Streams), err)
		}
	}
	return nil
}

func (r *Runner) tellAdded(a Action, note string) {
	at := time.Now().UnixMilli()
	r.log.Info("topic in step", "topic", a.Topic, "target", a.Target, "streams", len(a.Add), "note", note)
	r.ctl.Record(fsm.Event{
		Link: r.link, Task: r.task, Topic: a.Topic, Part: -1, Node: r.cfg.Node,
		Code: fsm.CodeTopicAdded, Message: note, From: -1, To: -1, First: at, Last: at,
	})
}
