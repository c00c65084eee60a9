package link

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/task"
)

// mapped gives every stream of the facts a mapping of topics as they are now.
func (l *lab) mapped(ctl *control, producer int64) {
	l.t.Helper()
	id := func(c *kafka.Client) fsm.TopicID {
		m, err := c.Metadata(l.ctx, "orders")
		if err != nil {
			l.t.Fatal(err)
		}
		return m.Topics[0].ID
	}
	source, target := id(l.usC), id(l.euC)
	for t := range ctl.View().Tasks {
		if t.Kind == fsm.KindCopy {
			ctl.propose(&fsm.MappingPut{Task: t.ID, Turn: t.Turn, Mapping: fsm.Mapping{
				Version: 1, Generation: 1, Phase: fsm.PhaseDense, ProducerID: producer, SourceTopicID: source, TargetTopicID: target, Segments: []fsm.Segment{{}},
			}, Progress: fsm.Progress{Source: 1, Target: 1}})
		}
	}
}

// producers lists the producer ids of the streams' mappings, -1: no mapping.
func (c *control) producers() (ids []int64) {
	for t := range c.View().Tasks {
		switch {
		case t.Copy != nil && t.Copy.Mapping != nil:
			ids = append(ids, t.Copy.Mapping.ProducerID)
		case t.Copy != nil:
			ids = append(ids, -1)
		}
	}
	return ids
}

// A topic that the link does not name any more is copied no more; named again
// it goes on where it was, although the target holds records. So does a link
// that was deleted and applied again.
func TestTopicGoesOnWhereItEnded(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 2, nil)
	s := spec()
	s.Include = []string{"orders"}
	ctl := newControl(t, &fsm.FeatureRaise{Level: fsm.FeatureLevel}, &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: s}}, At: 1})
	r := l.run(ctl)
	both := "orders/0>orders orders/1>orders"
	l.until("streams", func() bool { return ctl.streams() == both })
	l.mapped(ctl, 4711)
	l.produce(l.euL, "orders", 0, 1)
	l.produce(l.euL, "orders", 1, 1)

	without := s
	without.Include = []string{"pay-*"}
	ctl.propose(&fsm.Objects{Links: []fsm.LinkPut{{Spec: without}}, At: 2})
	l.until("no stream", func() bool { return ctl.streams() == "" })
	if ctl.events(fsm.CodeTopicEnded) != 1 {
		t.Error("the end of a topic is one event")
	}
	ctl.propose(&fsm.Objects{Links: []fsm.LinkPut{{Spec: s}}, At: 3})
	l.until("streams again", func() bool { return ctl.streams() == both })
	if ids := ctl.producers(); len(ids) != 2 || ids[0] != 4711 || ids[1] != 4711 {
		t.Errorf("producer ids %v: the streams began anew", ids)
	}
	l.rounds(r, 2)
	if m := r.Measure(); m.State != fsm.CodeIdle || len(m.Refused) > 0 {
		t.Errorf("%+v", m)
	}

	r.Drain()
	<-r.Done()
	ctl.propose(&fsm.Objects{DeleteLinks: []string{s.Name}, At: 4})
	ctl.propose(&fsm.LinkPurge{Link: 1})
	ctl.propose(&fsm.Objects{Links: []fsm.LinkPut{{Spec: s}}, At: 5})
	runAgain := func() *Task {
		var again fsm.TaskID
		for tk := range ctl.View().Tasks {
			again = tk.ID
		}
		return l.runTask(ctl, again)
	}
	r = runAgain()
	goesOn := func() {
		t.Helper()
		l.until("streams of the new link", func() bool { return ctl.streams() == both })
		if ids := ctl.producers(); len(ids) != 2 || ids[0] != 4711 || ids[1] != 4711 {
			t.Errorf("producer ids %v: the streams of the new link began anew", ids)
		}
	}
	goesOn()

	// The whole of a file is deleted, its Kafka clusters too, and applied again.
	r.Drain()
	<-r.Done()
	ctl.propose(&fsm.Objects{DeleteLinks: []string{s.Name}, At: 6})
	ctl.propose(&fsm.LinkPurge{Link: 2})
	ctl.propose(&fsm.Objects{DeleteKafka: []string{l.us.Name, l.eu.Name}, At: 7})
	f, err := Preflight(l.ctx, l.catalog, ctl.View(), s, l.us, l.eu)
	if err != nil || len(f.Refusals) > 0 {
		t.Fatalf("refused although what is there is the link's own: %v %q", err, f.Refusals)
	}
	us, eu := l.us, l.eu
	us.ClusterID, eu.ClusterID = f.ClusterIDs[us.Name], f.ClusterIDs[eu.Name]
	ctl.propose(&fsm.Objects{Kafka: []fsm.KafkaCluster{us, eu}, Links: []fsm.LinkPut{{Spec: s}}, At: 8})
	runAgain()
	goesOn()
}

