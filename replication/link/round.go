package link

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
)

// run looks at both Kafka clusters again and again until ctx ends. What goes
// wrong in a round is shown by Measure, recorded as an event, and tried again
// in the next one.
func (t *Task) run(ctx context.Context) {
	defer close(t.done)
	defer t.cancel()
	tick := time.NewTicker(t.cfg.Interval)
	defer tick.Stop()
	for {
		t.once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once runs a round and shows how it went.
func (t *Task) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	m := Measurement{State: fsm.CodeIdle, At: t.Measure().At}
	link := t.ctl.View().Link(t.link)
	if link == nil || !link.Running() {
		m.State = fsm.CodePaused
		t.measure.Store(&m)
		return
	}
	err := t.round(ctx, link, &m)
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return // told to end
	}
	if err != nil {
		m.State, m.Message = codeOf(err), err.Error()
		t.log.Warn("topics not in step", "error", err)
	}
	t.recordRefused(err, m.Refused)
	t.measure.Store(&m)
}

// concern keeps one thing of a link in step: it gathers what it needs beyond
// the snapshot, decides, applies, and notes in m what it shows. An error ends
// the round.
type concern func(ctx context.Context, s *snapshot, m *Measurement) error

// concerns are in order: nothing is touched of a link that is not ours.
func (t *Task) concerns() []concern { return []concern{t.keepClaim, t.keepTopics} }

// round is one snapshot and what follows from it.
func (t *Task) round(ctx context.Context, link *fsm.Link, m *Measurement) error {
	s, err := t.snapshot(ctx, link)
	if err != nil {
		return err
	}
	m.At = time.Now().UnixMilli()
	for _, keep := range t.concerns() {
		if err := keep(ctx, s, m); err != nil {
			return err
		}
	}
	return nil
}

// confirm makes sure that the task is still ours, before anything is changed.
func (t *Task) confirm(ctx context.Context) error {
	if err := t.ctl.ConfirmOwner(ctx, t.id, t.turn); err != nil {
		return fmt.Errorf("confirming the ownership of the link's topics: %w", err)
	}
	return nil
}

func (t *Task) propose(ctx context.Context, c fsm.Command) error {
	res, err := t.ctl.Propose(ctx, c)
	if err == nil && res.Refused != fsm.RefusedNot {
		err = errors.New(res.Message)
	}
	return err
}

// recordRefused records an event for what was not recorded before, of the link
// as a whole and of each topic.
func (t *Task) recordRefused(err error, refused []Refused) {
	now := map[string]Refused{}
	if err != nil {
		refused = append(slices.Clone(refused), Refused{Code: codeOf(err), Message: err.Error()})
		now = maps.Clone(t.recorded) // the round did not get to look at every topic
	}
	for _, f := range refused {
		now[f.Topic] = f
		if old, ok := t.recorded[f.Topic]; !ok || old.Code != f.Code {
			t.record(f.Topic, f.Code, f.Message)
		}
	}
	t.recorded = now
}

func (t *Task) record(topic string, code fsm.Code, message string) {
	at := time.Now().UnixMilli()
	t.ctl.Record(fsm.Event{
		Link: t.link, Task: t.id, Topic: topic, Part: -1, Node: t.cfg.Node,
		Code: code, Message: message, From: -1, To: -1, First: at, Last: at,
	})
}

// ErrClaimed says that another Sluice cluster copies this link.
var ErrClaimed = errors.New("link is claimed by another Sluice cluster")

// codeOf is the reason code of an error that ends a round or concerns a topic.
func codeOf(err error) fsm.Code {
	if errors.Is(err, ErrClaimed) {
		return fsm.CodeForeignWriter
	}
	code := kafka.Code(err)
	var refused *kerr.Error
	if code == fsm.CodeUnreachable && errors.As(err, &refused) && !refused.Retriable {
		return fsm.CodeTopicRefused
	}
	return code
}
