package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
)

// load writes to the source all the time, and compares both sides at the end.
type load struct {
	s      *sim
	topics map[string]int32 // partitions
	mu     sync.Mutex       // of topics
	age    time.Duration    // of the records' timestamps
	client *kgo.Client
	stop   chan struct{}
	done   sync.WaitGroup

	acked atomic.Int64
	sent  map[part]int // by partition, of the writing goroutine
}

type part struct {
	topic     string
	partition int32
}

// loadEvery is the time between two batches of a partition.
const loadEvery = 100 * time.Millisecond

func newLoad(s *sim, topics map[string]int32) *load {
	l := &load{s: s, topics: topics, stop: make(chan struct{}), sent: map[part]int{}}
	l.client = l.connect(usHost, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	for topic, partitions := range topics {
		if err := s.us.CreateTopic(topic, partitions, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	return l
}

func (l *load) connect(host string, opts ...kgo.Opt) *kgo.Client {
	at := l.s.net.Host(loadHost)
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(host+":9001"), kgo.Dialer(at.Dial), kgo.DisableClientMetrics())...)
	if err != nil {
		l.s.t.Fatal(err)
	}
	return c
}

// run writes one to three records to each partition, again and again.
func (l *load) run() {
	l.done.Go(func() {
		tick := time.NewTicker(loadEvery)
		defer tick.Stop()
		for round := 0; ; round++ {
			select {
			case <-tick.C:
			case <-l.stop:
				return
			}
			l.each(func(topic string, p int32) { l.write(topic, p, 1+round%3) })
		}
	})
}

func (l *load) write(topic string, partition int32, count int) {
	at := part{topic, partition}
	for range count {
		n := l.sent[at]
		l.sent[at]++
		l.client.Produce(context.Background(), &kgo.Record{
			Topic: topic, Partition: partition, Timestamp: time.Now().Add(-l.age),
			Key: fmt.Append(nil, n%7), Value: fmt.Appendf(nil, "%s/%d/%d", topic, partition, n),
			Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, n)}},
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				l.s.t.Errorf("producing: %v", err)
			}
			l.acked.Add(1)
		})
	}
}

// close stops writing; it may be called twice.
func (l *load) close() {
	select {
	case <-l.stop:
		return
	default:
	}
	close(l.stop)
	l.done.Wait()
	if err := l.client.Flush(context.Background()); err != nil {
		l.s.t.Error(err)
	}
	l.client.Close()
}

// total is how many records the source took.
func (l *load) total() int64 { return l.acked.Load() }

// endOf is the end of a partition's log, -1: it is not there.
func endOf(c *kfake.Cluster, topic string, partition int32) int64 {
	if p := c.PartitionInfo(topic, partition); p != nil {
		return p.HighWatermark
	}
	return -1
}

// add makes a topic and writes to it from now on.
func (l *load) add(topic string, partitions int32) {
	l.s.t.Helper()
	if err := l.s.us.CreateTopic(topic, partitions, nil); err != nil {
		l.s.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	topics := maps.Clone(l.topics)
	topics[topic] = partitions
	l.topics = topics
}

func (l *load) each(f func(topic string, partition int32)) {
	l.mu.Lock()
	topics := l.topics
	l.mu.Unlock()
	for topic, partitions := range topics {
		for p := range partitions {
			f(topic, p)
		}
	}
}

// behind counts the partitions whose target lacks records.
func (l *load) behind() int {
	n := 0
	l.each(func(topic string, p int32) {
		if endOf(l.s.eu, topic, p) < endOf(l.s.us, topic, p) {
			n++
		}
	})
	return n
}

// moves notes where the target's partitions end and reports, when called,
// whether all of them have grown since.
func (l *load) moves() func() bool {
	ends := map[part]int64{}
	l.each(func(topic string, p int32) { ends[part{topic, p}] = endOf(l.s.eu, topic, p) })
	return func() bool {
		for at, end := range ends {
			if endOf(l.s.eu, at.topic, at.partition) > end {
				delete(ends, at)
			}
		}
		return len(ends) == 0
	}
}

// compare reads both sides whole: each record must stand at the target once,
// at the same offset, with the same bytes and timestamp.
func (l *load) compare() {
	l.s.t.Helper()
	source, target := l.read(l.s.us, usHost), l.read(l.s.eu, euHost)
	faults := 0
	l.each(func(topic string, p int32) {
		at := part{topic, p}
		from, to := source[at], target[at]
		if len(from) != l.sent[at] || len(to) != len(from) {
			l.s.t.Errorf("%s/%d: %d records sent, %d at the source, %d at the target", topic, p, l.sent[at], len(from), len(to))
		}
		for i := range min(len(from), len(to)) {
			if !equal(from[i], to[i]) && faults < 10 {
				faults++
				l.s.t.Errorf("%s/%d: source record %d %q, target record %d %q", topic, p, from[i].Offset, from[i].Value, to[i].Offset, to[i].Value)
			}
		}
	})
}

func equal(a, b *kgo.Record) bool {
	return a.Offset == b.Offset && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Timestamp.Equal(b.Timestamp) &&
		slices.EqualFunc(a.Headers, b.Headers, func(a, b kgo.RecordHeader) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) })
}