// What is not copied is in the task's state with its reason, and an event tells
// when that is over.
func TestStateOfEveryTopic(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "pay-a", 1, nil)
	l.create(l.usC, "pay-b", 1, nil)
	l.create(l.usC, "pay-x", 1, nil)
	l.create(l.euC, "pay-b", 2, nil)
	s := spec()
	s.Exclude = []string{"*-x"}
	ctl, r := l.start(s)
	state := func() (d task.Topics) {
		if err := json.Unmarshal(r.Status().Detail, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	l.until("a topic is copied", func() bool { return ctl.streams() == "pay-a/0>pay-a" })
	l.rounds(r, 2)
	d := state()
	if d.Age == nil || d.Selected != 3 || d.NotCopied != 2 || d.LeftOut != 1 {
		t.Fatalf("%+v", d)
	}
	if d.Why[0].Topic != "orders" || d.Why[0].Code != fsm.CodeTopicMissing || d.Why[1].Topic != "pay-b" || d.Why[1].Code != fsm.CodePartitionMismatch {
		t.Errorf("%+v", d.Why)
	}
	if r := d.Rules[0]; r.Topic != "pay-x" || !strings.Contains(r.Rule, "*-x") {
		t.Errorf("%+v", d.Rules)
	}
	l.deleteTopic(l.euC, "pay-b")
	l.create(l.usC, "orders", 1, nil)
	l.until("all are copied", func() bool { d := state(); return d.Selected == 3 && d.NotCopied == 0 })
	if n := ctl.events(fsm.CodeResolved); n != 2 {
		t.Errorf("%d events of what is over, want 2", n)
	}
	ctl.propose(&fsm.LinkState{Link: 1, State: fsm.StatePaused, At: 2})
	l.until("paused", func() bool { return r.Measure().State == fsm.CodePaused })
	l.rounds(r, 2)
	if d := state(); d.Selected != 3 || d.Age == nil {
		t.Errorf("a paused link forgot what it saw: %+v", d)
	}
}

// A new owner of a link's topics does not tell again what the one before has
// told, and tells the end of what ended in between.
func TestTheNextOwnerKnowsWhatWasTold(t *testing.T) {
	event := func(at int64, topic string, code fsm.Code) *fsm.Event {
		return &fsm.Event{Task: 5, Topic: topic, Part: -1, Code: code, Message: "why", First: at, Last: at}
	}
	many, some, end := event(10, "", fsm.CodeNotEmpty), event(11, "", fsm.CodePartitionMismatch), event(12, "", fsm.CodeResolved)
	many.Message, some.Message = "12 topics are refused: why", "4 topics are refused: why"
	end.Message = over(fsm.CodePartitionMismatch) + some.Message
	got := refusedBefore(fsm.LinkEvents{
		Events: []*fsm.Event{
			event(1, "a", fsm.CodeTopicMissing), event(2, "b", fsm.CodePartitionMismatch), event(3, "a", fsm.CodeResolved),
			event(4, "c", fsm.CodeTopicAdded), event(6, "d", fsm.CodeSettingsDiffer), event(7, "", fsm.CodeUnreachable),
			{Task: 6, Topic: "e", Part: -1, Code: fsm.CodeTopicMissing, Last: 8}, {Task: 5, Topic: "f", Part: 0, Code: fsm.CodeUnreachable, Last: 9},
			many, some, end,
		},
		Lasting: []*fsm.Event{event(5, "g", fsm.CodeForeignWriter)},
	}, 5)
	of := func(topic string, code fsm.Code, why string) told { return told{Refused: Refused{topic, code, why}} }
	want := map[subject]told{
		{topic: "b"}: of("b", fsm.CodePartitionMismatch, "why"), {}: of("", fsm.CodeUnreachable, "why"), {topic: "g"}: of("g", fsm.CodeForeignWriter, "why"),
		{code: fsm.CodeNotEmpty}: of("", fsm.CodeNotEmpty, many.Message),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A topic whose turn a failed round did not reach is not counted as copied: what
// was seen before stands, with its age.
func TestFailedRoundCountsNoTopicAsCopied(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	ctl, r := l.start(spec())
	l.until("orders is copied and counted", func() bool {
		return ctl.streams() == "orders/0>orders" && r.Measure().Topics == 1
	})
	denied := l.brokersOf["eu"].Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	l.create(l.usC, "pay-a", 1, nil)
	l.until("the target denies its settings", func() bool { return r.Measure().State == fsm.CodeUnauthorized })
	l.rounds(r, 3)
	m := r.Measure()
	if d := m.topics(m.At); ctl.streams() != "orders/0>orders" || d.Selected-d.NotCopied != 1 {
		t.Errorf("%d of %d topics copied; streams %s", d.Selected-d.NotCopied, d.Selected, ctl.streams())
	}
	at := m.At
	l.rounds(r, 3)
	if m := r.Measure(); m.At != at {
		t.Error("what is old passes for new")
	}
	denied.Remove()
	l.until("both are copied and counted", func() bool {
		return ctl.streams() == "orders/0>orders pay-a/0>pay-a" && r.Measure().Topics == 2
	})
}
