package system

import (
	"context"
	"testing"
	"time"

	"sluice/test/load"
)

// Latency at 1,000 records/s over 8 partitions, from producing at the source
// to readable at the target, beside the same from producing to readable at
// the source in the same run.
func TestLatency(t *testing.T) {
	w := NewWorld(t, WorldConfig{Partitions: 8})
	ctx, cancel := context.WithCancel(t.Context())
	direct := load.NewWatcher(Opts(t, w.Src), w.Topic)
	done := make(chan error, 1)
	go func() { done <- direct.Run(ctx) }()
	defer func() { cancel(); <-done }()
	w.Spread()
	Settle(t, 3*time.Second)
	w.Watch.ResetLatency()
	direct.ResetLatency()
	d := 8 * time.Second
	if Proving() {
		d = time.Minute
	}
	Settle(t, d)
	through, at := w.Watch.Latency(), direct.Latency()
	t.Logf("source to target: p50 %v p99 %v of %d records; at the source alone: p50 %v p99 %v", through.P50, through.P99, through.Records, at.P50, at.P99)
	if through.Records == 0 || at.Records == 0 {
		t.Fatal("nothing was measured")
	}
	if Proving() && (through.P50 > 5*time.Millisecond || through.P99 > 20*time.Millisecond) {
		t.Errorf("p50 %v p99 %v, at most 5 ms and 20 ms", through.P50, through.P99)
	}
	// Copying is a fetch, a produce and a fetch more: a handful of times what
	// the source alone takes, whatever the machine.
	if ratio := float64(through.P50) / float64(at.P50); ratio > 8 {
		t.Errorf("p50 is %.1f times that of the source alone", ratio)
	}
	w.Equal()
}
