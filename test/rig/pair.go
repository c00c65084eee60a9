package rig

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/stream"
)

// Pair is a link "l" from the Kafka cluster "us" to "eu", its streams, and a
// client of each side.
type Pair struct {
	*Facts
	Source, Target *kgo.Client
	boot           [2][]string
}

// Embedded starts two embedded Kafka clusters of two brokers and returns
// their addresses.
func Embedded(t testing.TB) (source, target []string) {
	t.Helper()
	var boot [2][]string
	for i := range boot {
		boot[i] = Kfake(t, fmt.Sprintf("cluster-%d", i), 2).ListenAddrs()
	}
	return boot[0], boot[1]
}

// Kfake starts one embedded Kafka cluster.
func Kfake(t testing.TB, id string, brokers int) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(brokers), kfake.ClusterID(id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// NewPair links two Kafka clusters. Topics maps names to partition counts;
// they are created on both sides where they do not exist.
func NewPair(t testing.TB, source, target []string, spec fsm.LinkSpec, topics map[string]int32, nodes ...string) *Pair {
	t.Helper()
	return NewPairAt(t, source, target, spec, nil, topics, nodes...)
}

// NewPairAt is NewPair with the start offsets that were resolved when the
// link was created.
func NewPairAt(t testing.TB, source, target []string, spec fsm.LinkSpec, starts []fsm.StartAt, topics map[string]int32, nodes ...string) *Pair {
	t.Helper()
	p := &Pair{Facts: NewFacts(t, nodes...), boot: [2][]string{source, target}}
	p.Source, p.Target = client(t, source), client(t, target)
	for topic, n := range topics {
		for _, cl := range []*kgo.Client{p.Source, p.Target} {
			rs, err := kadm.NewClient(cl).CreateTopics(context.Background(), n, -1, nil, topic)
			if err != nil {
				t.Fatal(err)
			}
			if err := rs[topic].Err; err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
				t.Fatal(err)
			}
		}
	}
	spec.Name, spec.Source, spec.Target = "l", "us", "eu"
	if spec.Offsets == "" {
		spec.Offsets = fsm.OffsetsAuto
	}
	p.Do(t, &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: source}, {Name: "eu", Bootstrap: target}},
		Links: []fsm.LinkPut{{Spec: spec, Starts: starts}},
	})
	var keys []fsm.StreamKey
	for topic, n := range topics {
		for i := range n {
			keys = append(keys, fsm.StreamKey{Topic: topic, Partition: i, TargetTopic: topic})
		}
	}
	p.Do(t, &fsm.StreamsAdd{Link: 1, Streams: keys})
	return p
}

func client(t testing.TB, boot []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(boot...), kgo.AlwaysRetryEOF(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// Own gives every copy task to the runner's node, as a forced takeover, and
// starts the streams there.
func (p *Pair) Own(t testing.TB, r *stream.Runner, node string) []*stream.Stream {
	t.Helper()
	var items []fsm.Assignment
	for task := range p.View().Tasks {
		if task.Kind == fsm.KindCopy {
			items = append(items, fsm.Assignment{Task: task.ID, Turn: task.Turn, To: node})
		}
	}
	p.Do(t, &fsm.Assign{Items: items})
	var out []*stream.Stream
	for _, it := range items {
		out = append(out, r.StartStream(context.Background(), p.View().Task(it.Task)))
	}
	return out
}

// Produce appends records numbered [from, to) to a source partition: key
// "k<n>", value "value <n>".
func (p *Pair) Produce(t testing.TB, topic string, partition int32, from, to int) {
	t.Helper()
	p.ProduceAt(t, topic, partition, from, to, time.Now())
}

// ProduceAt is Produce with a timestamp.
func (p *Pair) ProduceAt(t testing.TB, topic string, partition int32, from, to int, at time.Time) {
	t.Helper()
	var rs []*kgo.Record
	for i := from; i < to; i++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Timestamp: at, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	if err := p.Source.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// End returns the high watermark of a target partition.
func (p *Pair) End(t testing.TB, topic string, partition int32) int64 {
	t.Helper()
	return EndOf(t, p.Target, topic, partition)
}

// EndOf is where a partition's log ends. It is asked for again while that does
// not go well: on a busy machine a partition may have no leader for a moment.
func EndOf(t testing.TB, cl *kgo.Client, topic string, partition int32) (end int64) {
	t.Helper()
	Wait(t, fmt.Sprintf("end of %s/%d", topic, partition), func() error {
		ends, err := kadm.NewClient(cl).ListEndOffsets(context.Background(), topic)
		if err != nil {
			return err
		}
		e, ok := ends.Lookup(topic, partition)
		if !ok {
			return errors.New("no such partition")
		}
		end = e.Offset
		return e.Err
	})
	return end
}

// Events returns the link's events with the code, oldest first.
func (p *Pair) Events(code fsm.Code) []fsm.Event {
	var out []fsm.Event
	for _, e := range p.View().LinkEvents(1).All() {
		if e.Code == code {
			out = append(out, *e)
		}
	}
	return out
}

// Copied waits until the target partition holds n records and checks that
// they are records [0, n) in order, each once, record i at offset i+shift.
func (p *Pair) Copied(t testing.TB, topic string, partition int32, n int, shift int64) {
	t.Helper()
	got := p.Read(t, p.boot[1], topic, partition, n, 60*time.Second)
	for i, r := range got {
		if want := fmt.Sprintf("value %d", i); string(r.Value) != want || r.Offset != int64(i)+shift {
			t.Fatalf("%s/%d: record %d is %q at offset %d, want %q at %d", topic, partition, i, r.Value, r.Offset, want, int64(i)+shift)
		}
	}
}

// Read reads n records from the start of a partition, and whatever more comes
// in the same answer.
func (p *Pair) Read(t testing.TB, boot []string, topic string, partition int32, n int, within time.Duration) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(boot...), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out []*kgo.Record
	for len(out) < n {
		fs := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s/%d: %d records of %d within %v", topic, partition, len(out), n, within)
		}
		out = append(out, fs.Records()...)
	}
	if len(out) != n {
		t.Fatalf("%s/%d: %d records, want %d", topic, partition, len(out), n)
	}
	return out
}
