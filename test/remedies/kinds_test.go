package remedies

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
)

func kindCases() []testCase {
	return []testCase{
		{"kind: dense, every codec", dense},
		{"kind: append time", appendTime},
		{"kind: compacted", compacted},
		{"kind: transactional", transactional},
		{"kind: large batches", largeBatches},
		{"kind: tiny batches", tinyBatches},
	}
}

// kind is a topic of three partitions, the last of them empty, on its way.
type kind struct {
	*rig.Pair
	lab   *lab
	topic load.Topic // of the partitions that hold records
	r     *runner
}

func (l *lab) kind(t *testing.T, configs map[string]string) *kind {
	t.Helper()
	k := &kind{lab: l, topic: load.Topic{Name: l.name(), Partitions: 2}}
	create(t, l.src, k.topic.Name, 3, configs)
	target := map[string]string{}
	if v := configs["max.message.bytes"]; v != "" {
		target["max.message.bytes"] = v
	}
	create(t, l.dst, k.topic.Name, 3, target)
	k.Pair = l.pair(t, link{}, map[string]int32{k.topic.Name: 3}, k.topic.Name)
	return k
}

func (k *kind) own(t *testing.T, i int) {
	t.Helper()
	k.r = own(t, k.Pair, node(k.topic.Name, i), nil)
}

