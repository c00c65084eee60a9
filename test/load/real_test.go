package load

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/kafkalab"
	"sluice/test/oracle"
)

// lab is a real broker and how to reach it.
type lab struct {
	*kafkalab.Cluster
	t      testing.TB
	ctx    context.Context
	client []kgo.Opt
}

func startLab(t testing.TB, version string) *lab {
	t.Helper()
	c := kafkalab.Start(t, kafkalab.Config{Version: version, Overrides: map[string]string{"log.cleaner.backoff.ms": "100"}})
	return &lab{Cluster: c, t: t, ctx: testContext(t), client: []kgo.Opt{kgo.SeedBrokers(c.Bootstrap()...)}}
}

func (l *lab) topic(name string, partitions int32, configs map[string]string) Topic {
	l.t.Helper()
	if err := l.CreateTopic(l.ctx, kafkalab.Topic{Name: name, Partitions: partitions, Configs: configs}); err != nil {
		l.t.Fatal(err)
	}
	return Topic{name, partitions}
}

// records reads all committed records of a partition.
func (l *lab) records(topic string, partition int32) []*kgo.Record {
	l.t.Helper()
	cl, err := kgo.NewClient(l.client...)
	if err != nil {
		l.t.Fatal(err)
	}
	defer cl.Close()
	starts, ends, err := listOffsets(l.ctx, cl, topic)
	if err != nil {
		l.t.Fatal(err)
	}
	r := newReader(cl, topic, partition, starts[partition], ends[partition])
	var out []*kgo.Record
	for !r.done() {
		recs, err := r.read(l.ctx)
		if err != nil {
			l.t.Fatal(err)
		}
		out = append(out, recs...)
	}
	return out
}

func (l *lab) produce(cfg Config) *Producer {
	l.t.Helper()
	cfg.Client = l.client
	p, err := NewProducer(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := p.Run(l.ctx); err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (l *lab) density(topic Topic, partition int32) (records, offsets int64) {
	l.t.Helper()
	cl, err := kgo.NewClient(l.client...)
	if err != nil {
		l.t.Fatal(err)
	}
	defer cl.Close()
	records, offsets, err = Density(l.ctx, cl, topic.Name, partition)
	if err != nil {
		l.t.Fatal(err)
	}
	return records, offsets
}

// same compares a topic with itself: the checker must reach the end of every kind of topic.
func (l *lab) same(topic Topic, opts Options) {
	l.t.Helper()
	r, err := Compare(l.ctx, l.client, l.client, []string{topic.Name}, opts)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		l.t.Errorf("%s: %v", topic.Name, err)
	}
}

func TestKindsOfTopics(t *testing.T) {
	for _, version := range []string{kafkalab.V4, kafkalab.V3} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := startLab(t, version)
			l.checkDense()
			l.checkTransactions()
			l.checkCompacted()
			l.checkTimes()
			l.checkTiny()
			l.checkOldFormats() // restarts the broker
		})
	}
}

func (l *lab) checkDense() {
	l.t.Helper()
	topic := l.topic("dense", 2, nil)
	p := l.produce(Config{Topics: []Topic{topic}, Records: 2000}.LargeBatches())
	if p.Acked() != 2000 {
		l.t.Errorf("acknowledged %d", p.Acked())
	}
	if err := DeleteRecords(l.ctx, l.client, topic.Name, 1, 500); err != nil {
		l.t.Error(err)
	}
	if records, offsets := l.density(topic, 1); records != 500 || offsets != 500 {
		l.t.Errorf("trimmed: %d records in %d offsets", records, offsets)
	}
	l.same(topic, Options{})
}

func (l *lab) checkTransactions() {
	l.t.Helper()
	topic := l.topic("transactions", 2, nil)
	committed, err := ProduceTransactions(l.ctx, Transactions{Client: l.client, Topic: topic, ID: "tx", Count: 6, Records: 10, AbortEvery: 3})
	if err != nil || committed != 40 {
		l.t.Fatalf("committed %d, %v", committed, err)
	}
	// 30 records, 10 of them aborted, and 6 markers; the last transaction is an aborted one.
	if records, offsets := l.density(topic, 0); records != 20 || offsets != 36 {
		l.t.Errorf("transactions: %d records in %d offsets", records, offsets)
	}
	l.same(topic, Options{IgnoreOffsets: true})
}

func (l *lab) checkCompacted() {
	l.t.Helper()
	topic := l.topic("compacted", 1, CompactedConfigs())
	if err := ProduceKeyed(l.ctx, Keyed{Client: l.client, Topic: topic, Records: 300, Keys: 10, TombstoneEvery: 7}); err != nil {
		l.t.Fatal(err)
	}
	if err := WaitCompacted(l.ctx, l.client, topic); err != nil {
		l.t.Fatal(err)
	}
	l.same(topic, Options{Compacted: true})
	tombstones := 0
	for _, r := range l.records(topic.Name, 0) {
		if r.Value == nil {
			tombstones++
		}
	}
	if tombstones == 0 {
		l.t.Error("no tombstone is left")
	}
}

