package fsm

import (
	"strings"
	"testing"
)

func TestSelector(t *testing.T) {
	for _, c := range []struct {
		include, exclude string // separated by spaces
		yes, no          string
	}{
		{"orders", "", "orders", "orders2 order Orders"},
		{"pay-*", "", "pay- pay-x pay-x.y", "pay xpay- Pay-x"},
		{"a*b *-tmp", "", "ab axb a.b x-tmp -tmp", "abc xab tmp x-tmp2"},
		{"*", "*-tmp", "a tmp", "x-tmp"},
		{"*", "", "a b.c A-_.9", "__consumer_offsets __x __sluice heartbeats mm2-offsets.us.internal mm2-configs.a.b.internal mm2-status.us.internal mm2-offset-syncs.us.internal us.checkpoints.internal"},
		{"*", "", "us.heartbeats heartbeats2 audit.internal payments-internal mm2-orders mm2-orders.internal mm2-offsets.internal checkpoints.internal _schemas", ""},
		{"/audit/", "", "audit", "audit2 xaudit audits"},
		{"/audit\\..*/", "", "audit. audit.x", "audit auditx x.audit.y"},
		{"/a|b/", "", "a b", "ab ax xb"},
		{"/(?i)A/", "", "a A", "b"},
		{"/.*/", "", "a x.internal", "__x x.checkpoints.internal"},
		{"//", "", "", "a"},
		{"__consumer_offsets __* /__.*/ heartbeats", "", "heartbeats", "__consumer_offsets __x us.heartbeats"},
		{"*", "a", "b ab", "a"},
		{"a", "a", "", "a"},
		{"*", "tmp-* /.*\\.tmp/", "a tmp x.tmp.y", "tmp-a x.tmp"},
		{"heartbeats", "*", "", "heartbeats"},
		{"", "", "", "a"},
	} {
		s, err := ParseSelector(strings.Fields(c.include), strings.Fields(c.exclude))
		if err != nil {
			t.Fatalf("%s - %s: %v", c.include, c.exclude, err)
		}
		for topic := range strings.FieldsSeq(c.yes) {
			if !s.Selects(topic) {
				t.Errorf("[%s] without [%s] does not select %s", c.include, c.exclude, topic)
			}
		}
		for topic := range strings.FieldsSeq(c.no) {
			if s.Selects(topic) {
				t.Errorf("[%s] without [%s] selects %s", c.include, c.exclude, topic)
			}
		}
	}
}

func TestPatternsRefused(t *testing.T) {
	for _, bad := range []string{"", "a b", "a/b", "/", "/(/", "/a)|(b/", "a/*b", "a b*", ".", "..", "ü", strings.Repeat("a", 250)} {
		_, err := ParseSelector([]string{"good", bad}, nil)
		if err == nil || !strings.Contains(err.Error(), "topic pattern \""+bad) {
			t.Errorf("include %q: %v", bad, err)
		}
		spec := LinkSpec{Include: []string{"good"}, Exclude: []string{bad}}
		if _, err := spec.Selector(); err == nil {
			t.Errorf("exclude %q taken", bad)
		}
	}
}

func TestTargetTopic(t *testing.T) {
	for _, c := range []struct{ rename, want string }{
		{"", "orders"}, {"{topic}", "orders"}, {"{source}.{topic}", "us.orders"}, {"copy-{topic}-{topic}", "copy-orders-orders"}, {"{other}", "{other}"},
	} {
		spec := LinkSpec{Source: "us", Rename: c.rename}
		if got := spec.TargetTopic("orders"); got != c.want {
			t.Errorf("%q gives %s, want %s", c.rename, got, c.want)
		}
	}
	braces := LinkSpec{Source: "{topic}", Rename: "{source}"}
	if got := braces.TargetTopic("x"); got != "{topic}" {
		t.Errorf("%s: what was put in must not be replaced again", got)
	}
}