// load produces so many records.
func (k *kind) load(t *testing.T, cfg load.Config, records int64) {
	t.Helper()
	cfg.Client, cfg.Topics, cfg.Records = opts(k.lab.src), []load.Topic{k.topic}, records
	p, err := load.NewProducer(cfg)
	if err == nil {
		err = p.Run(within(t, timeout))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// copied waits until every stream is at its source's end, and compares.
func (k *kind) copied(t *testing.T, o load.Options) {
	t.Helper()
	admin(t, k.lab.src, func(adm *kadm.Client) error {
		ends, err := adm.ListCommittedOffsets(within(t, timeout), k.topic.Name)
		if err != nil {
			return err
		}
		for _, s := range k.r.all {
			e, _ := ends.Lookup(k.topic.Name, k.View().Task(s.Task()).Copy.Stream.Partition)
			rig.Until(t, timeout, "at the end", func() bool { m := s.Measure(); return m.Source == e.Offset && m.LagRecords <= 0 })
		}
		return nil
	})
	same(t, k.lab.src, k.lab.dst, o, k.topic.Name)
}

// phases checks in which phase the partitions with records are, and that the
// empty one is dense.
func (k *kind) phases(t *testing.T, want fsm.Phase) {
	t.Helper()
	for p := range int32(3) {
		if p == 2 {
			want = fsm.PhaseDense
		}
		if task := taskOf(k.Pair, k.topic.Name, p); task.Copy.Stop != nil || task.Copy.Mapping.Phase != want {
			t.Errorf("partition %d: %+v %+v", p, task.Copy.Mapping, task.Copy.Stop)
		}
	}
}

// dense has records without key, with an empty one, with headers and without
// value.
func dense(t *testing.T, l *lab) {
	k := l.kind(t, nil)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for i, c := range codecs {
		if i == 2 {
			k.own(t, 1)
		}
		k.load(t, load.Config{Codec: c, Linger: 10 * time.Millisecond, Seed: uint64(i)}, 200)
	}
	err := load.ProduceKeyed(within(t, timeout), load.Keyed{Client: opts(l.src), Topic: k.topic, Records: 100, Keys: 5, TombstoneEvery: 3})
	if err != nil {
		t.Fatal(err)
	}
	k.copied(t, identical())
	k.phases(t, fsm.PhaseDense)
}

// appendTime: batches are rebuilt, with the append time as the records' own.
func appendTime(t *testing.T, l *lab) {
	k := l.kind(t, map[string]string{"message.timestamp.type": "LogAppendTime"})
	k.load(t, load.Config{Codec: kgo.Lz4Compression(), Linger: 10 * time.Millisecond}.Old(72*time.Hour), 300)
	k.own(t, 1)
	k.load(t, load.Config{}.Old(72*time.Hour), 300)
	k.copied(t, identical())
	k.phases(t, fsm.PhaseDense)
	for _, r := range k.committed(t, l.dst, 0) {
		if age := time.Since(r.Timestamp); age > time.Hour || r.Attrs.TimestampType() != 0 {
			t.Fatalf("a timestamp %v old, type %d", age, r.Attrs.TimestampType())
		}
	}
}

func compacted(t *testing.T, l *lab) {
	k := l.kind(t, load.CompactedConfigs())
	keyed := load.Keyed{Client: opts(l.src), Topic: k.topic, Records: 400, Keys: 10, TombstoneEvery: 7}
	if err := load.ProduceKeyed(within(t, timeout), keyed); err != nil {
		t.Fatal(err)
	}
	if err := load.WaitCompacted(within(t, timeout), opts(l.src), k.topic); err != nil {
		t.Fatal(err)
	}
	k.own(t, 1)
	keyed.Seed, keyed.Records = 1, 40
	if err := load.ProduceKeyed(within(t, timeout), keyed); err != nil {
		t.Fatal(err)
	}
	k.copied(t, load.Options{Compacted: true})
	k.phases(t, fsm.PhaseTranslated)
	// A drained hand-over goes on.
	(&world{Pair: k.Pair}).handOver(t, k.r)
	k.own(t, 2)
	keyed.Seed = 2
	if err := load.ProduceKeyed(within(t, timeout), keyed); err != nil {
		t.Fatal(err)
	}
	k.copied(t, load.Options{Compacted: true})
	k.phases(t, fsm.PhaseTranslated)
}

// transactional: aborted records and markers are not copied, and the segments
// tell where every record stands.
func transactional(t *testing.T, l *lab) {
	k := l.kind(t, nil)
	produce := func(seed uint64) {
		t.Helper()
		_, err := load.ProduceTransactions(within(t, timeout), load.Transactions{Client: opts(l.src), Topic: k.topic,
			ID: k.topic.Name, Count: 9, Records: 8, AbortEvery: 3, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
	}
	produce(1)
	k.own(t, 1)
	produce(2)
	k.copied(t, load.Options{IgnoreOffsets: true})
	k.phases(t, fsm.PhaseTranslated)
	k.r.Checkpoint(t, k.r.Runner)
	for p := range k.topic.Partitions {
		m := taskOf(k.Pair, k.topic.Name, p).Copy.Mapping
		src, dst := k.committed(t, l.src, p), k.committed(t, l.dst, p)
		if len(src) != len(dst) || len(src) != 48 {
			t.Fatalf("partition %d: %d records at the source, %d at the target", p, len(src), len(dst))
		}
		for i, r := range src {
			if at, ok := offsets.Target(m, r.Offset); !ok || at != dst[i].Offset {
				t.Fatalf("partition %d: source offset %d stands at %d; %d %v says %v", p, r.Offset, dst[i].Offset, at, ok, m.Segments)
			}
		}
	}
}

// committed reads a partition to its end, past markers and aborted records.
func (k *kind) committed(t *testing.T, c *kafkalab.Cluster, partition int32) (out []*kgo.Record) {
	t.Helper()
	cl, err := c.DirectClient(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{k.topic.Name: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	end := rig.EndOf(t, cl, k.topic.Name, partition)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for at := int64(0); at < end; {
		fs := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fs.Records() {
			at = r.Offset + 1
			if !r.Attrs.IsControl() {
				out = append(out, r)
			}
		}
	}
	return out
}

func largeBatches(t *testing.T, l *lab) {
	k := l.kind(t, map[string]string{"max.message.bytes": "8388608"})
	cfg := load.Config{Size: 60_000, BatchBytes: 4 << 20, Linger: 300 * time.Millisecond}
	k.load(t, cfg, 160)
	k.own(t, 1)
	cfg.Seed = 1
	k.load(t, cfg, 160)
	k.copied(t, identical())
	k.phases(t, fsm.PhaseDense)
}

func tinyBatches(t *testing.T, l *lab) {
	k := l.kind(t, nil)
	for i := range 2 {
		if err := load.ProduceTiny(within(t, timeout), opts(l.src), k.topic, 150, 30, uint64(i)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			k.own(t, 1)
		}
	}
	k.copied(t, identical())
	k.phases(t, fsm.PhaseDense)
}
