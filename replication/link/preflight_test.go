package link

import (
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/test/load"
)

// preflightOf runs Preflight on empty facts unless cmds made some.
func (l *lab) preflightOf(s fsm.LinkSpec, cmds ...fsm.Command) Preflighted {
	l.t.Helper()
	l.ctl.Store(newControl(l.t, cmds...))
	f, err := Preflight(l.ctx, l.catalog, l.ctl.Load().View(), s, l.us, l.eu)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

// only expects one text that holds all the parts.
func only(t *testing.T, what string, texts []string, parts ...string) {
	t.Helper()
	if len(texts) != 1 {
		t.Errorf("%d %s, want 1: %q", len(texts), what, texts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(texts[0], p) {
			t.Errorf("%s %q does not tell %q", what, texts[0], p)
		}
	}
}

func TestPreflightOfAFitLink(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 2, nil)
	l.create(l.usC, "pay-a", 1, nil)
	l.produce(l.usLog, "orders", 0, 3)
	got := l.preflightOf(spec())
	if len(got.Refusals) != 0 {
		t.Errorf("refusals %q", got.Refusals)
	}
	if want := map[string]string{"us": "id-us", "eu": "id-eu"}; !reflect.DeepEqual(got.ClusterIDs, want) {
		t.Errorf("cluster ids %v, want %v", got.ClusterIDs, want)
	}
	want := []TopicCheck{{Topic: "orders", Target: "orders", Partitions: 2, Bytes: got.Topics[0].Bytes}, {Topic: "pay-a", Target: "pay-a", Partitions: 1}}
	if got.Topics[0].Bytes <= 0 || !reflect.DeepEqual(got.Topics, want) {
		t.Errorf("topics %v, want %v", got.Topics, want)
	}
	if got.Starts != nil {
		t.Errorf("starts %v for earliest", got.Starts)
	}
}

func TestPreflightResolvesStarts(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 2, nil)
	l.create(l.usC, "pay-a", 1, nil)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range 6 {
		rec := &kgo.Record{Topic: "orders", Partition: 1, Timestamp: base.Add(time.Duration(i) * time.Minute), Value: []byte("v")}
		if err := l.usLog.ProduceSync(l.ctx, rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for start, want := range map[string][]fsm.StartAt{
		fsm.StartLatest: {{Topic: "orders", Offsets: []int64{0, 6}}, {Topic: "pay-a", Offsets: []int64{0}}},
		base.Add(150 * time.Second).Format(time.RFC3339): {{Topic: "orders", Offsets: []int64{0, 3}}, {Topic: "pay-a", Offsets: []int64{0}}},
		base.Add(time.Hour).Format(time.RFC3339):         {{Topic: "orders", Offsets: []int64{0, 6}}, {Topic: "pay-a", Offsets: []int64{0}}},
	} {
		s := spec()
		s.Start = start
		got := l.preflightOf(s)
		if len(got.Refusals) != 0 || !reflect.DeepEqual(got.Starts, want) {
			t.Errorf("start %s: %v, want %v (refusals %q)", start, got.Starts, want, got.Refusals)
		}
		if !strings.Contains(strings.Join(got.Warnings, "\n"), "1 partition gets shifted offsets") {
			t.Errorf("start %s: no warning of the shift: %q", start, got.Warnings)
		}
		s.Offsets = fsm.OffsetsIdentical
		only(t, "refusals", l.preflightOf(s).Refusals, "offsets: identical", "1 partition (")

		// A link that is there already keeps what was resolved first.
		s.Offsets = fsm.OffsetsAuto
		old := &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: s}}, At: 1}
		if again := l.preflightOf(s, old); again.Starts != nil {
			t.Errorf("start %s resolved again for a changed link", start)
		}
	}
}

func TestPreflightOfATrimmedHead(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 2, nil)
	l.produce(l.usLog, "orders", 1, 5)
	if err := load.DeleteRecords(l.ctx, []kgo.Opt{kgo.SeedBrokers(l.us.Bootstrap...)}, "orders", 1, 3); err != nil {
		t.Fatal(err)
	}
	s := spec()
	s.Offsets = fsm.OffsetsIdentical
	only(t, "refusals", l.preflightOf(s).Refusals, "orders/1 begins at 3", "too old")
	got := l.preflightOf(s, &fsm.FeatureRaise{Level: fsm.FeatureLevel})
	if len(got.Refusals) != 0 {
		t.Errorf("refused: %q", got.Refusals)
	}
	only(t, "warnings", got.Warnings, "1 partition is copied after 3 offsets of records that are gone", "orders/1 begins at 3", "DELETE")
}

// Where the brokers of both sides have other defaults, what is carried is told
// once for all topics, and so is what an existing topic has.
func TestRetentionByDefaultIsTold(t *testing.T) {
	l := newLab(t)
	l.brokers(l.euC, "log.retention.ms", "86400000")
	for _, name := range []string{"pay-a", "pay-b", "pay-c", "pay-d", "pay-e"} {
		l.create(l.usC, name, 1, nil)
	}
	l.create(l.euC, "pay-e", 1, map[string]string{"retention.ms": "86400000"})
	told := strings.Join(l.preflightOf(spec()).Warnings, "\n")
	for _, want := range []string{
		"target topics pay-a, pay-b, pay-c, pay-d: created with retention.ms=604800000 as at the source, where the target's default is 86400000",
		"target topic pay-e: retention.ms is 86400000, the source's 604800000",
	} {
		if strings.Count(told, want) != 1 {
			t.Errorf("%q does not tell once: %s", told, want)
		}
	}
}

