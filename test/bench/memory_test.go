package bench

import (
	"testing"

	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
)

// TestMemoryCatchingUp: a node that catches up stays below 400 MB with the
// option memory at 256 MiB: 5 GB when proving, less else.
func TestMemoryCatchingUp(t *testing.T) {
	kafkalab.Require(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	topic := load.Topic{Name: "big", Partitions: 8}
	if err := src.CreateTopic(t.Context(), kafkalab.Topic{Name: topic.Name, Partitions: topic.Partitions}); err != nil {
		t.Fatal(err)
	}
	n := int64(300_000)
	if claim.Full() {
		n = 7_600_000
	}
	fill(t, src, topic, n)
	c := sluiceCost(t, src, dst, topic)
	t.Logf("%v", c)
	if c.rss > 400<<20 {
		t.Errorf("peak of %d MB, at most 400", c.rss>>20)
	}
}
