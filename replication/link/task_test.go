package link

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka"
)

func TestTopicsAreCreatedAndGrow(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 2, map[string]string{"retention.ms": "1234567", "message.timestamp.type": "LogAppendTime", "compression.type": "gzip"})
	l.create(l.usC, "other", 1, nil)
	ctl, r := l.start(spec())

	l.until("streams of orders", func() bool { return ctl.streams() == "orders/0>orders orders/1>orders" })
	configs, err := l.euC.TopicConfigs(l.ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"retention.ms": "1234567", "message.timestamp.type": "CreateTime", "compression.type": "producer"} {
		if got := value(configs, name); got != want {
			t.Errorf("target's %s is %q, want %q", name, got, want)
		}
	}
	l.until("both cluster ids pinned", func() bool {
		v := ctl.View()
		return v.KafkaCluster("us").ClusterID == "id-us" && v.KafkaCluster("eu").ClusterID == "id-eu"
	})

	l.create(l.usC, "pay-a", 1, nil)
	if err := l.usC.CreatePartitions(l.ctx, "orders", 4); err != nil {
		t.Fatal(err)
	}
	l.until("the new topic and partitions", func() bool {
		return ctl.streams() == "orders/0>orders orders/1>orders orders/2>orders orders/3>orders pay-a/0>pay-a"
	})
	if n := l.partitions(l.euC, "orders"); n != 4 {
		t.Errorf("target has %d partitions, want 4", n)
	}
	l.until("in step", func() bool {
		m := r.Measure()
		return m.State == fsm.CodeIdle && m.Topics == 2 && m.Streams == 5 && len(m.Refused) == 0
	})
	if n := ctl.events(fsm.CodeTopicAdded); n != 3 {
		t.Errorf("%d events of added topics, want 3", n)
	}
	index := ctl.View().Index
	l.rounds(r, 3)
	if got := ctl.View().Index; got != index {
		t.Errorf("%d commands though nothing changed", got-index)
	}
}

// The settings that a created topic does not have as its source are kept for
// promotion, with the claim, in the ledger.
func TestLedgerHoldsClaimAndOrigin(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, map[string]string{"compression.type": "zstd"})
	ctl, _ := l.start(spec())
	l.until("a stream", func() bool { return ctl.streams() != "" })
	ours, made := Key{Kind: kindClaim, Sluice: "sluice-a", Source: "id-us", Link: "us-eu"}, Key{Kind: kindTopic, Sluice: "sluice-a", Source: "id-us", Link: "us-eu", Topic: "orders"}
	entries := func() map[Key][]byte {
		t.Helper()
		got, err := readLedger(l.ctx, l.atTarget())
		if err != nil {
			t.Fatal(err)
		}
		out := map[Key][]byte{}
		for _, list := range got.about {
			for _, e := range list {
				out[e.key] = e.value
			}
		}
		return out
	}
	got := entries()
	if len(got) != 2 || got[ours] == nil || got[made] == nil {
		t.Fatalf("ledger %s", got)
	}
	var o Origin
	if err := json.Unmarshal(got[made], &o); err != nil {
		t.Fatal(err)
	}
	if o.Topic != "orders" || o.Partitions != 1 || !slices.Contains(o.Changed, Changed{Name: "compression.type", Source: "zstd", Target: "producer"}) {
		t.Errorf("origin %+v", o)
	}
	m, err := l.euC.Metadata(l.ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if parseTopicID(o.ID) != fsm.TopicID(m.Topics[0].ID) {
		t.Errorf("id %s, want %x", o.ID, m.Topics[0].ID)
	}

	ctl.propose(&fsm.LinkProducer{Link: 1, ProducerID: 4711, Prev: -1})
	l.until("the producer id in the claim", func() bool {
		return strings.Contains(string(entries()[ours]), "4711")
	})
}

