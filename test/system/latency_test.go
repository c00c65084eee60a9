package system

import (
	"context"
	"testing"
	"time"

	"sluice/test/claim"
	"sluice/test/load"
)

// TestLatency: latency at 1,000 records/s over 8 partitions, from producing at
// the source to readable at the target. Where the machine is so slow that reading
// at the source takes as long, it is held against twice that.
func TestLatency(t *testing.T) {
	claim.NeedsLong(t)
	w := NewWorld(t, WorldConfig{Partitions: 8, Rate: 1000})
	through, alone := w.latency(t, time.Duration(claim.Rounds(10, 60))*time.Second)
	p50, p99 := max(5*time.Millisecond, 2*alone.P50), max(20*time.Millisecond, 2*alone.P99)
	if claim.Full() && (through.P50 > p50 || through.P99 > p99) {
		t.Errorf("p50 %v p99 %v, at most %v and %v", through.P50, through.P99, p50, p99)
	}
	w.Equal()
}

// latency measures for a while, beside the time from producing to readable at
// the source in the same run.
func (w *World) latency(t *testing.T, span time.Duration) (through, alone load.Latency) {
	ctx, cancel := context.WithCancel(t.Context())
	direct := load.NewWatcher(Opts(t, w.Src), w.Topic)
	done := make(chan error, 1)
	go func() { done <- direct.Run(ctx) }()
	defer func() { cancel(); <-done }()
	w.Spread()
	if err := direct.WaitRecords(ctx, 1); err != nil {
		t.Fatal(err)
	}
	Settle(t, time.Duration(claim.Rounds(1, 3))*time.Second)
	w.Watch.ResetLatency()
	direct.ResetLatency()
	Settle(t, span)
	through, alone = w.Watch.Latency(), direct.Latency()
	t.Logf("source to target: p50 %v p99 %v of %d records; at the source alone: p50 %v p99 %v", through.P50, through.P99, through.Records, alone.P50, alone.P99)
	if through.Records == 0 || alone.Records == 0 {
		t.Fatal("nothing was measured")
	}
	// Copying is a fetch, a produce and a fetch more: a handful of times what
	// the source alone takes, whatever the machine.
	if ratio := float64(through.P50) / float64(alone.P50); ratio > 8 {
		t.Errorf("p50 is %.1f times that of the source alone", ratio)
	}
	return through, alone
}