// A partition that has no leader keeps nothing else off: it is named, and joins
// when it has one.
func TestPreflightNamesPartitionsWithoutALeader(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.create(l.usC, "orders", 3, nil)
	l.produce(l.usLog, "orders", 0, 4)
	back := l.leaderless("us", "orders", 1)
	s := spec()
	got := l.preflightOf(s)
	if told := strings.Join(got.Warnings, "\n"); len(got.Refusals) != 0 || !strings.Contains(told, "partition orders/1 without an answer (unreachable: ") || strings.Contains(told, "from its log start") {
		t.Errorf("refusals %q, warnings %q", got.Refusals, got.Warnings)
	}
	s.Start = fsm.StartLatest
	got = l.preflightOf(s)
	if told := strings.Join(got.Warnings, "\n"); len(got.Refusals) != 0 || !strings.Contains(told, "orders/1") || !strings.Contains(told, "from its log start, since start: latest") {
		t.Errorf("start latest: refusals %q, warnings %q", got.Refusals, got.Warnings)
	}
	if want := []fsm.StartAt{{Topic: "orders", Offsets: []int64{4, 0, 0}}}; !reflect.DeepEqual(got.Starts, want) {
		t.Errorf("starts %v, want %v", got.Starts, want)
	}
	// A leader that comes within a moment, as that of a new topic, is waited for.
	time.AfterFunc(300*time.Millisecond, back)
	if got = l.preflightOf(s); len(got.Refusals) != 0 || strings.Contains(strings.Join(got.Warnings, "\n"), "orders/1") {
		t.Errorf("refusals %q, warnings %q", got.Refusals, got.Warnings)
	}
}

// So it is with one of an existing target topic: the topic waits, others do not.
func TestTargetPartitionWithoutALeaderHoldsUpItsTopicAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.create(l.usC, "orders", 2, nil)
	l.create(l.usC, "pay-a", 1, nil)
	l.create(l.euC, "orders", 2, nil)
	l.create(l.euC, "pay-a", 1, nil)
	back := l.leaderless("eu", "orders", 1)
	got := l.preflightOf(spec())
	if told := strings.Join(got.Warnings, "\n"); len(got.Refusals) != 0 || !strings.Contains(told, "topic orders waits (unreachable): partition 1 of the existing target topic orders") {
		t.Errorf("refusals %q, warnings %q", got.Refusals, got.Warnings)
	}
	ctl, r := l.start(spec())
	l.until("the other topic", func() bool { return ctl.streams() == "pay-a/0>pay-a" })
	l.until("the refusal", func() bool {
		m := r.Measure()
		return m.State == fsm.CodeIdle && len(m.Refused) == 1 && m.Refused[0].Topic == "orders" && m.Refused[0].Code == fsm.CodeUnreachable
	})
	back()
	l.until("orders joins", func() bool { return ctl.streams() == "orders/0>orders orders/1>orders pay-a/0>pay-a" })
}

// A bootstrap address that accepts connections and never answers is named, and
// costs a few seconds at most.
func TestPreflightNamesAddressesThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	good := l.us.Bootstrap
	l.us.Bootstrap = append([]string{silent.Addr().String()}, good...)
	began := time.Now()
	got := l.preflightOf(spec())
	if told := strings.Join(got.Warnings, "\n"); len(got.Refusals) != 0 || !strings.Contains(told, "bootstrap address "+silent.Addr().String()+" does not answer") {
		t.Errorf("refusals %q, warnings %q", got.Refusals, got.Warnings)
	}
	if took := time.Since(began); took > maxPreflight/2 {
		t.Errorf("after %v", took)
	}
	l.us.Bootstrap = []string{silent.Addr().String(), "127.0.0.1:1"}
	only(t, "refusals", l.preflightOf(spec()).Refusals, "Kafka cluster us", "127.0.0.1:1", silent.Addr().String(), "does not answer")
}

