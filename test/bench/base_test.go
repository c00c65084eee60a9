package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/replication/link"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
	"sluice/test/rig"
	"sluice/test/system"
)

// shape is a kind of source data.
type shape struct {
	name    string
	records int64
	load    func(load.Config) load.Config
}

func shapes() []shape {
	many := int64(1)
	if claim.Full() {
		many = 4
	}
	return []shape{
		{"large", 400_000 * many, load.Config.LargeBatches}, // 256 KB, lz4
		{"small", 200_000 * many, func(c load.Config) load.Config {
			c = c.LargeBatches()
			c.BatchBytes = 16 << 10
			return c
		}},
		{"tiny", 60_000 * many, func(c load.Config) load.Config { // one record a batch
			c.Size, c.BatchBytes, c.Codec = 600, 1<<10, kgo.NoCompression()
			return c
		}},
	}
}

// pairsOf is how often both programs are measured.
func pairsOf(few, full int) int { return claim.Rounds(few, full) }

// TestCostBesideBase: CPU and memory of a node that catches up, per wire GB,
// are no worse than those of the commit SLUICE_BASE, in the same run.
func TestCostBesideBase(t *testing.T) {
	kafkalab.Require(t)
	both := programs(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	for _, sh := range shapes() {
		t.Run(sh.name, func(t *testing.T) {
			topic := fillShape(t, src, sh)
			inTurn(pairsOf(5, 9), func(of int, s *series) {
				c := copyOnce(t, src, dst, topic, both[of])
				t.Logf("%-8s %v; all within %v of apply", both[of].name, c, c.sinceApply.Round(time.Millisecond))
				s.add(of, "CPU-s per wire GB", c.cpu.Seconds()/c.gb)
				s.note(of, "user CPU-s per wire GB", c.user.Seconds()/c.gb)
				s.note(of, "target broker CPU-s per wire GB", c.broker.Seconds()/c.gb)
				s.add(of, "peak RSS MB", float64(c.rss)/(1<<20))
				s.note(of, "seconds after the first record", c.took.Seconds())
				s.note(of, "seconds after apply", c.sinceApply.Seconds())
			}).judge(t)
		})
	}
}

// copyOnce has a new node copy the topic, and takes the copy away again.
func copyOnce(t *testing.T, src, dst *kafkalab.Cluster, topic load.Topic, p program) cost {
	t.Helper()
	n := system.Start(t, system.Options{Nodes: 1, Memory: "256MiB", Binary: p.binary})
	n.Ready()
	node := n.List()[0]
	defer forget(t, dst, topic)
	defer node.Kill()
	began := time.Now()
	n.Apply(system.LinkYAML(src, dst, fmt.Sprintf("  topics: {include: [%q]}\n", topic.Name)))
	c := measure(t, src, dst, topic, node.PID())
	c.sinceApply = time.Since(began)
	return c
}

// forget deletes copies and what links claimed at the target, and waits until
// they are gone.
func forget(t *testing.T, dst *kafkalab.Cluster, copies ...load.Topic) {
	t.Helper()
	names := []string{link.LedgerTopic}
	for _, c := range copies {
		names = append(names, c.Name)
	}
	if err := dst.DeleteTopics(context.WithoutCancel(t.Context()), names...); err != nil {
		t.Error(err)
	}
	for _, c := range copies {
		rig.Until(t, time.Minute, "the copy is deleted", func() bool { return logBytes(t, dst, c) == 0 })
	}
}
