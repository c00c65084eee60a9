package syncreal

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	linktask "sluice/replication/link"
)

func spec(include ...string) fsm.LinkSpec {
	return fsm.LinkSpec{Name: "us-eu", Source: "us", Target: "eu", Include: include, Start: fsm.StartEarliest, Offsets: fsm.OffsetsAuto,
		Copies: fsm.CopiesSkipFromTarget, State: fsm.StateRunning}
}

// topicsBetweenVersions: a 4.3.1 source with settings that a 3.9.1 target takes, must not get, or
// does not know.
func topicsBetweenVersions(l *lab) {
	t := l.T
	l.create(l.usC, "orders", 3, map[string]string{
		"cleanup.policy": "compact,delete", "retention.ms": "1234567890", "message.timestamp.type": "LogAppendTime", "compression.type": "zstd",
		"max.message.bytes": "3000000", "min.insync.replicas": "1", "leader.replication.throttled.replicas": "*", "message.timestamp.after.max.ms": "1000",
	})
	// The source's brokers keep records for ever, the target's for a week.
	l.create(l.usC, "kept", 1, nil)
	l.create(l.usC, "full", 1, nil)
	l.create(l.euC, "full", 1, nil)
	l.create(l.usC, "wide", 1, nil)
	l.create(l.euC, "wide", 2, nil)
	l.produce(l.euP, &kgo.Record{Topic: "full", Value: []byte("v")})
	runner := l.link(spec("orders", "kept", "full", "wide", "later*"))

	l.until("streams of orders", func() bool { return len(l.streams("orders")) == 3 })
	for name, want := range map[string]string{
		"cleanup.policy": "compact,delete", "retention.ms": "1234567890", "message.timestamp.type": "CreateTime", "compression.type": "producer",
		"max.message.bytes": "3000000", "leader.replication.throttled.replicas": "", "message.timestamp.after.max.ms": "9223372036854775807",
		"message.timestamp.before.max.ms": "9223372036854775807",
	} {
		if got := l.config(l.euC, "orders", name); got != want {
			t.Errorf("%s is %q at the target, want %q", name, got, want)
		}
	}
	l.until("the stream of kept", func() bool { return len(l.streams("kept")) == 1 })
	if got := l.config(l.euC, "kept", "retention.ms"); got != "-1" {
		t.Errorf("retention.ms of a topic without retention is %s at the target", got)
	}
	l.until("both refusals", func() bool { return len(runner.Measure().Refused) == 2 })
	if m := runner.Measure(); m.State != fsm.CodeIdle || m.Refused[0].Code != fsm.CodeNotEmpty || m.Refused[1].Code != fsm.CodePartitionMismatch {
		t.Errorf("%+v", m)
	}
	if k := l.ctl.View().KafkaCluster("us"); k.ClusterID == "" {
		t.Error("the source's cluster id is not pinned")
	}

	began := time.Now()
	l.create(l.usC, "later", 1, nil)
	if err := l.usC.CreatePartitions(l.ctx, "orders", 5); err != nil {
		t.Fatal(err)
	}
	l.until("the new topic and partitions", func() bool { return len(l.streams("later")) == 1 && len(l.streams("orders")) == 5 })
	t.Logf("a new topic and new partitions became streams in %v", time.Since(began).Round(10*time.Millisecond))
	if n := len(l.metadata(l.euC, "orders").Partitions); n != 5 {
		t.Errorf("%d partitions at the target, want 5", n)
	}

	// Another Sluice cluster is kept off, and let in when the link is released.
	got, err := linktask.Preflight(l.ctx, l.catalog, stranger(t), spec("later"), l.us, l.eu)
	if err != nil || !has(got.Refusals, "sluice-a") {
		t.Errorf("%q, %v", got.Refusals, err)
	}
	us := l.ctl.View().KafkaCluster("us").ClusterID
	if err := linktask.Release(l.ctx, l.catalog.Cluster("eu"), "sluice-a", us, "us-eu", 1); err != nil {
		t.Fatal(err)
	}
	if got, err = linktask.Preflight(l.ctx, l.catalog, stranger(t), spec("later"), l.us, l.eu); err != nil || has(got.Refusals, "sluice-a") {
		t.Errorf("%q, %v", got.Refusals, err)
	}
}

// stranger is the facts of another Sluice cluster.
func stranger(t *testing.T) *fsm.View {
	s := fsm.NewState()
	b, err := fsm.Encode(&fsm.ClusterInit{ClusterID: "sluice-b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(1, b); err != nil {
		t.Fatal(err)
	}
	return s.View()
}

func preflight(l *lab) {
	t := l.T
	l.create(l.usC, "visits", 2, nil)
	l.metadata(l.usC, "visits")
	var records []*kgo.Record
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range 6 {
		records = append(records, &kgo.Record{Topic: "visits", Partition: 1, Timestamp: at.Add(time.Duration(i) * time.Minute), Value: fmt.Append(nil, i)})
	}
	l.produce(l.usP, records...)
	l.create(l.usC, "visits-new", 1, nil)
	l.create(l.euC, "visits", 2, map[string]string{"message.timestamp.type": "LogAppendTime", "message.timestamp.before.max.ms": "60000"})

	s := spec("visits*")
	s.Start = at.Add(150 * time.Second).UTC().Format(time.RFC3339)
	got, err := linktask.Preflight(l.ctx, l.catalog, l.ctl.View(), s, l.us, l.eu)
	if err != nil || len(got.Refusals) != 0 {
		t.Fatalf("%q, %v", got.Refusals, err)
	}
	if len(got.Starts) != 2 || got.Starts[0].Offsets[0] != 0 || got.Starts[0].Offsets[1] != 3 {
		t.Errorf("starts %v", got.Starts)
	}
	for _, part := range []string{"LogAppendTime", "message.timestamp.before.max.ms is 60000", "1 partition gets shifted",
		"target topic visits: retention.ms is 604800000, the source's -1", "target topic visits-new: created with retention.ms=-1 as at the source"} {
		if !has(got.Warnings, part) {
			t.Errorf("no warning of %q in %q", part, got.Warnings)
		}
	}
	if got.ClusterIDs["us"] == "" || got.ClusterIDs["us"] == got.ClusterIDs["eu"] {
		t.Errorf("cluster ids %v", got.ClusterIDs)
	}
	s.ReplicationFactor = 2
	if got, err = linktask.Preflight(l.ctx, l.catalog, l.ctl.View(), s, l.us, l.eu); err != nil || !has(got.Refusals, "has 1 broker") {
		t.Errorf("%q, %v", got.Refusals, err)
	}
}