func TestPreflightRefusesTargetTopics(t *testing.T) {
	l := newLab(t)
	s := spec()
	s.Include = []string{"orders"}
	l.create(l.usC, "orders", 2, nil)
	l.create(l.euC, "orders", 3, nil)
	only(t, "refusals", l.preflightOf(s).Refusals, "orders", "partition-mismatch", "3 partitions", "the source has 2")

	l.deleteTopic(l.euC, "orders")
	l.create(l.euC, "orders", 2, map[string]string{"message.timestamp.type": "LogAppendTime", "max.message.bytes": "1000"})
	got := l.preflightOf(s)
	if len(got.Refusals) != 0 {
		t.Errorf("an empty target topic is refused: %q", got.Refusals)
	}
	for _, part := range []string{"LogAppendTime", "max.message.bytes is 1000"} {
		if !strings.Contains(strings.Join(got.Warnings, "\n"), part) {
			t.Errorf("no warning of %s: %q", part, got.Warnings)
		}
	}

	l.deleteTopic(l.euC, "orders")
	l.create(l.euC, "orders", 2, nil)
	l.produce(l.euL, "orders", 1, 1)
	only(t, "refusals", l.preflightOf(s).Refusals, "orders", "not-empty", "partition 1")

	// Not where the streams are there already.
	applied := &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, Links: []fsm.LinkPut{{Spec: s}}, At: 1}
	streams := &fsm.StreamsAdd{Link: 1, Streams: []fsm.StreamKey{{Topic: "orders", TargetTopic: "orders"}, {Topic: "orders", Partition: 1, TargetTopic: "orders"}}}
	if got := l.preflightOf(s, applied, streams); len(got.Refusals) != 0 {
		t.Errorf("our own target topic is refused: %q", got.Refusals)
	}
}

func TestPreflightRefusesWhatCannotWork(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)

	s := spec()
	s.Include = []string{"/(/"}
	only(t, "refusals", l.preflightOf(s).Refusals, "/(/")

	s = spec()
	s.ReplicationFactor = 3
	only(t, "refusals", l.preflightOf(s).Refusals, "replicationFactor is 3", "2 brokers")

	s = spec()
	s.Include = []string{"orders", "absent"}
	if got := l.preflightOf(s); len(got.Refusals) != 0 || !strings.Contains(strings.Join(got.Warnings, "\n"), "absent") {
		t.Errorf("%+v", got)
	}

	eu := l.eu
	l.eu = l.us
	l.eu.Name = "eu"
	only(t, "refusals", l.preflightOf(spec()).Refusals, "us and eu are the same Kafka cluster, id-us")

	l.eu = eu
	l.eu.Name, l.eu.ClusterID = "eu-pinned", "another"
	only(t, "refusals", l.preflightOf(spec()).Refusals, "eu-pinned", `"id-eu" instead of "another"`)

	l.eu = fsm.KafkaCluster{Name: "eu", Bootstrap: []string{"127.0.0.1:1"}}
	only(t, "refusals", l.preflightOf(spec()).Refusals, "Kafka cluster eu", "127.0.0.1:1")
}

func TestPreflightRefusesRings(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	ap := fsm.KafkaCluster{Name: "ap", Bootstrap: []string{"127.0.0.1:1"}}
	ring := func(from, to string) fsm.LinkPut {
		return fsm.LinkPut{Spec: fsm.LinkSpec{Name: fmt.Sprint(from, "-", to), Source: from, Target: to, Include: []string{"*"}}}
	}
	others := &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu, ap}, Links: []fsm.LinkPut{ring("eu", "ap"), ring("ap", "us")}, At: 1}
	only(t, "refusals", l.preflightOf(spec(), others).Refusals, "us-eu, eu-ap, ap-us", "skip-all")
}

// An object that is not applied yet must not take the place of the client
// that running streams use, not even for the time of the question.
func TestPreflightLeavesTheClientsInUseAlone(t *testing.T) {
	l := newLab(t)
	applied := &fsm.Objects{Kafka: []fsm.KafkaCluster{l.us, l.eu}, At: 1}
	l.eu.Bootstrap = []string{"127.0.0.1:1"}
	only(t, "refusals", l.preflightOf(spec(), applied).Refusals, "Kafka cluster eu", "127.0.0.1:1")
	if _, err := l.euC.Metadata(l.ctx); err != nil {
		t.Errorf("the client in use: %v", err)
	}
}

// TestPreflightTellsOfALongWay to the target, and what a partition gets over it.
func TestPreflightTellsOfALongWay(t *testing.T) {
	for _, c := range []struct {
		trip       time.Duration
		datacenter string
		want       []string
	}{
		{0, "", nil},
		{farAway - 1, "", nil},
		{100 * time.Millisecond, "", []string{"Kafka cluster eu", "100ms", "13.1 MB/s", "nodes near it"}},
		{50 * time.Millisecond, "eu-west", []string{"50ms", "26.2 MB/s", "nodes with datacenter eu-west"}},
	} {
		var f findings
		f.distance(fsm.KafkaCluster{Name: "eu", Datacenter: c.datacenter}, c.trip)
		if c.want == nil && len(f.warnings) > 0 {
			t.Errorf("%v: %q", c.trip, f.warnings)
		} else if c.want != nil {
			only(t, "warnings", f.warnings, c.want...)
		}
	}
}

// TestPreflightMeasuresTheWay: a target whose brokers answer late each time is far.
func TestPreflightMeasuresTheWay(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	brokers := l.brokersOf["eu"]
	brokers.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		brokers.KeepControl()
		brokers.SleepControl(func() { <-time.After(farAway) })
		return nil, nil, false
	})
	for _, w := range l.preflightOf(spec()).Warnings {
		if strings.Contains(w, "Kafka cluster eu: a round trip takes") {
			return
		}
	}
	t.Error("nothing is told of the long way")
}
