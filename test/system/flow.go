package system

import (
	"context"
	"errors"
	"time"

	"sluice/test/claim"
	"sluice/test/load"
)

// flow is a load and a watcher of its copy, which run.
type flow struct {
	stop context.CancelFunc // of the load
	done chan error
}

// startLoad starts load and watcher and waits until every partition has got a
// new record; they end with the test.
func (w *World) startLoad() {
	w.t.Helper()
	seed := uint64(time.Now().UnixNano())
	w.t.Logf("seed %d", seed)
	cfg := load.Config{Client: Opts(w.t, w.Src), Topics: []load.Topic{w.Topic}, Rate: w.cfg.Rate, Seed: seed}
	if !claim.Full() {
		cfg.Burst = int(w.Topic.Partitions)
	}
	producer, err := load.NewProducer(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Watch = load.NewWatcher(Opts(w.t, w.Dst), w.Topic)
	ctx, stop := context.WithCancel(context.Background())
	f := &flow{stop: stop, done: make(chan error, 1)}
	go func() { f.done <- producer.Run(ctx) }()
	watching, end := context.WithCancel(context.Background())
	watched := make(chan error, 1)
	go func() { watched <- w.Watch.Run(watching) }()
	w.t.Cleanup(func() { stop(); end(); <-watched })
	w.flow = f
	w.Moving()
}

// Moving marks the moment and waits until every partition has got a record
// that was produced after it; it returns the longest gap.
func (w *World) Moving() load.Gap {
	w.t.Helper()
	w.Watch.Mark()
	return w.moved()
}

func (w *World) moved() load.Gap {
	w.t.Helper()
	gaps, err := w.Watch.WaitNew(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return gaps[0]
}

// After makes the fault and returns how long each partition went without a
// new record from then on, the longest first.
func (w *World) After(fault func()) []load.Gap {
	w.t.Helper()
	w.Watch.Mark()
	fault()
	w.moved()
	return w.Watch.Gaps()
}

// Equal ends the load and demands that both sides are the Same.
func (w *World) Equal() load.Report {
	w.t.Helper()
	w.flow.stop()
	if err := <-w.flow.done; err != nil && !errors.Is(err, context.Canceled) {
		w.t.Fatal(err)
	}
	w.flow = nil
	return Same(w.t, w.Src, w.Dst, w.Topic.Name)
}
