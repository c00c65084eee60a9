package replication

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
)

// pair is two embedded Kafka clusters with a link between them.
type pair struct {
	*facts
	src, dst *kgo.Client
}

func newPair(t *testing.T, spec fsm.LinkSpec, topics map[string]int32, nodes ...string) *pair {
	t.Helper()
	p := &pair{facts: newFacts(t, nodes...)}
	var boot [2][]string
	for i := range boot {
		c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.ClusterID(fmt.Sprintf("cluster-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		boot[i] = c.ListenAddrs()
		cl, err := kgo.NewClient(kgo.SeedBrokers(boot[i]...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		for topic, n := range topics {
			if _, err := kadm.NewClient(cl).CreateTopic(context.Background(), n, 2, nil, topic); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			p.src = cl
		} else {
			p.dst = cl
		}
	}
	spec.Name, spec.Source, spec.Target = "l", "us", "eu"
	if spec.Offsets == "" {
		spec.Offsets = fsm.OffsetsAuto
	}
	p.do(t, &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: boot[0]}, {Name: "eu", Bootstrap: boot[1]}},
		Links: []fsm.LinkPut{{Spec: spec}},
	})
	var keys []fsm.StreamKey
	for topic, n := range topics {
		for i := range n {
			keys = append(keys, fsm.StreamKey{Topic: topic, Partition: i, TargetTopic: topic})
		}
	}
	p.do(t, &fsm.StreamsAdd{Link: 1, Streams: keys})
	return p
}

// own gives every copy task to a node and starts the streams there.
func (p *pair) own(t *testing.T, r *Runner) []*Stream {
	t.Helper()
	var items []fsm.Assignment
	for task := range p.View().Tasks {
		if task.Kind == fsm.KindCopy {
			items = append(items, fsm.Assignment{Task: task.ID, Turn: task.Turn, To: r.cfg.Node})
		}
	}
	p.do(t, &fsm.Assign{Items: items})
	var out []*Stream
	for _, it := range items {
		out = append(out, r.Start(p.View().Task(it.Task)))
	}
	return out
}

func produce(t *testing.T, cl *kgo.Client, topic string, partition int32, from, to int) {
	t.Helper()
	var rs []*kgo.Record
	for i := from; i < to; i++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	if err := cl.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// values reads n records of a partition from its start.
func values(t *testing.T, cl *kgo.Client, topic string, partition int32, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(cl.OptValue(kgo.SeedBrokers).([]string)...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out []*kgo.Record
	for len(out) < n {
		fs := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s/%d: %d records of %d", topic, partition, len(out), n)
		}
		out = append(out, fs.Records()...)
	}
	return out
}

func checkCopy(t *testing.T, p *pair, topic string, partition int32, n int) {
	t.Helper()
	got := values(t, p.dst, topic, partition, n)
	if len(got) != n {
		t.Fatalf("%s/%d: %d records at the target, want %d", topic, partition, len(got), n)
	}
	for i, r := range got {
		if want := fmt.Sprintf("value %d", i); string(r.Value) != want || r.Offset != int64(i) {
			t.Fatalf("%s/%d: record %d is %q at offset %d", topic, partition, i, r.Value, r.Offset)
		}
	}
}

func TestCopiesIdentically(t *testing.T) {
	p := newPair(t, fsm.LinkSpec{}, map[string]int32{"orders": 3, "pay": 1}, "n1")
	produce(t, p.src, "orders", 0, 0, 100)
	produce(t, p.src, "orders", 2, 0, 10)
	streams := p.own(t, testRunner(t, p.facts, "n1", nil))
	produce(t, p.src, "orders", 0, 100, 250)
	produce(t, p.src, "pay", 0, 0, 50)
	checkCopy(t, p, "orders", 0, 250)
	checkCopy(t, p, "orders", 2, 10)
	checkCopy(t, p, "pay", 0, 50)
	for _, s := range streams {
		it, ok := s.Progress()
		if s.key.Topic == "orders" && s.key.Partition == 0 && (!ok || it.Progress.Source != 250) {
			t.Errorf("progress %+v %v", it, ok)
		}
	}
}

func TestTakeover(t *testing.T) {
	p := newPair(t, fsm.LinkSpec{}, map[string]int32{"orders": 2}, "n1", "n2")
	produce(t, p.src, "orders", 0, 0, 100)
	p.own(t, testRunner(t, p.facts, "n1", nil))
	checkCopy(t, p, "orders", 0, 100)
	// n1 goes on believing that it owns the streams.
	p.own(t, testRunner(t, p.facts, "n2", nil))
	for i := 100; i < 400; i += 10 {
		produce(t, p.src, "orders", 0, i, i+10)
	}
	checkCopy(t, p, "orders", 0, 400)
}
