package bench

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
)

// single makes a load of batches that hold one record of 500 bytes, as producers
// write that wait for nothing.
func single(c load.Config) load.Config {
	c.Size, c.BatchBytes, c.Codec = 500, 1<<10, kgo.NoCompression()
	return c
}

// TestTinyBesideMirrorMaker: a topic of batches of one record is copied faster than
// by MirrorMaker 2, tuned, in the same run, with a quarter of its CPU, and costs the
// target's broker about as much.
func TestTinyBesideMirrorMaker(t *testing.T) {
	kafkalab.Require(t)
	src, dst := kafkalab.StartPair(t, quick, quick)
	topic := fillShape(t, src, shape{"single", int64(claim.Rounds(100_000, 300_000)), single})
	nodeCost(t, src, dst, fillShape(t, src, shape{"warm", 20_000, single})) // brokers get quicker: who comes first would pay for that
	ours, theirs := nodeCost(t, src, dst, topic), mirrorOf(t, src, dst, topic)
	t.Logf("Sluice:        %v", ours)
	t.Logf("MirrorMaker 2: %v", theirs)
	beside(t, "seconds from the first record to the last, per GB", ours.took.Seconds()/ours.gb, theirs.took.Seconds()/theirs.gb, 1)
	beside(t, "CPU", ours.cpu.Seconds()/ours.gb, theirs.cpu.Seconds()/theirs.gb, 1.0/4)
	beside(t, "CPU of the target's broker", ours.broker.Seconds()/ours.gb, theirs.broker.Seconds()/theirs.gb, 1.2)
}

// beside fails where a figure of ours is more than so many times theirs.
func beside(t *testing.T, what string, ours, theirs, most float64) {
	t.Helper()
	t.Logf("%s: %.3f of MirrorMaker 2's", what, ours/theirs)
	if ours > most*theirs {
		t.Errorf("%s is %.3f of MirrorMaker 2's, at most %.2f", what, ours/theirs, most)
	}
}
