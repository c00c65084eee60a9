package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Watcher reads a load at the target as it arrives (uncommitted records too) and keeps the times.
type Watcher struct {
	client []kgo.Opt
	topics []Topic

	mu        sync.Mutex
	mark      time.Time
	parts     map[partKey]*watched
	latencies []uint32 // microseconds, of records sent since the last reset
	since     time.Time
	foreign   int64
}

type partKey struct {
	topic     string
	partition int32
}

// watched are the times of one partition since the mark.
type watched struct {
	last     time.Time     // latest arrival ever; zero if none
	firstNew time.Time     // arrival of the first record sent after the mark; zero if none yet
	pause    time.Duration // longest time without an arrival since the mark
	records  int64         // ever
}

// Gap is what one partition went through since the mark.
type Gap struct {
	Topic     string
	Partition int32
	// New is the time from the mark to the arrival of the first record that was sent after it; until
	// there is one it is the time since the mark, and Seen is false.
	New  time.Duration
	Seen bool
	// Pause is the longest time without any arrival since the mark, the present one included.
	Pause   time.Duration
	Records int64 // arrived since the watcher started
}

// NewWatcher prepares to watch partitions of topics, which need not exist yet; Run watches.
func NewWatcher(client []kgo.Opt, topics ...Topic) *Watcher {
	w := &Watcher{client: client, topics: topics, parts: map[partKey]*watched{}}
	for _, t := range topics {
		for p := range t.Partitions {
			w.parts[partKey{t.Name, p}] = &watched{}
		}
	}
	w.Mark()
	w.ResetLatency()
	return w
}

// Run reads from the start of the topics until ctx ends, which is no error.
func (w *Watcher) Run(ctx context.Context) error {
	var names []string
	for _, t := range w.topics {
		names = append(names, t.Name)
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.ConsumeTopics(names...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMinBytes(1), kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		// Topics may be made later and leaders may move: look often.
		kgo.UnknownTopicRetries(-1), kgo.MetadataMinAge(50 * time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.AlwaysRetryEOF(),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	}, w.client...)...)
	if err != nil {
		return fmt.Errorf("making a consumer: %w", err)
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		now := time.Now()
		w.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { w.arrived(r, now) })
		w.mu.Unlock()
	}
	return nil
}

// arrived books one record; w.mu is held.
func (w *Watcher) arrived(r *kgo.Record, now time.Time) {
	part := w.parts[partKey{r.Topic, r.Partition}]
	stamp, err := ReadStamp(r.Value)
	if part == nil || err != nil {
		w.foreign++
		return
	}
	part.records++
	part.pause = max(part.pause, now.Sub(later(part.last, w.mark)))
	part.last = now
	if part.firstNew.IsZero() && !stamp.Sent.Before(w.mark) {
		part.firstNew = now
	}
	if !stamp.Sent.Before(w.since) {
		w.latencies = append(w.latencies, uint32(max(now.Sub(stamp.Sent), 0)/time.Microsecond))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Mark says that the moment from which gaps count is now.
func (w *Watcher) Mark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mark = time.Now()
	for _, p := range w.parts {
		p.firstNew, p.pause = time.Time{}, 0
	}
}

// Gaps returns every partition's times since the mark, the longest gap first.
func (w *Watcher) Gaps() []Gap {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	var out []Gap
	for key, p := range w.parts {
		g := Gap{Topic: key.topic, Partition: key.partition, Records: p.records, Seen: !p.firstNew.IsZero(),
			New: now.Sub(w.mark), Pause: max(p.pause, now.Sub(later(p.last, w.mark)))}
		if g.Seen {
			g.New = p.firstNew.Sub(w.mark)
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(b.New, a.New), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// WaitNew waits until every partition has got a record that was sent after the mark and returns the
// gaps, the longest first; when ctx ends before, or nothing has moved for long, with an error that
// names a partition without one.
func (w *Watcher) WaitNew(ctx context.Context) ([]Gap, error) {
	var gaps []Gap
	err := poll(ctx, func() error {
		gaps = w.Gaps()
		silent := slices.DeleteFunc(slices.Clone(gaps), func(g Gap) bool { return g.Seen })
		if len(silent) == 0 {
			return nil
		}
		return fmt.Errorf("%d of %d partitions got no new record, %s/%d among them", len(silent), len(gaps), silent[0].Topic, silent[0].Partition)
	})
	return gaps, err
}

// WaitRecords waits until so many records in all have arrived since the watcher started.
func (w *Watcher) WaitRecords(ctx context.Context, n int64) error {
	return poll(ctx, func() error {
		var got int64
		for _, g := range w.Gaps() {
			got += g.Records
		}
		if got < n {
			return fmt.Errorf("%d of %d records arrived", got, n)
		}
		return nil
	})
}

// Latency is the distribution of the time from sending a record to reading it at the target.
type Latency struct {
	P50, P90, P99, Max time.Duration
	Records            int
}

// ResetLatency forgets the latencies so far; only records sent from now on count.
func (w *Watcher) ResetLatency() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latencies, w.since = nil, time.Now()
}

// Latency returns the distribution since the last reset; zeros without records.
func (w *Watcher) Latency() Latency {
	w.mu.Lock()
	sorted := slices.Clone(w.latencies)
	w.mu.Unlock()
	if len(sorted) == 0 {
		return Latency{}
	}
	slices.Sort(sorted)
	at := func(percent int) time.Duration {
		return time.Duration(sorted[(len(sorted)-1)*percent/100]) * time.Microsecond
	}
	return Latency{P50: at(50), P90: at(90), P99: at(99), Max: at(100), Records: len(sorted)}
}

// Foreign returns how many records arrived that are not of this load.
func (w *Watcher) Foreign() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.foreign
}
