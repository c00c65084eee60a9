// Package bench measures what copying costs on real brokers.
package bench

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func user() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano())
}

// fill produces about n bytes of 1 KB records, lz4, 256 KB batches.
func fill(t *testing.T, boot []string, topic string, partitions int32, records int) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(boot...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerBatchMaxBytes(900<<10), kgo.ProducerLinger(50*time.Millisecond), kgo.MaxBufferedRecords(20000))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range records {
		v := make([]byte, 1024)
		for j := 0; j < 640; j++ {
			v[j] = byte(rng.Uint32())
		}
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i/400) % partitions, Value: v}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestCopyCost(t *testing.T) {
	kafkalab.Require(t)
	cfg := kafkalab.Config{Brokers: 1, HeapMB: 512, JVMFlags: []string{"-XX:+UseSerialGC"}}
	src, dst := kafkalab.Start(t, cfg), kafkalab.Start(t, cfg)
	p := rig.NewPair(t, src.Bootstrap(), dst.Bootstrap(), fsm.LinkSpec{}, map[string]int32{"big": 8}, "n1")
	const records = 1_200_000
	fill(t, src.Bootstrap(), "big", 8, records)
	r, _ := p.Runner(t, "n1", nil)
	c0, u0, start := cpu(), user(), time.Now()
	db0, _ := dst.BrokerUsage(0)
	streams := p.Own(t, r, "n1")
	for {
		n := int64(0)
		for _, s := range streams {
			n += s.Measure().Records
		}
		if n >= records {
			break
		}
		if time.Since(start) > 2*time.Minute {
			for _, s := range streams {
				t.Logf("%+v", s.Measure())
			}
			t.Fatal("too slow")
		}
		time.Sleep(20 * time.Millisecond)
	}
	took, c, u := time.Since(start), cpu()-c0, user()-u0
	db1, _ := dst.BrokerUsage(0)
	wire := float64(r.Stats().Bytes) / 1e9
	t.Logf("wire %.3f GB in %v (%.0f MB/s): %.2f CPU-s/GB (user %.2f), target broker %.2f", wire, took, wire*1000/took.Seconds(), c.Seconds()/wire, u.Seconds()/wire, db1.Sub(db0).CPU().Seconds()/wire)
}
