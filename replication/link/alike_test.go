package link

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/test/load"
)

func TestSettingsThatDiffer(t *testing.T) {
	rules := rulesOf([]kafka.ConfigEntry{set(brokerReplication, "3")},
		[]kafka.ConfigEntry{def(cfgRetentionMs, "604800000"), def(cfgCleanup, "delete"), def(cfgMaxBytes, "1000"), def(cfgMinISR, "1"), def("flush.ms", "9"),
			def(cfgTimestampType, "CreateTime"), def(cfgTimestampAfter, "3600000"), def(cfgCompression, "producer"), def("leader.replication.throttled.replicas", "")}, 0)
	for _, tc := range []struct {
		name           string
		source, target kafka.ConfigEntry
		want           string // "key source target"
	}{
		{"the same by default", def(cfgRetentionMs, "604800000"), def(cfgRetentionMs, "604800000"), ""},
		{"the same, set at the target", def(cfgRetentionMs, "5"), set(cfgRetentionMs, "5"), ""},
		{"set at the source later", set(cfgRetentionMs, "5"), def(cfgRetentionMs, "604800000"), "retention.ms 5 604800000"},
		{"taken back at the source later", def(cfgRetentionMs, "604800000"), set(cfgRetentionMs, "5"), "retention.ms 604800000 5"},
		{"another default at the source", def(cfgRetentionMs, "-1"), def(cfgRetentionMs, "604800000"), "retention.ms -1 604800000"},
		{"policies in another order", set(cfgCleanup, "compact,delete"), set(cfgCleanup, "delete,compact"), ""},
		{"another policy", def(cfgCleanup, "delete"), set(cfgCleanup, "compact"), "cleanup.policy delete compact"},
		{"larger batches at the target", set(cfgMaxBytes, "2000"), set(cfgMaxBytes, "3000"), ""},
		{"smaller batches at the target", set(cfgMaxBytes, "2000"), set(cfgMaxBytes, "1500"), "max.message.bytes 2000 1500"},
		{"more replicas at the target", set(cfgMinISR, "1"), set(cfgMinISR, "2"), ""},
		{"fewer replicas at the target", set(cfgMinISR, "2"), set(cfgMinISR, "1"), "min.insync.replicas 2 1"},
		{"as many replicas as there are", set(cfgMinISR, "4"), set(cfgMinISR, "3"), ""},
		{"another default of no account", def("flush.ms", "1"), def("flush.ms", "9"), ""},
		{"set at the source, of any account", set("flush.ms", "1"), def("flush.ms", "9"), "flush.ms 1 9"},
		{"set at the target, of any account", def("flush.ms", "9"), set("flush.ms", "1"), "flush.ms 9 1"},
		{"timestamps are the records'", set(cfgTimestampType, "LogAppendTime"), def(cfgTimestampType, "CreateTime"), ""},
		{"timestamps are the target's", def(cfgTimestampType, "CreateTime"), set(cfgTimestampType, "LogAppendTime"), "message.timestamp.type CreateTime LogAppendTime"},
		{"compression at the source", set(cfgCompression, "zstd"), def(cfgCompression, "producer"), ""},
		{"compression at the target", set(cfgCompression, "zstd"), set(cfgCompression, "zstd"), "compression.type producer zstd"},
		{"limits of timestamps", def(cfgTimestampAfter, "3600000"), def(cfgTimestampAfter, "3600000"), "message.timestamp.after.max.ms " + widest + " 3600000"},
		{"throttles are each side's own", set("leader.replication.throttled.replicas", "*"), def("leader.replication.throttled.replicas", ""), ""},
		{"what the source does not know", set("other", "1"), set("share.something", "1"), ""},
	} {
		var got []string
		for _, d := range differing("orders", []kafka.ConfigEntry{tc.source}, []kafka.ConfigEntry{tc.target}, rules) {
			got = append(got, d.Key+" "+d.Source+" "+d.Target)
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestWhatTheTargetAloneRemoved(t *testing.T) {
	shifted := &fsm.Mapping{Phase: fsm.PhaseDense, Segments: []fsm.Segment{{Source: 100, Target: 0}, {Source: 150, Target: 40}}} // 140 to 149 were skipped
	aborted := &fsm.Mapping{Phase: fsm.PhaseTranslated, Segments: []fsm.Segment{{Source: 0, Target: 0}, {Source: 5, Target: 0}, {Source: 20, Target: 12}}}
	for _, tc := range []struct {
		name           string
		mapping        *fsm.Mapping
		source, target int64
		from, to       int64
	}{
		{"an aborted transaction came first", aborted, 0, 0, 0, 0},
		{"both begin at an aborted transaction", aborted, 17, 12, 17, 17},
		{"the record before an aborted transaction is gone", aborted, 16, 12, 16, 17},
		{"both from the start", shifted, 0, 0, 100, 100},
		{"no mapping yet", nil, 0, 5, 0, 0},
		{"the target's first", shifted, 0, 5, 100, 105},
		{"the source removed more", shifted, 120, 5, 120, 120},
		{"the target removed more", shifted, 103, 5, 103, 105},
		{"up to what was skipped", shifted, 0, 40, 100, 140},
		{"behind what was skipped", shifted, 0, 45, 100, 155},
		{"all", shifted, 0, 70, 100, 180},
		{"more than is known to be copied", shifted, 0, 75, 100, 180},
	} {
		from, to := removed(&fsm.Copy{Mapping: tc.mapping, Progress: fsm.Progress{Source: 180, Target: 70}}, tc.source, tc.target)
		if from != tc.from || to != tc.to {
			t.Errorf("%s: [%d, %d), want [%d, %d)", tc.name, from, to, tc.from, tc.to)
		}
	}
}

func TestWhatTheSourceWouldRemoveTooIsNoLoss(t *testing.T) {
	topic := func(policy, ms, bytes string) []kafka.ConfigEntry {
		return []kafka.ConfigEntry{def(cfgCleanup, policy), def(cfgRetentionMs, ms), def(cfgRetentionBytes, bytes)}
	}
	no, is := figure{}, func(n int64) figure { return figure{n, true} }
	for _, tc := range []struct {
		name        string
		topic       []kafka.ConfigEntry
		young, size figure
		from        int64 // of a loss of [10, 20); 20: none, -1: not known
	}{
		{"kept for ever", topic("delete", "-1", "-1"), no, no, 10},
		{"all is too old", topic("delete", "5", "-1"), is(-1), no, 20},
		{"all is young", topic("delete", "5", "-1"), is(3), no, 10},
		{"some is young", topic("delete", "5", "-1"), is(15), no, 15},
		{"none is young", topic("delete", "5", "-1"), is(25), no, 20},
		{"age not known", topic("delete", "5", "-1"), no, no, -1},
		{"the target has what the size promises", topic("delete", "-1", "500"), no, is(500), 20},
		{"the target has less", topic("delete", "-1", "500"), no, is(499), 10},
		{"size not known", topic("delete", "-1", "500"), no, no, -1},
		{"less than the size promises, some of it too old", topic("delete", "5", "500"), is(15), is(499), 15},
		{"compaction removes nothing by age", topic("compact", "5", "500"), no, no, 10},
		{"nothing told", nil, no, no, 10},
	} {
		got, sure := keepsOf(tc.topic).broken(TargetLost{"orders", 0, 10, 20}, tc.young, tc.size)
		if sure != (tc.from >= 0) || sure && (got.From != tc.from || got.To != 20) {
			t.Errorf("%s: %+v %v, want from %d", tc.name, got, sure, tc.from)
		}
	}
}

// Each finding has one event when it begins, one when it is another, and one
// when it ends, whoever owned the link before; what could not be asked changes
// nothing.
func TestFindingsHaveEventsWithAnEnd(t *testing.T) {
	a := alike{told: toldBefore([]*fsm.Event{
		{Topic: "orders", Code: fsm.CodeSettingsDiffer}, {Topic: "orders", Code: fsm.CodeTargetLost}, {Topic: "pay", Code: fsm.CodeSettingsDiffer},
		{Topic: "pay", Code: fsm.CodeSettingsAgree}, {Topic: "pay", Code: fsm.CodeTargetLost}, {Topic: "pay", Code: fsm.CodeTargetWhole},
	})}
	topics := []copiedTopic{{topic: "orders", target: "o"}, {topic: "pay", target: "p"}}
	a.begin(time.UnixMilli(1), topics)
	differ := func(v string) []SettingsDiffer { return []SettingsDiffer{{"x", cfgRetentionMs, "1", v}} }
	lost := func(n int64) []TargetLost { return []TargetLost{{"x", 0, 0, n}} }
	for i, tc := range []struct {
		topic int
		found compared
		want  string
	}{
		{0, compared{differ: differ("2"), lost: lost(5)}, ""}, // told by the owner before
		{0, compared{differ: differ("3"), lost: lost(7)}, "settings-differ"},
		{0, compared{unread: errors.New("x"), lost: lost(8)}, "target-lost"},
		{0, compared{unread: errors.New("x"), unseen: true}, ""},
		{0, compared{differ: differ("3"), lost: lost(8)}, ""},
		{0, compared{}, "settings-agree target-whole"},
		{0, compared{}, ""},
		{1, compared{differ: differ("2"), lost: lost(5)}, "settings-differ target-lost"},
		{1, compared{differ: differ("2")}, "target-whole"},
	} {
		a.learn(topics[tc.topic], tc.found)
		var got []string
		for _, n := range a.news(topics[tc.topic]) {
			got = append(got, string(n.code))
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%d: events %q, want %q", i, got, tc.want)
		}
	}
	if d := a.differences(); !reflect.DeepEqual(d.Settings, differ("2")) || d.Lost != nil || d.SettingsUnread != 0 {
		t.Errorf("shown %+v", d)
	}
	a.begin(time.UnixMilli(2), topics[:1])
	if d := a.differences(); d.Settings != nil {
		t.Errorf("of a topic that is copied no more: %+v", d)
	}
}

func TestListsOfFindingsAreBounded(t *testing.T) {
	a := alike{found: map[string]compared{}}
	for i := range 3 * maxShown {
		topic := fmt.Sprintf("t%03d", i)
		a.found[topic] = compared{differ: []SettingsDiffer{{Topic: topic}}, lost: []TargetLost{{Topic: topic}, {Topic: topic, Partition: 1}}, unread: errors.New("x")}
	}
	m := a.differences()
	if len(m.Settings) != maxShown || m.SettingsMore != 2*maxShown || len(m.Lost) != maxShown || m.LostMore != 5*maxShown || m.SettingsUnread != 3*maxShown {
		t.Errorf("%d+%d settings, %d+%d losses, %d unread", len(m.Settings), m.SettingsMore, len(m.Lost), m.LostMore, m.SettingsUnread)
	}
	if !strings.Contains(m.losing, "t000, t001, t002, t003, t004 and 295 more") || m.Settings[1].Topic != "t001" {
		t.Errorf("%q, second %+v", m.losing, m.Settings[1])
	}
}

// alter sets a setting of a topic.
func (l *lab) alter(c *kafka.Client, topic, name, value string) {
	l.t.Helper()
	got, err := kadm.NewClient(c.Kgo()).AlterTopicConfigs(l.ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
	if err != nil || got[0].Err != nil {
		l.t.Fatal(err, got)
	}
}

// A setting that is changed at the source later is shown, at last once a minute,
// and an event tells it until both sides agree again.
func TestDriftOfSettingsIsShown(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, nil)
	l.create(l.usC, "pay-a", 1, nil)
	ctl, r := l.start(spec())
	l.until("a whole pass", func() bool { return r.Measure().ComparedAt != 0 && r.Measure().Streams == 2 })
	if m := r.Measure(); m.Settings != nil || m.State != fsm.CodeIdle {
		t.Errorf("created topics differ: %+v", m)
	}
	l.alter(l.usC, "orders", "retention.ms", "86400000")
	want := []SettingsDiffer{{"orders", "retention.ms", "86400000", "604800000"}}
	l.until("the drift", func() bool { return reflect.DeepEqual(r.Measure().Settings, want) })
	l.until("its event", func() bool { return ctl.events(fsm.CodeSettingsDiffer) == 1 })
	if m := r.Measure(); m.State != fsm.CodeIdle {
		t.Errorf("the link is %s: %s", m.State, m.Message)
	}
	l.alter(l.euC, "orders", "retention.ms", "86400000")
	l.until("the end", func() bool { return r.Measure().Settings == nil && ctl.events(fsm.CodeSettingsAgree) == 1 })
	if n := ctl.events(fsm.CodeSettingsDiffer); n != 1 {
		t.Errorf("%d events of one drift", n)
	}
}

// What the target alone has removed is a problem until the source has removed
// it too.
func TestRecordsThatTheTargetRemovedAreTold(t *testing.T) {
	l := newLab(t)
	l.create(l.usC, "orders", 1, map[string]string{"retention.ms": "-1"})
	l.produce(l.usLog, "orders", 0, 9)
	ctl, r := l.start(spec())
	l.until("the stream", func() bool { return ctl.streams() == "orders/0>orders" })
	l.produce(l.euL, "orders", 0, 9)
	at, err := l.euC.Metadata(l.ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for tk := range ctl.View().Tasks {
		if tk.Kind == fsm.KindCopy {
			ctl.propose(&fsm.MappingPut{Task: tk.ID, Mapping: fsm.Mapping{Version: 1, Phase: fsm.PhaseDense, TargetTopicID: at.Topics[0].ID, Segments: []fsm.Segment{{}}},
				Progress: fsm.Progress{Source: 9, Target: 9}})
		}
	}
	remove := func(k fsm.KafkaCluster, to int64) {
		t.Helper()
		if err := load.DeleteRecords(l.ctx, []kgo.Opt{kgo.SeedBrokers(k.Bootstrap...)}, "orders", 0, to); err != nil {
			t.Fatal(err)
		}
	}
	remove(l.us, 2)
	remove(l.eu, 5)
	l.until("the loss", func() bool { return reflect.DeepEqual(r.Measure().Lost, []TargetLost{{"orders", 0, 2, 5}}) })
	l.until("the problem", func() bool { return r.Measure().State == fsm.CodeTargetLost && ctl.events(fsm.CodeTargetLost) == 1 })
	if e := ctl.last(fsm.CodeTargetLost); !strings.Contains(e.Message, "partition 0 [2, 5)") {
		t.Errorf("the event does not name the offsets: %q", e.Message)
	}
	remove(l.us, 5)
	l.until("the end", func() bool { m := r.Measure(); return m.State == fsm.CodeIdle && m.Lost == nil })
	if n := ctl.events(fsm.CodeTargetWhole); n != 1 {
		t.Errorf("%d events of the end", n)
	}
}