func TestExistingTargetTopics(t *testing.T) {
	l := newLab(t)
	for _, topic := range []string{"orders", "pay-empty", "pay-wide"} {
		l.create(l.usC, topic, 2, nil)
	}
	l.create(l.euC, "orders", 2, nil)
	l.create(l.euC, "pay-empty", 2, nil)
	l.create(l.euC, "pay-wide", 3, nil)
	l.produce(l.euL, "orders", 1, 1)
	ctl, r := l.start(spec())

	l.until("the empty one is copied", func() bool { return ctl.streams() == "pay-empty/0>pay-empty pay-empty/1>pay-empty" })
	l.rounds(r, 2)
	m := r.Measure()
	if len(m.Refused) != 2 || m.Refused[0].Code != fsm.CodeNotEmpty || m.Refused[1].Code != fsm.CodePartitionMismatch {
		t.Fatalf("refused %+v", m.Refused)
	}
	if ctl.events(fsm.CodeNotEmpty) != 1 || ctl.events(fsm.CodePartitionMismatch) != 1 {
		t.Error("each refusal is one event")
	}
	// A person makes room; no command is needed.
	l.deleteTopic(l.euC, "orders")
	l.until("the others go on", func() bool { return strings.Contains(ctl.streams(), "orders/1>orders") })
}

func TestRecreatedSourceIsLeftToTheStreams(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	ctl, r := l.start(spec())
	l.until("a stream", func() bool { return ctl.streams() == "orders/0>orders" })
	m, err := l.usC.Metadata(l.ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	var task fsm.TaskID
	for tk := range ctl.View().Tasks {
		if tk.Kind == fsm.KindCopy {
			task = tk.ID
		}
	}
	ctl.propose(&fsm.MappingPut{Task: task, Mapping: fsm.Mapping{Version: 1, Phase: fsm.PhaseDense, SourceTopicID: m.Topics[0].ID, Segments: []fsm.Segment{{}}}})

	l.deleteTopic(l.usC, "orders")
	l.create(l.usC, "orders", 3, nil)
	l.create(l.usC, "pay-later", 1, nil)
	l.until("what came later", func() bool { return strings.Contains(ctl.streams(), "pay-later") })
	l.rounds(r, 2)
	if got := ctl.streams(); got != "orders/0>orders pay-later/0>pay-later" {
		t.Errorf("streams %s", got)
	}
	if n := l.partitions(l.euC, "orders"); n != 1 {
		t.Errorf("the target was raised to %d partitions", n)
	}
}

func TestAnotherSluiceClusterKeepsUsOff(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	theirs := Key{Kind: kindClaim, Sluice: "sluice-b", Source: "id-us", Link: "us-eu"}
	if err := makeLedger(l.ctx, l.euC, 1); err != nil {
		t.Fatal(err)
	}
	if err := writeLedger(l.ctx, l.euC, ledgerRecord{theirs, Claim{LinkID: 9}}); err != nil {
		t.Fatal(err)
	}
	ctl, r := l.start(spec())
	l.until("the refusal", func() bool { return r.Measure().State == fsm.CodeForeignWriter })
	if m := r.Measure(); !strings.Contains(m.Message, "sluice-b") {
		t.Errorf("%q does not name the other", m.Message)
	}
	l.rounds(r, 3)
	if got := ctl.streams(); got != "" {
		t.Errorf("streams %s", got)
	}
	if ctl.events(fsm.CodeForeignWriter) != 1 {
		t.Error("the refusal is one event")
	}
	client := l.euC
	f, err := Preflight(l.ctx, l.catalog, ctl.View(), spec(), l.us, l.eu)
	if again, _ := l.pool.Client(l.ctx, *ctl.View().KafkaCluster("eu")); again != client {
		t.Error("preflight replaced the client that the runner uses")
	}
	if err != nil || len(f.Refusals) != 1 || !strings.Contains(f.Refusals[0], "sluice-b") {
		t.Errorf("preflight %+v, %v", f.Refusals, err)
	}

	release := func(id fsm.LinkID) *ledger {
		if err := Release(l.ctx, l.atTarget(), "sluice-b", "id-us", "us-eu", id); err != nil {
			t.Fatal(err)
		}
		got, err := readLedger(l.ctx, l.atTarget())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if !release(8).standing(theirs).have {
		t.Error("a link that was deleted before took the claim of the one made anew with it")
	}
	release(9)
	l.until("we take over", func() bool { return ctl.streams() == "orders/0>orders" })
	// And they, coming back, are kept off by our claim.
	got, err := readLedger(l.ctx, l.atTarget())
	if err != nil {
		t.Fatal(err)
	}
	if st := got.standing(theirs); st.mine || st.other != "sluice-a" {
		t.Errorf("their standing %+v", st)
	}
}

func TestNothingIsDoneByAFormerOwner(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	ctl := newControl(t, &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: spec()}}, At: 1})
	ctl.lost = true
	r := l.run(ctl)
	l.rounds(r, 3)
	m, err := l.euC.LookAll(l.ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Topics) != 0 || ctl.streams() != "" {
		t.Errorf("target topics %+v, streams %s", m.Topics, ctl.streams())
	}
}

