package stream

import (
	"strings"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/replication/pipe"
	"sluice/replication/wire"
)

// TestLook: the state follows from the lag, and a figure that is old or missing
// is unknown.
func TestLook(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	ms := func(d time.Duration) int64 { return ago(d).UnixMilli() }
	at := func(source, stable, last int64, moved time.Duration) pipe.Status {
		return pipe.Status{Progress: fsm.Progress{Source: source}, Stable: stable, Time: last, Moved: ago(moved), Bytes: 1}
	}
	until := func(at time.Time) wire.Slowed { return wire.Slowed{Until: at} }
	began := at(5, 5, -1, 0)
	began.Bytes = 0
	for _, c := range []struct {
		name    string
		s       wire.Sight
		code    fsm.Code
		records int64
		ms      int64
		says    string
	}{
		{"nothing seen yet", wire.Sight{Status: at(5, -1, -1, 0)}, fsm.CodeStarting, -1, -1, "broker 1 of Kafka cluster us"},
		{"nothing behind when it began", wire.Sight{Status: began, Told: now}, fsm.CodeIdle, 0, 0, ""},
		{"copied a moment ago", wire.Sight{Status: at(5, 5, ms(time.Second), time.Second), Told: now}, fsm.CodeCopying, 0, 0, ""},
		{"copied a while ago", wire.Sight{Status: at(5, 5, ms(time.Minute), time.Minute), Told: now}, fsm.CodeIdle, 0, 0, ""},
		{"a little behind", wire.Sight{Status: at(5, 9, ms(time.Second), 0), Told: now}, fsm.CodeCopying, 4, 1000, ""},
		{"far behind", wire.Sight{Status: at(5, 9, ms(time.Hour), 0), Told: now}, fsm.CodeCatchingUp, 4, 3600_000, ""},
		{"ahead of what was told", wire.Sight{Status: at(9, 5, ms(time.Hour), time.Hour), Told: now}, fsm.CodeIdle, 0, 0, ""},

		{"timestamps in seconds", wire.Sight{Status: at(5, 9, now.Unix(), 0), Told: now}, fsm.CodeCopying, 4, -1, ""},
		{"no timestamps", wire.Sight{Status: at(5, 9, -1, 0), Told: now}, fsm.CodeCopying, 4, -1, ""},
		{"timestamps of tomorrow", wire.Sight{Status: at(5, 9, ms(-24*time.Hour), 0), Told: now}, fsm.CodeCopying, 4, -1, ""},
		{"a producer's clock a second ahead", wire.Sight{Status: at(5, 9, ms(-time.Second), 0), Told: now}, fsm.CodeCopying, 4, 0, ""},
		{"no timestamps, nothing behind", wire.Sight{Status: at(5, 5, -1, time.Hour), Told: now}, fsm.CodeIdle, 0, 0, ""},

		{"told long ago", wire.Sight{Status: at(5, 5, -1, time.Hour), Told: ago(11 * time.Second)}, fsm.CodeCopying, -1, -1, ""},
		{"told long ago, and silent", wire.Sight{Status: at(5, 5, -1, time.Hour), Told: ago(12 * time.Second), Silent: 12 * time.Second}, fsm.CodeUnreachable, -1, -1, "broker 1 of Kafka cluster us has not answered for 12s"},
		{"silent for a moment", wire.Sight{Status: at(5, 5, -1, time.Hour), Told: ago(2 * time.Second), Silent: 2 * time.Second}, fsm.CodeIdle, 0, 0, ""},

		{"read under a quota, nothing comes", wire.Sight{Status: at(5, 5, -1, time.Hour), Told: now, Blind: true, Source: until(ago(-time.Second))}, fsm.CodeQuotaThrottled, -1, -1, "broker 1 of Kafka cluster us slows down what is read"},
		{"read under a quota, records wait", wire.Sight{Status: at(5, 9, ms(0), 0), Told: now, Source: until(ago(time.Second))}, fsm.CodeQuotaThrottled, 4, 0, "read"},
		{"read under a quota, nothing behind", wire.Sight{Status: at(5, 5, -1, time.Hour), Told: now, Source: until(ago(time.Second))}, fsm.CodeIdle, 0, 0, ""},
		{"written under a quota, records wait", wire.Sight{Status: at(5, 9, ms(0), 0), Told: now, Target: until(ago(time.Second))}, fsm.CodeQuotaThrottled, 4, 0, "broker 2 of Kafka cluster eu slows down what is written"},
		{"a quota of a while ago", wire.Sight{Status: at(5, 9, ms(0), 0), Told: now, Source: until(ago(time.Minute)), Target: until(ago(time.Minute))}, fsm.CodeCopying, 4, 0, ""},
	} {
		c.s.Source.Cluster, c.s.Source.Node, c.s.Target.Cluster, c.s.Target.Node = "us", 1, "eu", 2
		l := look{c.s, now}
		records, age := l.lag()
		code, says := l.state()
		if code != c.code || records != c.records || age != c.ms || !strings.Contains(says, c.says) || c.says == "" && says != "" {
			t.Errorf("%s: %s (%q), %d records, %d ms", c.name, code, says, records, age)
		}
	}
}
