package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// watch reads the target and knows since a mark which partitions have moved,
// and the longest pause of each.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	marked time.Time
	last   map[string]time.Time     // of the newest record
	pause  map[string]time.Duration // longest between two records since the mark
	moved  map[string]bool          // had a record produced after the mark
}

func startWatch(ctx context.Context, target *kgo.Client) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, done: make(chan struct{}), last: map[string]time.Time{}}
	w.mark()
	parts := map[string]map[int32]kgo.Offset{}
	each(func(topic string, p int32) {
		if parts[topic] == nil {
			parts[topic] = map[int32]kgo.Offset{}
		}
		parts[topic][p] = kgo.NewOffset().AtStart()
	})
	target.AddConsumePartitions(parts)
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			w.take(target.PollFetches(ctx))
		}
	}()
	return w
}

func (w *watch) take(fs kgo.Fetches) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	fs.EachRecord(func(r *kgo.Record) {
		key := fmt.Sprint(r.Topic, r.Partition)
		if last, ok := w.last[key]; ok {
			w.pause[key] = max(w.pause[key], now.Sub(last))
		}
		w.last[key] = now
		if r.Timestamp.After(w.marked) {
			w.moved[key] = true
		}
	})
}

// mark begins anew.
func (w *watch) mark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marked, w.pause, w.moved = time.Now(), map[string]time.Duration{}, map[string]bool{}
}

// all reports whether every partition had a record that was produced after
// the mark.
func (w *watch) all() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.moved) == partitions
}

// age is how long ago the mark was made.
func (w *watch) age() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.marked)
}

// longest is the longest pause of any partition since the mark.
func (w *watch) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest := time.Duration(0)
	for _, d := range w.pause {
		longest = max(longest, d)
	}
	return longest
}

func (w *watch) stop() {
	w.cancel()
	<-w.done
}
