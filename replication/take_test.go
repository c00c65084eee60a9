package replication

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/kafka/record"
	"sluice/test/load"
)

// TestDamagedBatchEndsWhereTheNextBegins: a header whose bytes are damaged may
// name any end; going on there would skip sound records.
func TestDamagedBatchEndsWhereTheNextBegins(t *testing.T) {
	batch := func(first int64) record.Batch {
		b := record.Batch(load.Batch([]*kgo.Record{{Value: []byte("one")}, {Value: []byte("two")}, {Value: []byte("three")}}))
		b.SetBaseOffset(first)
		return b
	}
	const lastOffsetDelta, value = 23, 70 // positions in a batch of format 2
	wild, flipped, next := batch(10), batch(10), batch(13)
	wild[lastOffsetDelta] = 0x40
	flipped[value] ^= 1
	broken := batch(13)
	broken[value] ^= 1
	for _, c := range []struct {
		name string
		b    record.Batch
		rest []byte
		want int64
	}{
		{"wild end, a sound batch behind", wild, next, 13},
		{"wild end, nothing behind", wild, nil, 11},
		{"wild end, part of a batch behind", wild, next[:40], 11},
		{"wild end, a damaged batch behind", wild, broken, 11},
		{"damaged value, nothing behind", flipped, nil, 13},
		{"damaged value, compacted records behind", flipped, batch(20), 20},
	} {
		if c.b.VerifyCRC() == nil {
			t.Fatalf("%s: the batch is sound", c.name)
		}
		if got := damagedEnd(c.b, c.rest); got != c.want {
			t.Errorf("%s: ends at %d, want %d", c.name, got, c.want)
		}
	}
}

// TestGuardFollowsTheBrokersSetting: a shorter expiration at the target is
// heeded by flows that are under way.
func TestGuardFollowsTheBrokersSetting(t *testing.T) {
	r := &Runner{cfg: DefaultConfig()}
	now := r.nowMs()
	f := &flow{s: &Stream{r: r}, guarded: &outlet{}, alone: &outlet{}, quiet: make(chan struct{})}
	f.sentTime, f.expiration, f.seen = now-7200_000, defaultExpiration, r.now()
	f.out = f.guarded
	it := &item{maxTime: now}
	if !f.route(it) || f.out != f.guarded {
		t.Fatal("a predecessor of two hours is guarded for a day")
	}
	f.expires(3600_000)
	if !f.route(it) || f.out != f.alone {
		t.Error("a predecessor of two hours is not guarded where the broker forgets after one")
	}
}