func TestPausedLinkRests(t *testing.T) {
	l := newLab(t)
	s := spec()
	s.State = fsm.StatePaused
	ctl, r := l.start(s)
	l.create(l.usC, "orders", 1, nil)
	l.rounds(r, 2)
	if m := r.Measure(); m.State != fsm.CodePaused || ctl.streams() != "" {
		t.Errorf("%+v, streams %s", m, ctl.streams())
	}
	ctl.propose(&fsm.LinkState{Link: 1, State: fsm.StateRunning, At: 2})
	l.until("the stream", func() bool { return ctl.streams() == "orders/0>orders" })
}

// The claim is held already, so only the round's own question stands between
// a former owner and a topic.
func TestOwnershipIsAskedForBeforeEveryChange(t *testing.T) {
	l := newLab(t)
	ctl, r := l.start(spec())
	l.until("the claim", func() bool { return r.Measure().State == fsm.CodeIdle })
	ctl.mu.Lock()
	ctl.lost = true
	ctl.mu.Unlock()
	l.create(l.usC, "orders", 1, nil)
	l.until("the refusal", func() bool { return strings.Contains(r.Measure().Message, "not the owner") })
	l.rounds(r, 2)
	if got := ctl.streams(); got != "" {
		t.Errorf("streams %s", got)
	}
}

// What rests on the same answers is not decided again, and what does not is.
func TestPlanIsMadeAnewOnlyForNewAnswers(t *testing.T) {
	l := newLab(t)
	ctl, r := l.start(spec())
	r.Drain()
	<-r.Done()
	look := func() *snapshot {
		s := &snapshot{view: ctl.View(), link: ctl.View().Link(1)}
		s.source.meta.Topics = []kafka.TopicMetadata{known("orders", 1, 1)}
		return s
	}
	s := look()
	plan := func(s *snapshot) int {
		t.Helper()
		p, err := r.planTopics(l.ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		return p.topics
	}
	if n := plan(s); n != 1 {
		t.Fatalf("%d topics", n)
	}
	r.plan.topics = 99 // the mark of a plan that was kept
	for _, tc := range []struct {
		name   string
		change func()
		want   int
	}{
		{"nothing", func() {}, 99},
		{"the index alone", func() { ctl.propose(&fsm.Barrier{}); s.view = ctl.View() }, 99},
		{"the facts", func() { ctl.propose(&fsm.LinkState{Link: 1, State: fsm.StateRunning, At: 2}); s.view = ctl.View() }, 1},
		{"the source", func() { s.source = look().source }, 1},
		{"the target", func() { s.target.meta.Topics = []kafka.TopicMetadata{known("other", 2, 1)} }, 1},
		{"the ledger", func() { r.ledgerAt = time.Now() }, 1},
	} {
		r.plan.topics = 99
		tc.change()
		if n := plan(s); n != tc.want {
			t.Errorf("%s changed: %d, want %d", tc.name, n, tc.want)
		}
	}
}
