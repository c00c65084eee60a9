package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
	"sluice/task"
)

// Task is one link task under way. It implements task.Running.
type Task struct {
	cfg     Config
	catalog *catalog.Catalog
	ctl     task.Control
	log     *slog.Logger
	link    fsm.LinkID
	id      fsm.TaskID
	turn    uint64
	cancel  context.CancelFunc
	done    chan struct{}
	measure atomic.Pointer[Measurement]

	// Of the goroutine that runs it.
	recorded map[subject]told // refusals that were recorded and are not over; nil: not looked up yet
	ledger   *ledger
	basis    basis // of plan; zero: none
	plan     topicsPlan
	ledgerAt time.Time // when it was read, zero: not, or it must be again
	alike    alike
	pace     pace
}

// Drain implements task.Running. A round that is cut short is made again by
// the next owner.
func (t *Task) Drain() { t.cancel() }

// Done implements task.Running.
func (t *Task) Done() <-chan struct{} { return t.done }

// Status implements task.Running.
func (t *Task) Status() task.Status {
	m := t.Measure()
	detail, _ := json.Marshal(m.topics(time.Now().UnixMilli())) // strings and numbers: it never fails
	return task.Status{State: m.State, Message: m.Message, Lag: task.Lag{Records: -1, Millis: -1}, Detail: detail}
}

// Measurement is what a Task tells of itself, for status.
type Measurement struct {
	State   fsm.Code // idle: in step; or why not
	Message string   // about a State that is not idle

	Seen
	Differences
}

// Seen is what the last round found that did all that its topics need.
type Seen struct {
	Topics  int       // that the selectors mean now
	Streams int       // partitions of these that are copied or about to be
	Refused []Refused // topics that cannot be copied, each with its reason
	LeftOut []task.TopicLeftOut
	At      int64 // unix ms, 0: none yet
}

// Measure returns what the last round found.
func (t *Task) Measure() Measurement { return *t.measure.Load() }

// topics is the Detail of Status.
func (m *Measurement) topics(now int64) task.Topics {
	d := task.Topics{Selected: m.Topics, NotCopied: len(m.Refused), LeftOut: len(m.LeftOut)}
	if m.At > 0 {
		d.Age = new(max(0, now-m.At))
	}
	for _, r := range m.Refused[:min(len(m.Refused), task.MaxNamed)] {
		d.Why = append(d.Why, task.TopicState{Topic: r.Topic, Code: r.Code, Message: r.Message})
	}
	d.Rules = m.LeftOut[:min(len(m.LeftOut), task.MaxNamed)]
	d.Differ = len(m.Settings) + m.SettingsMore
	for _, s := range m.Settings[:min(len(m.Settings), task.MaxNamed)] {
		d.Settings = append(d.Settings, task.TopicSetting(s))
	}
	return d
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

func (t *Task) record(topic string, code fsm.Code, message string) {
	at := time.Now().UnixMilli()
	t.ctl.Record(fsm.Event{
		Link: t.link, Task: t.id, Topic: topic, Part: -1, Node: t.cfg.Node,
		Code: code, Message: message, From: -1, To: -1, First: at, Last: at,
	})
}
