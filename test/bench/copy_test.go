// Package bench measures what copying costs on real brokers, beside others in
// the same run.
package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// quick are brokers as fast as this machine lets them be.
var quick = kafkalab.Config{HeapMB: 512, JVMFlags: []string{"-XX:+UseSerialGC"}}

// cost is what one copier took for one copy of the topic.
type cost struct {
	cpu, user time.Duration
	rss       int64         // bytes, peak
	took      time.Duration // from the first record to the last
	broker    time.Duration // CPU of the target broker
	gb        float64       // of record batches

	sinceApply time.Duration // until the last record; not always measured
}

func (c cost) String() string {
	return fmt.Sprintf("%.3f wire GB in %v (%.0f MB/s): %.2f CPU-s/GB (user %.2f), target broker %.2f, peak %d MB", c.gb, c.took.Round(time.Millisecond),
		c.gb*1000/c.took.Seconds(), c.cpu.Seconds()/c.gb, c.user.Seconds()/c.gb, c.broker.Seconds()/c.gb, c.rss>>20)
}

// records to copy: 1 KB each, compressible 1.6:1.
func records() int64 {
	if claim.Full() {
		return 3_000_000
	}
	return 400_000
}

// TestCostBesideMirrorMaker: CPU of a node per wire GB, 256 KB lz4 batches,
// at most a sixth of MirrorMaker 2's, tuned, in the same run.
func TestCostBesideMirrorMaker(t *testing.T) {
	kafkalab.Require(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	topic := load.Topic{Name: "big", Partitions: 8}
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: topic.Name, Partitions: topic.Partitions, Configs: map[string]string{"max.message.bytes": "2000000"}}); err != nil {
		t.Fatal(err)
	}
	fill(t, src, topic, records())
	ours := sluiceCost(t, src, dst, topic)
	if err := dst.DeleteTopics(t.Context(), topic.Name); err != nil {
		t.Fatal(err)
	}
	theirs := mirrorCost(t, src, dst, topic)
	t.Logf("Sluice:        %v", ours)
	t.Logf("MirrorMaker 2: %v", theirs)
	ratio := ours.cpu.Seconds() / ours.gb / (theirs.cpu.Seconds() / theirs.gb)
	t.Logf("ratio 1/%.1f", 1/ratio)
	if ratio > 1.0/6 {
		t.Errorf("CPU is %.3f of MirrorMaker 2's, at most 1/6", ratio)
	}
}

func fill(t *testing.T, src *kafkalab.Cluster, topic load.Topic, n int64) {
	t.Helper()
	cfg := load.Config{Topics: []load.Topic{topic}, Records: n, Seed: 1}
	system.Fill(t, src, cfg.LargeBatches())
}

// reached waits until the target holds everything.
func reached(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := load.WaitCopied(ctx, system.Opts(t, src), system.Opts(t, dst), []string{topic.Name}, load.Options{}); err != nil {
		t.Fatal(err)
	}
}

func sluiceCost(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic) cost {
	n := system.Start(t, system.Options{Nodes: 1, Memory: "256MiB"})
	n.Ready()
	node := n.List()[0]
	n.Apply(system.LinkYAML(src, dst, "  topics: {include: [\"big\"]}\n"))
	defer node.Kill()
	return measure(t, src, dst, topic, node.PID())
}

func mirrorCost(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic) cost {
	m := kafkalab.StartMirrorMaker(t, kafkalab.MirrorConfig{Source: src.Bootstrap(), Target: dst.Bootstrap(), Topics: topic.Name})
	defer func() { _ = m.Kill() }()
	return measure(t, src, dst, topic, m.PID())
}

// measure takes what a process uses from its first record at the target to
// the last, so that starting up counts for nobody.
func measure(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic, pid int) cost {
	t.Helper()
	rig.Until(t, 2*time.Minute, "the first record is copied", func() bool { return logBytes(t, dst, topic) > 0 })
	before, began := usage(t, pid), time.Now()
	at := logBytes(t, dst, topic)
	broker, _ := dst.BrokerUsage(0)
	reached(t, src, dst, topic)
	after := usage(t, pid)
	brokerAfter, _ := dst.BrokerUsage(0)
	used := after.Sub(before)
	return cost{
		cpu: used.CPU(), user: used.User, rss: after.MaxRSS, took: time.Since(began), broker: brokerAfter.Sub(broker).CPU(),
		gb: float64(logBytes(t, dst, topic)-at) / 1e9,
	}
}

func usage(t *testing.T, pid int) kafkalab.ProcessUsage {
	t.Helper()
	u, err := kafkalab.Usage(pid)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// logBytes is the size of a topic's log on its one broker, 0 while it is not
// there.
func logBytes(t *testing.T, c *kafkalab.Cluster, topic load.Topic) int64 {
	t.Helper()
	size := int64(0)
	err := c.Admin(func(adm *kadm.Client) error {
		dirs, err := adm.DescribeAllLogDirs(t.Context(), kadm.TopicsSet{topic.Name: topicParts(topic)})
		dirs.Each(func(d kadm.DescribedLogDir) { size += d.Size() })
		return err
	})
	if err != nil {
		return 0
	}
	return size
}

func topicParts(topic load.Topic) map[int32]struct{} {
	out := map[int32]struct{}{}
	for p := range topic.Partitions {
		out[p] = struct{}{}
	}
	return out
}
