package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// roundTrip is how far away the far Kafka cluster is.
const roundTrip = 100 * time.Millisecond

// behindWires starts two Kafka clusters of one broker each; SetDelay of a wire moves
// its cluster away.
func behindWires(t *testing.T) (src, dst *kafkalab.Cluster, ways [2]*faults.Wire) {
	t.Helper()
	var configs [2]kafkalab.Config
	for i := range configs {
		configs[i] = quick
		configs[i].AdvertisedVia = func(_ int, broker string) string {
			w, err := faults.OpenWire(broker)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			ways[i] = w
			return w.Addr()
		}
	}
	src, dst = kafkalab.StartPair(t, configs[0], configs[1])
	return src, dst, ways
}

// newNode starts a node that copies the topic.
func newNode(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic) *system.Node {
	t.Helper()
	n := system.Start(t, system.Options{Nodes: 1, Memory: "256MiB"})
	n.Ready()
	n.Apply(system.LinkYAML(src, dst, fmt.Sprintf("  topics: {include: [%q]}\n", topic.Name)))
	return n.List()[0]
}

// TestFarTargetBesideMirrorMaker: over a round trip of 100 ms to the target, large
// batches and batches of one record are copied faster than by MirrorMaker 2, tuned,
// in the same run.
func TestFarTargetBesideMirrorMaker(t *testing.T) {
	kafkalab.Require(t)
	src, dst, ways := behindWires(t)
	for _, sh := range []shape{
		{"big", int64(claim.Rounds(400_000, 3_000_000)), load.Config.LargeBatches},
		{"single", int64(claim.Rounds(100_000, 300_000)), single},
	} {
		t.Run(sh.name, func(t *testing.T) {
			topic := fillShape(t, src, sh)
			ways[1].SetDelay(roundTrip / 2)
			defer ways[1].SetDelay(0)
			ours := nodeCost(t, src, dst, topic)
			theirs := mirrorOf(t, src, dst, topic)
			t.Logf("Sluice:        %v", ours)
			t.Logf("MirrorMaker 2: %v", theirs)
			beside(t, "seconds from the first record to the last, per GB", ours.took.Seconds()/ours.gb, theirs.took.Seconds()/theirs.gb, 1)
			if rate := ours.gb * 1000 / ours.took.Seconds(); claim.Full() && sh.name == "big" && rate < 60 {
				t.Errorf("%.0f MB/s, at least 60", rate)
			}
		})
	}
}

// TestFarSource: over a round trip of 100 ms to the source, a node that catches up
// copies 60 MB/s, and at 1,000 records/s half of the records are there after that
// and 20 ms.
func TestFarSource(t *testing.T) {
	kafkalab.Require(t)
	src, dst, ways := behindWires(t)
	topic := fillShape(t, src, shape{"big", int64(claim.Rounds(400_000, 3_000_000)), load.Config.LargeBatches})
	steady := load.Topic{Name: "steady", Partitions: 8}
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: steady.Name, Partitions: steady.Partitions}); err != nil {
		t.Fatal(err)
	}
	near := nodeCost(t, src, dst, topic)
	ways[0].SetDelay(roundTrip / 2)
	far := nodeCost(t, src, dst, topic)
	t.Logf("near: %v", near)
	t.Logf("far:  %v", far)
	if rate := far.gb * 1000 / far.took.Seconds(); claim.Full() && rate < 60 {
		t.Errorf("%.0f MB/s, at least 60", rate)
	}
	there := kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) { // the producer is where the source is
		return new(net.Dialer).DialContext(ctx, network, src.Real()[0])
	})
	producer, err := load.NewProducer(load.Config{Client: append(system.Opts(t, src), there), Topics: []load.Topic{steady}, Rate: 1000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	produced := make(chan error, 1)
	go func() { produced <- producer.Run(ctx) }()
	node := newNode(t, src, dst, steady)
	defer node.Kill()
	watch := load.NewWatcher(system.Opts(t, dst), steady)
	defer watchUntilEnd(t, watch)()
	rig.Until(t, time.Minute, "the first record is copied", func() bool { return watch.Latency().Records > 0 })
	system.Settle(t, 3*time.Second)
	watch.ResetLatency()
	system.Settle(t, time.Duration(claim.Rounds(6, 20))*time.Second)
	l := watch.Latency()
	t.Logf("p50 %v p99 %v of %d records", l.P50, l.P99, l.Records)
	claim.Bar(t, "p50", l.P50, roundTrip+20*time.Millisecond)
	stop()
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
}

// nodeCost has a new node copy the topic, and takes the copy away again.
func nodeCost(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic) cost {
	t.Helper()
	node := newNode(t, src, dst, topic)
	defer forget(t, dst, topic)
	defer node.Kill()
	return measure(t, src, dst, topic, node.PID())
}

// mirrorOf is nodeCost of MirrorMaker 2.
func mirrorOf(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic) cost {
	t.Helper()
	m := kafkalab.StartMirrorMaker(t, kafkalab.MirrorConfig{Source: src.Bootstrap(), Target: dst.Bootstrap(), Topics: topic.Name})
	defer func() {
		if err := errors.Join(m.Kill(), dst.DeleteTopics(context.WithoutCancel(t.Context()), topic.Name)); err != nil {
			t.Error(err)
		}
	}()
	return measure(t, src, dst, topic, m.PID())
}
