package link

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
	"sluice/kafka"
)

func set(name, value string) kafka.ConfigEntry { return kafka.ConfigEntry{Name: name, Value: value} }
func def(name, value string) kafka.ConfigEntry {
	return kafka.ConfigEntry{Name: name, Value: value, Default: true}
}

func TestTargetConfigs(t *testing.T) {
	known := map[string]bool{}
	for _, n := range []string{cfgTimestampType, cfgTimestampBefore, cfgTimestampAfter, cfgCompression, cfgMaxBytes, cfgMinISR, "retention.ms", "cleanup.policy",
		"leader.replication.throttled.replicas", "remote.storage.enable", "segment.bytes"} {
		known[n] = true
	}
	source := []kafka.ConfigEntry{
		set("cleanup.policy", "compact"), def("retention.ms", "604800000"), def("segment.bytes", "1"),
		set(cfgTimestampType, "LogAppendTime"), def(cfgTimestampBefore, widest), set(cfgTimestampAfter, "3600000"),
		set(cfgCompression, "zstd"), set(cfgMaxBytes, "2000000"), set(cfgMinISR, "3"),
		set("leader.replication.throttled.replicas", "*"), set("remote.storage.enable", "true"), set("confluent.tier.enable", "true"),
		set("from.a.later.version", "1"), {Name: "secret", Sensitive: true},
	}
	got, changed := targetConfigs(source, targetRules{known: known, replication: 2, defaults: map[string]string{
		cfgMaxBytes: "1048588", "retention.ms": "604800000", "segment.bytes": "1", cfgMinISR: "1"}})
	want := map[string]string{
		"cleanup.policy": "compact", cfgTimestampType: "CreateTime", cfgTimestampBefore: widest, cfgTimestampAfter: widest,
		cfgCompression: "producer", cfgMaxBytes: "2000000", cfgMinISR: "2",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	var names []string
	for _, c := range changed {
		names = append(names, c.Name+"="+c.Source)
	}
	wantChanged := "compression.type=zstd confluent.tier.enable=true from.a.later.version=1 leader.replication.throttled.replicas=* " +
		"message.timestamp.after.max.ms=3600000 message.timestamp.type=LogAppendTime min.insync.replicas=3 remote.storage.enable=true"
	if got := strings.Join(names, " "); got != wantChanged {
		t.Errorf("changed %s\nwant    %s", got, wantChanged)
	}
}

func TestTargetConfigsWhereLittleIsKnown(t *testing.T) {
	old := map[string]bool{cfgTimestampType: true, cfgCompression: true, cfgMaxBytes: true, cfgTimestampDiff: true}
	got, _ := targetConfigs([]kafka.ConfigEntry{def(cfgMaxBytes, "1048588"), def(cfgMinISR, "2")}, targetRules{known: old, replication: 3, defaults: map[string]string{cfgMaxBytes: "5000000"}})
	want := map[string]string{cfgTimestampType: "CreateTime", cfgTimestampDiff: widest, cfgCompression: "producer", cfgMaxBytes: "5000000"}
	if !maps.Equal(got, want) {
		t.Errorf("before 3.6: %v, want %v", got, want)
	}
	got, _ = targetConfigs([]kafka.ConfigEntry{set(cfgMinISR, "2")}, targetRules{})
	if v, ok := got[cfgMinISR]; ok {
		t.Errorf("min.insync.replicas is %s though the replication factor is not known", v)
	}
}

// What the source's topics have by their brokers' defaults holds at the target,
// whatever the defaults there are.
func TestDefaultsThatDifferAreCarried(t *testing.T) {
	days := func(broker ...kafka.ConfigEntry) targetRules {
		return rulesOf(append(broker, set(brokerReplication, "2")), nil, 0)
	}
	for _, tc := range []struct {
		name   string
		source kafka.ConfigEntry
		rules  targetRules
		want   string
	}{
		{"retention that the source does not have", def(cfgRetentionMs, "-1"), days(set("log.retention.hours", "168")), "-1"},
		{"no retention at the target", def(cfgRetentionMs, "604800000"), days(set("log.retention.ms", "-1"), set("log.retention.hours", "168")), "604800000"},
		{"the same retention, told in hours", def(cfgRetentionMs, "604800000"), days(set("log.retention.ms", ""), set("log.retention.hours", "168")), ""},
		{"none on either side, told in hours", def(cfgRetentionMs, "-1"), days(set("log.retention.hours", "-1")), ""},
		{"retention in minutes goes before hours", def(cfgRetentionMs, "60000"), days(set("log.retention.hours", "168"), set("log.retention.minutes", "1")), ""},
		{"a target that does not tell", def(cfgRetentionMs, "604800000"), days(), "604800000"},
		{"retention by size", def(cfgRetentionBytes, "-1"), days(set("log.retention.bytes", "1000")), "-1"},
		{"compaction", def(cfgCleanup, "compact"), days(set("log.cleanup.policy", "delete")), "compact"},
		{"the same policies in another order", def(cfgCleanup, "delete, compact"), days(set("log.cleanup.policy", "compact,delete")), ""},
		{"how long tombstones last", def("delete.retention.ms", "1"), days(set("log.cleaner.delete.retention.ms", "86400000")), "1"},
		{"segments by time", def("segment.ms", "3600000"), days(set("log.roll.hours", "168")), "3600000"},
		{"segments by time, the same", def("segment.ms", "3600000"), days(set("log.roll.hours", "1")), ""},
		{"larger batches at the source", def(cfgMaxBytes, "2000"), days(set("message.max.bytes", "1000")), "2000"},
		{"larger batches at the target", def(cfgMaxBytes, "1000"), days(set("message.max.bytes", "2000")), "2000"},
		{"more replicas in sync", def(cfgMinISR, "3"), days(set(cfgMinISR, "1")), "2"},
		{"fewer replicas in sync", def(cfgMinISR, "1"), days(set(cfgMinISR, "2")), ""},
		{"what is of no account", def("flush.ms", "1"), days(set("log.flush.interval.ms", "2")), ""},
		{"what is set on the topic", set("flush.ms", "1"), days(), "1"},
		{"what the topics of the target tell goes before its brokers'", def(cfgRetentionMs, "5"),
			rulesOf([]kafka.ConfigEntry{set("log.retention.ms", "5")}, []kafka.ConfigEntry{def(cfgRetentionMs, "6")}, 1), "5"},
		{"what is set on the topic that was asked is no default", def(cfgCleanup, "delete"),
			rulesOf([]kafka.ConfigEntry{set("log.cleanup.policy", "delete")}, []kafka.ConfigEntry{set(cfgCleanup, "compact")}, 1), ""},
		{"what the target's topics do not know", def("max.compaction.lag.ms", "5"), rulesOf(nil, []kafka.ConfigEntry{def(cfgRetentionMs, "6")}, 1), ""},
	} {
		configs, changed := targetConfigs([]kafka.ConfigEntry{tc.source}, tc.rules)
		if got := configs[tc.source.Name]; got != tc.want {
			t.Errorf("%s: %q is set, want %q", tc.name, got, tc.want)
		}
		if differs := tc.want != "" && tc.want != tc.source.Value; (len(changed) > 0) != differs {
			t.Errorf("%s: kept for promotion: %+v", tc.name, changed)
		}
	}
}

func TestCompareConfigs(t *testing.T) {
	source := []kafka.ConfigEntry{def(cfgMaxBytes, "2000")}
	if got := compareConfigs(source, []kafka.ConfigEntry{set(cfgMaxBytes, "2000"), set(cfgTimestampType, "CreateTime"), set(cfgCompression, "producer"), set(cfgTimestampBefore, widest)}); got != nil {
		t.Errorf("%q about a fit topic", got)
	}
	hour := def(cfgTimestampAfter, "3600000")
	if got := compareConfigs(append(source, hour), []kafka.ConfigEntry{set(cfgMaxBytes, "2000"), hour}); got != nil {
		t.Errorf("%q about a topic that takes what the source took", got)
	}
	got := compareConfigs(source, []kafka.ConfigEntry{set(cfgMaxBytes, "1999"), set(cfgTimestampType, "LogAppendTime"), set(cfgCompression, "gzip"), set(cfgTimestampAfter, "3600000")})
	if len(got) != 4 {
		t.Errorf("%d of 4 found: %q", len(got), got)
	}
}

func TestWhatRemovesRecordsAtTheTargetAloneIsTold(t *testing.T) {
	policy := func(cleanup, retention string) []kafka.ConfigEntry {
		return []kafka.ConfigEntry{def(cfgCleanup, cleanup), def(cfgRetentionMs, retention), def(cfgRetentionBytes, "-1")}
	}
	for _, tc := range []struct {
		source, target []kafka.ConfigEntry
		want           []string
	}{
		{policy("delete", "1"), policy("delete", "1"), nil},
		{policy("compact,delete", "1"), policy("delete,compact", "1"), nil},
		{policy("compact", "1"), policy("compact", "2"), nil},
		{policy("delete", "-1"), policy("delete", "604800000"), []string{"retention.ms is 604800000, the source's -1"}},
		{policy("delete", "1"), policy("compact", "1"), []string{"keyless-record"}},
		{policy("compact", "1"), policy("delete", "1"), []string{"removes records by age"}},
		{policy("delete", "1"), policy("compact,delete", "2"), []string{"keyless-record", "retention.ms is 2"}},
		{policy("compact,delete", "1"), policy("compact", "1"), []string{"keeps records that the source removes"}},
	} {
		got := compareConfigs(tc.source, tc.target)
		if len(got) != len(tc.want) {
			t.Errorf("%v and %v: %q", tc.source, tc.target, got)
			continue
		}
		for i, part := range tc.want {
			if !strings.Contains(got[i], part) {
				t.Errorf("%v and %v: %q does not tell %q", tc.source, tc.target, got[i], part)
			}
		}
	}
}

func TestExpiryWarning(t *testing.T) {
	for ms, want := range map[int]bool{0: false, 86_400_000: false, 3_600_000: true, 14_400_000: false} {
		if got := expiryWarning(ms) != ""; got != want {
			t.Errorf("%d ms: warned %v, want %v", ms, got, want)
		}
	}
}

func TestStanding(t *testing.T) {
	claim := func(sluice, link string) []byte {
		b, err := json.Marshal(Key{Kind: kindClaim, Sluice: sluice, Source: "src", Link: link})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v := []byte(`{"linkId":4,"producerId":77}`)
	type step struct {
		key, value []byte
	}
	for _, tc := range []struct {
		name  string
		steps []step
		mine  bool
		alone bool
		other string
	}{
		{"nobody", nil, false, true, ""},
		{"ours alone", []step{{claim("a", "l"), v}}, true, true, ""},
		{"theirs alone", []step{{claim("b", "l"), v}}, false, false, "b"},
		{"ours first", []step{{claim("a", "l"), v}, {claim("b", "l"), v}}, true, false, ""},
		{"theirs first", []step{{claim("b", "l"), v}, {claim("a", "l"), v}}, false, false, "b"},
		{"written again keeps its place", []step{{claim("a", "l"), v}, {claim("b", "l"), v}, {claim("a", "l"), v}}, true, false, ""},
		{"given up and taken by them", []step{{claim("a", "l"), v}, {claim("b", "l"), v}, {claim("a", "l"), nil}, {claim("a", "l"), v}}, false, false, "b"},
		{"they gave up", []step{{claim("b", "l"), v}, {claim("a", "l"), v}, {claim("b", "l"), nil}}, true, true, ""},
		{"another link", []step{{claim("b", "m"), v}}, false, true, ""},
		{"what cannot be read", []step{{[]byte("{"), v}, {nil, v}}, false, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLedger()
			for _, s := range tc.steps {
				l.apply(s.key, s.value)
			}
			got := l.standing(Key{Kind: kindClaim, Sluice: "a", Source: "src", Link: "l"})
			if got.mine != tc.mine || got.alone != tc.alone || got.other != tc.other {
				t.Errorf("%+v", got)
			}
			if got.mine && got.claim.ProducerID != 77 {
				t.Errorf("claim %+v", got.claim)
			}
		})
	}
}

func TestDecideClaim(t *testing.T) {
	ours := standing{mine: true, alone: true, have: true, claim: Claim{LinkID: 4, ProducerID: 77}}
	change := func(f func(*claimInput)) claimInput {
		in := claimInput{standing: ours, link: 4, producer: 77, recent: true, read: true}
		f(&in)
		return in
	}
	for _, tc := range []struct {
		name string
		in   claimInput
		want claimStep
	}{
		{"read lately, and ours", change(func(in *claimInput) { in.read = false }), claimHeld},
		{"read long ago", change(func(in *claimInput) { in.read, in.recent = false, false }), claimRead},
		{"read lately, but the link has another producer id", change(func(in *claimInput) { in.read, in.producer = false, 78 }), claimRead},
		{"never read", claimInput{standing: standing{alone: true}, link: 4, producer: 77}, claimRead},
		{"ours", change(func(*claimInput) {}), claimHeld},
		{"nobody's", change(func(in *claimInput) { in.standing = standing{alone: true} }), claimWrite},
		{"ours, of another producer id", change(func(in *claimInput) { in.producer = 78 }), claimWrite},
		{"ours, of a former life of the link", change(func(in *claimInput) { in.link = 5 }), claimWrite},
		{"ours, of another producer id, and not alone: it keeps its place", change(func(in *claimInput) { in.producer, in.alone = 78, false }), claimHeld},
		{"theirs", change(func(in *claimInput) { in.standing = standing{other: "b"} }), claimRefused},
		{"theirs, and ours came later", change(func(in *claimInput) { in.standing = standing{other: "b", have: true} }), claimWithdraw},
		{"written, and ours", change(func(in *claimInput) { in.written = true }), claimHeld},
		{"written, and theirs came first", change(func(in *claimInput) { in.written, in.standing = true, standing{other: "b", have: true} }), claimWithdraw},
		{"written, and not there", change(func(in *claimInput) { in.written, in.standing = true, standing{alone: true} }), claimRefused},
	} {
		if got := decideClaim(tc.in); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// The records of an answer lie in a buffer that is used again.
func TestLedgerKeepsNoBytesOfAnAnswer(t *testing.T) {
	k := Key{Kind: kindClaim, Sluice: "a", Source: "src", Link: "l"}
	key, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	value := []byte(`{"linkId":4,"producerId":77}`)
	l := newLedger()
	l.apply(key, value)
	want := string(value)
	clear(key)
	clear(value)
	if e := l.about[k.subject()]; len(e) != 1 || string(e[0].value) != want || l.standing(k).claim.ProducerID != 77 {
		t.Errorf("%+v", e)
	}
}

func others(specs []fsm.LinkSpec) (out []*fsm.Link) {
	for _, s := range specs {
		out = append(out, &fsm.Link{Spec: s})
	}
	return out
}

func TestRings(t *testing.T) {
	link := func(name, from, to, rename, copies string, include ...string) fsm.LinkSpec {
		return fsm.LinkSpec{Name: name, Source: from, Target: to, Rename: rename, Copies: copies, Include: include}
	}
	all := fsm.CopiesSkipAll
	for _, tc := range []struct {
		name  string
		links []fsm.LinkSpec
		want  []string // parts of the sentences
	}{
		{"one", []fsm.LinkSpec{link("ab", "a", "b", "", "", "*")}, nil},
		{"to and fro", []fsm.LinkSpec{link("ab", "a", "b", "", "", "*"), link("ba", "b", "a", "", "", "*")}, nil},
		{"a chain", []fsm.LinkSpec{link("ab", "a", "b", "", "", "*"), link("bc", "b", "c", "", "", "*")}, nil},
		{"three in a ring", []fsm.LinkSpec{link("ab", "a", "b", "", "", "*"), link("bc", "b", "c", "", "", "*"), link("ca", "c", "a", "", "", "*")}, []string{"ab, bc, ca"}},
		{"a ring of other topics", []fsm.LinkSpec{link("ab", "a", "b", "", "", "orders"), link("bc", "b", "c", "", "", "*"), link("ca", "c", "a", "", "", "other")}, nil},
		{"a mesh that skips all", []fsm.LinkSpec{link("ab", "a", "b", "", all, "*"), link("bc", "b", "c", "", all, "*"), link("ca", "c", "a", "", all, "*")}, nil},
		{"one of them does not", []fsm.LinkSpec{link("ab", "a", "b", "", all, "*"), link("bc", "b", "c", "", "", "*"), link("ca", "c", "a", "", all, "*")}, []string{"skip-all"}},
		{"names that grow", []fsm.LinkSpec{link("ab", "a", "b", "{source}.{topic}", "", "*"), link("ba", "b", "a", "{source}.{topic}", "", "*")}, []string{"without end"}},
		{"renamed and not selected again", []fsm.LinkSpec{link("ab", "a", "b", "{source}.{topic}", "", "orders"), link("ba", "b", "a", "{source}.{topic}", "", "orders")}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f findings
			f.rings(tc.links[0], others(tc.links[1:]), []TopicCheck{{Topic: "orders"}, {Topic: "pay"}})
			got := f.refusals
			if len(got) != len(tc.want) {
				t.Fatalf("%q, want %q", got, tc.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tc.want[i]) {
					t.Errorf("%q does not tell %q", got[i], tc.want[i])
				}
			}
		})
	}
	var many []fsm.LinkSpec
	for i := range 90 {
		many = append(many, link(fmt.Sprint("l", i), string("abc"[i%3]), string("abc"[(i+1)%3]), "", "", "*"))
	}
	var f findings
	if f.rings(many[0], others(many[1:]), []TopicCheck{{Topic: "orders"}}); len(f.refusals) != fsm.MaxRings+1 || !strings.Contains(f.refusals[fsm.MaxRings], "more rings") {
		t.Errorf("%d refusals: %q", len(f.refusals), f.refusals[len(f.refusals)-1])
	}
	f = findings{}
	if f.rings(link("ab", "a", "b", "", "", "/(/"), nil, nil); len(f.refusals) != 1 {
		t.Error("a bad pattern passed")
	}
}

func TestMakers(t *testing.T) {
	mine := Key{Kind: kindClaim, Sluice: "a", Source: "src", Link: "l"}
	l := newLedger()
	for i, k := range []Key{{Kind: kindTopic, Sluice: "a", Source: "src", Link: "l", Topic: "t"}, {Kind: kindTopic, Sluice: "b", Source: "src", Link: "l", Topic: "u"}, mine} {
		key, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		l.apply(key, fmt.Appendf(nil, `{"id":%q}`, topicIDText(id(byte(i+1)))))
	}
	got := map[string]string{}
	for topic, m := range l.makers() {
		got[topic] = fmt.Sprint(m.id[15], " ", m.ours(mine), " ", m.left, " ", m)
	}
	want := map[string]string{"t": "1 true false link l of the Sluice cluster a", "u": "2 false true link l of the Sluice cluster b"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCodeOf(t *testing.T) {
	for want, errs := range map[fsm.Code][]error{
		fsm.CodeForeignWriter:        {ErrClaimed},
		fsm.CodeUnauthorized:         {kerr.TopicAuthorizationFailed, kerr.PolicyViolation},
		fsm.CodeAuthenticationFailed: {kerr.SaslAuthenticationFailed},
		fsm.CodeNotEnoughReplicas:    {kerr.InvalidReplicationFactor},
		fsm.CodeTopicRefused:         {kerr.InvalidConfig, kerr.InvalidTopicException},
		fsm.CodeUnreachable:          {context.DeadlineExceeded, kerr.NotController, io.EOF},
		fsm.CodeWrongCluster:         {kafka.ErrClusterIDMismatch},
	} {
		for _, err := range errs {
			if got := codeOf(fmt.Errorf("doing: %w", err)); got != want {
				t.Errorf("%v is %s, want %s", err, got, want)
			}
		}
	}
}
