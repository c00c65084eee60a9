package pipe

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
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
// heeded by pipes that are under way.
func TestGuardFollowsTheBrokersSetting(t *testing.T) {
	const hour, now = int64(3600_000), int64(1_000_000_000_000)
	p := New(Start{
		Mapping:  fsm.Mapping{Phase: fsm.PhaseDense, Segments: []fsm.Segment{{}}},
		Position: recovery.Position{LastTime: now - 2*hour}, Expiration: 24 * hour, Guarded: true, Seen: time.Unix(0, 0),
	})
	b := record.Batch(load.Batch([]*kgo.Record{{Value: []byte("one"), Timestamp: time.UnixMilli(now)}}))
	p.Take(&Arrival{Records: b, Memory: uncounted{}}, rewrite.NewRebuilder())
	next := func() Verdict { return p.Next(time.Unix(0, 0), now, func() bool { return true }) }
	if v := next(); v != Ready || p.Route() != Guarded {
		t.Fatalf("%s on the %s route: a predecessor of two hours is guarded for a day", v, p.Route())
	}
	p.Expires(hour)
	if v := next(); v != Ready || p.Route() != Unguarded {
		t.Errorf("%s on the %s route: a predecessor of two hours is not guarded where the broker forgets after one", v, p.Route())
	}
}

// uncounted is memory that nobody counts.
type uncounted struct{}

func (uncounted) Retain()  {}
func (uncounted) Release() {}