// read reads everything up to the ends that the partitions have now.
func (l *load) read(c *kfake.Cluster, host string) map[part][]*kgo.Record {
	l.s.t.Helper()
	from, left := map[string]map[int32]kgo.Offset{}, int64(0)
	l.each(func(topic string, p int32) {
		if from[topic] == nil {
			from[topic] = map[int32]kgo.Offset{}
		}
		from[topic][p] = kgo.NewOffset().At(0)
		left += endOf(c, topic, p)
	})
	client := l.connect(host, kgo.ConsumePartitions(from))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out := map[part][]*kgo.Record{}
	for left > 0 {
		got := client.PollFetches(ctx)
		if err := errors.Join(got.Err0(), ctx.Err()); err != nil {
			l.s.t.Fatalf("reading %s: %d records left: %v", host, left, err)
		}
		got.EachRecord(func(r *kgo.Record) {
			at := part{r.Topic, r.Partition}
			out[at] = append(out[at], r)
			left--
		})
	}
	return out
}

// begin starts the nodes, declares a link of all topics and waits until it
// copies; the load runs from before that.
func (s *sim) begin() {
	s.t.Helper()
	s.load.run()
	for i := 1; i <= trio; i++ {
		s.start(i)
	}
	s.until("there is a leader", time.Minute, func() bool { return s.leader() != 0 && len(s.view().Nodes) == trio })
	s.declare()
	s.until("every partition is copied", time.Minute, s.load.moves())
	s.until("all nodes vote", time.Minute, func() bool { return s.voters() == trio })
}

// linkOf is a link of all topics.
func linkOf(name, rename string) fsm.LinkPut {
	return fsm.LinkPut{Spec: fsm.LinkSpec{
		Name: name, Source: "us", Target: "eu", Include: []string{"*"}, Rename: rename, Start: fsm.StartEarliest,
		Offsets: fsm.OffsetsAuto, OnLoss: fsm.OnLossHalt, Copies: fsm.CopiesSkipFromTarget, Writers: fsm.WritersOurs,
		ReplicationFactor: 1, State: fsm.StateRunning,
	}}
}

// declare applies both Kafka clusters and the link.
func (s *sim) declare() {
	s.t.Helper()
	s.propose(&fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{usHost + ":9001"}}, {Name: "eu", Bootstrap: []string{euHost + ":9001"}}},
		Links: []fsm.LinkPut{linkOf("us-eu", "{topic}")},
	})
}

// finish ends all faults, waits until everything is copied, and checks what
// must be true after every run.
func (s *sim) finish() {
	s.t.Helper()
	for i := 1; i <= trio; i++ {
		s.healAll(i)
		if s.nodes[i] == nil {
			s.start(i)
		}
		s.nodes[i].wall.Store(0)
	}
	s.until("every partition moves", turnUnguarded, s.load.moves())
	s.load.close()
	s.until("nothing is behind", time.Minute, func() bool { return s.load.behind() == 0 })
	s.audit.equal()
	s.audit.calm()
	s.load.compare()
}
