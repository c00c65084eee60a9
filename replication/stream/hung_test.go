package stream_test

import (
	"crypto/rand"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/fsm"
	"sluice/replication/stream"
)

// TestHungTargetStarvesNobody: a target that takes requests and answers none
// holds what was fetched for it. The streams to another target, of the same
// source and node, stay about as fast as they are alone.
func TestHungTargetStarvesNobody(t *testing.T) {
	const partitions, each, size = 64, 10, 100_000
	took := func(t *testing.T, beside bool) (d time.Duration) {
		inWaiting(t, partitions, func(w *waiting) {
			slow(w.dst, kmsg.Produce, func() { time.Sleep(10 * time.Millisecond) })
			hung := w.cluster(9201, partitions)
			until, hangs := make(chan struct{}), new(atomic.Bool)
			defer close(until)
			slow(hung, kmsg.Produce, func() {
				if hangs.Load() {
					<-until
				}
			})
			if beside {
				w.link("m", "ap", hung, partitions)
			}
			w.own("n1", func(c *stream.Config) {
				c.Memory = 48 << 20
				c.Request.Far = c.Request.Near // this target takes as long for a large request as for a small one
			})
			time.Sleep(time.Second)
			hangs.Store(true)
			began := time.Now()
			w.fill(partitions, each, size)
			for w.runner.Stats().Records < partitions*each {
				if time.Since(began) > 20*time.Second {
					w.Errorf("%d of %d records after %v", w.runner.Stats().Records, partitions*each, time.Since(began))
					return
				}
				time.Sleep(time.Millisecond)
			}
			d = time.Since(began)
		})
		return d
	}
	alone := took(t, false)
	if beside := took(t, true); beside > alone*3/2 {
		t.Errorf("it takes %v beside a target that hangs, %v alone", beside, alone)
	} else {
		t.Logf("%v beside a target that hangs, %v alone", beside, alone)
	}
}

// slow has a Kafka cluster answer requests of a kind once f has returned, and
// nothing else meanwhile. (kfake v0.0.0-20260918054303 has SleepControl for the
// latter, with which it comes to a standstill now and then.)
func slow(c *kfake.Cluster, kind kmsg.Key, f func()) {
	c.ControlKey(int16(kind), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		f()
		return nil, nil, false
	})
}

// link adds a link from the same source to another Kafka cluster.
func (w *waiting) link(name, target string, c *kfake.Cluster, partitions int32) {
	w.Helper()
	w.Do(w, &fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: target, Bootstrap: c.ListenAddrs()}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: name, Source: "us", Target: target, Offsets: fsm.OffsetsAuto}}},
	})
	var keys []fsm.StreamKey
	for i := range partitions {
		keys = append(keys, fsm.StreamKey{Topic: "orders", Partition: i, TargetTopic: "orders"})
	}
	w.Do(w, &fsm.StreamsAdd{Link: w.View().LinkNamed(name).ID, Streams: keys})
}

// fill appends so many records of a size to each partition of the source, one
// in a batch, by turns.
func (w *waiting) fill(partitions int32, each, size int) {
	w.Helper()
	var all []int32
	for i := range partitions {
		all = append(all, i)
	}
	w.fillThese(all, each, size)
}

func (w *waiting) fillThese(partitions []int32, each, size int) {
	w.Helper()
	value := make([]byte, size)
	_, _ = rand.Read(value)
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.src.ListenAddrs()...), kgo.Dialer(w.net.DialContext), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.DisableClientMetrics(), kgo.ProducerBatchMaxBytes(int32(size+1000)), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		w.Fatal(err)
	}
	defer cl.Close()
	for range each {
		for _, i := range partitions {
			cl.Produce(w.Context(), &kgo.Record{Topic: "orders", Partition: i, Value: value, Timestamp: time.Now()}, nil)
		}
	}
	if err := cl.Flush(w.Context()); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
}