func (l *lab) checkTimes() {
	l.t.Helper()
	began := time.Now()
	topic := l.topic("append-time", 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	l.produce(Config{Topics: []Topic{topic}, Records: 10}.Old(72 * time.Hour))
	for _, r := range l.records(topic.Name, 0) {
		if r.Attrs.TimestampType() != 1 || r.Timestamp.Before(began.Truncate(time.Millisecond)) {
			l.t.Fatalf("append time %v, type %d", r.Timestamp, r.Attrs.TimestampType())
		}
	}
	topic = l.topic("old", 1, nil)
	l.produce(Config{Topics: []Topic{topic}, Records: 10}.Old(72 * time.Hour))
	for _, r := range l.records(topic.Name, 0) {
		if age := began.Sub(r.Timestamp); age < 71*time.Hour || age > 73*time.Hour {
			l.t.Fatalf("a record is %v old", age)
		}
	}
}

func (l *lab) checkTiny() {
	l.t.Helper()
	topic := l.topic("tiny", 3, nil)
	if err := ProduceTiny(l.ctx, l.client, topic, 20, 30, 1); err != nil {
		l.t.Fatal(err)
	}
	if records, offsets := l.density(topic, 2); records != 20 || offsets != 20 {
		l.t.Errorf("tiny: %d records in %d offsets", records, offsets)
	}
	l.same(topic, Options{})
}

func (l *lab) checkOldFormats() {
	l.t.Helper()
	m := newMaker("old", 1, 100, time.UnixMilli(1700000000000), time.Millisecond)
	var topics []Topic
	var want [2][]*kgo.Record
	logs := map[string][]byte{}
	for magic := range want {
		topic := l.topic(fmt.Sprintf("format-%d", magic), 1, map[string]string{"retention.ms": "-1"})
		for n := range int64(5) {
			want[magic] = append(want[magic], m.record(0, n, time.Unix(1, 0)))
		}
		old := oracle.Old{Magic: int8(magic)}
		for i, r := range want[magic] {
			old.Entries = append(old.Entries, oracle.Entry{Offset: int64(i), Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value})
		}
		logs[topic.Name+"-0"] = old.Encode(l.t)
		topics = append(topics, topic)
	}
	if err := l.ReplaceLogs(l.ctx, 0, logs); err != nil {
		l.t.Fatal(err)
	}
	for magic, topic := range topics {
		l.checkOldFormat(magic, topic, want[magic])
	}
}

func (l *lab) checkOldFormat(magic int, topic Topic, want []*kgo.Record) {
	l.t.Helper()
	got := l.records(topic.Name, 0)
	if len(got) != len(want) {
		l.t.Fatalf("format %d: %d records", magic, len(got))
	}
	for i, r := range got {
		if string(r.Value) != string(want[i].Value) || string(r.Key) != string(want[i].Key) || r.Offset != int64(i) {
			l.t.Errorf("format %d: record %d: %v", magic, i, r)
		}
		if magic == 0 && r.Attrs.TimestampType() != -1 { // none: the broker serves it as it lies there
			l.t.Errorf("format 0: timestamp type %d", r.Attrs.TimestampType())
		}
		if magic == 1 && !r.Timestamp.Equal(want[i].Timestamp) {
			l.t.Errorf("format %d: timestamp %v", magic, r.Timestamp)
		}
	}
	l.same(topic, Options{})
}

// A load goes on through a broker's restart, and the checker finds every record once.
func TestLoadThroughARestart(t *testing.T) {
	t.Parallel()
	l := startLab(t, kafkalab.V4)
	topic := l.topic("t", 4, nil)
	p, err := NewProducer(Config{Client: l.client, Topics: []Topic{topic}, Rate: 400, Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWatcher(l.client, topic)
	stopWatcher := run(t, l.ctx, w.Run)
	defer stopWatcher()
	stop := run(t, l.ctx, p.Run)
	if err := w.WaitRecords(l.ctx, 200); err != nil {
		t.Fatal(err)
	}
	w.Mark()
	if err := l.KillBroker(0); err != nil {
		t.Fatal(err)
	}
	if err := l.StartBroker(l.ctx, 0); err != nil {
		t.Fatal(err)
	}
	gaps, err := w.WaitNew(l.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if gaps[0].New < 100*time.Millisecond {
		t.Errorf("a broker was killed and started in %v", gaps[0].New)
	}
	stop()
	for part := range int32(4) {
		for n, offset := range p.Offsets("t", part) {
			if offset != int64(n) {
				t.Fatalf("partition %d: record %d was acknowledged at offset %d", part, n, offset)
			}
		}
	}
	if err := w.WaitRecords(l.ctx, p.Acked()); err != nil {
		t.Error(err)
	}
}

// BenchmarkCompare compares a topic with itself: 1 KB records, 8 partitions, lz4 batches of 256 KiB.
func BenchmarkCompare(b *testing.B) {
	l := startLab(b, kafkalab.V4)
	topic := l.topic("t", 8, nil)
	const records = 1_000_000
	began := time.Now()
	l.produce(Config{Topics: []Topic{topic}, Records: records}.LargeBatches())
	b.Logf("produced in %v", time.Since(began))
	b.ResetTimer()
	for range b.N {
		r, err := Compare(l.ctx, l.client, l.client, []string{"t"}, Options{})
		if err != nil || r.Err() != nil {
			b.Fatal(err, r.Err())
		}
		b.Logf("%v", r)
	}
}
