package replication

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
)

// place is where a partition is.
type place struct {
	topicID    [16]byte
	leader     int32 // -1: none
	epoch      int32
	partitions int
}

// topology finds partitions. Questions asked close together share one
// metadata request; thousands of streams start at once after a failure.
type topology struct {
	site *site

	mu     sync.Mutex
	topics map[string]topicEntry
	next   *lookup // collects topics until it is sent
}

type topicEntry struct {
	meta kafka.TopicMetadata
	at   time.Time
}

// lookup is one metadata request to come.
type lookup struct {
	topics map[string]bool
	done   chan struct{}
	err    error
}

// gather is how long a lookup collects topics before it is sent.
const gather = 3 * time.Millisecond

func newTopology(s *site) *topology { return &topology{site: s, topics: map[string]topicEntry{}} }

// find returns where a partition is; with fresh, as a request sent after the
// call says. Errors wrap kerr's: UnknownTopicOrPartition when the topic or
// the partition is not there.
func (t *topology) find(ctx context.Context, topic string, partition int32, fresh bool) (place, error) {
	t.mu.Lock()
	e, ok := t.topics[topic]
	t.mu.Unlock()
	if fresh || !ok || time.Since(e.at) > t.site.r.cfg.LookupEvery {
		if err := t.ask(ctx, topic); err != nil {
			return place{}, err
		}
		t.mu.Lock()
		e = t.topics[topic]
		t.mu.Unlock()
	}
	if e.meta.Err != nil {
		return place{}, fmt.Errorf("looking up topic %s: %w", topic, needs(e.meta.Err, "DESCRIBE", topic))
	}
	for _, p := range e.meta.Partitions {
		if p.Partition == partition {
			return place{e.meta.ID, p.Leader, p.LeaderEpoch, len(e.meta.Partitions)}, nil
		}
	}
	return place{}, fmt.Errorf("looking up partition %d of topic %s: %w", partition, topic, kerr.UnknownTopicOrPartition)
}

func (t *topology) ask(ctx context.Context, topic string) error {
	t.mu.Lock()
	l := t.next
	if l == nil {
		l = &lookup{topics: map[string]bool{}, done: make(chan struct{})}
		t.next = l
		t.site.r.wg.Add(1)
		go func() { defer t.site.r.wg.Done(); t.send(l) }()
	}
	l.topics[topic] = true
	t.mu.Unlock()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *topology) send(l *lookup) {
	defer close(l.done)
	ctx, cancel := context.WithTimeout(t.site.r.ctx, 10*time.Second)
	defer cancel()
	select {
	case <-time.After(gather):
	case <-ctx.Done():
	}
	t.mu.Lock()
	t.next = nil
	names := make([]string, 0, len(l.topics))
	for n := range l.topics {
		names = append(names, n)
	}
	t.mu.Unlock()
	c, err := t.site.client(ctx)
	if err != nil {
		l.err = err
		return
	}
	var md kafka.Metadata
	for tries := 0; ; tries++ {
		if md, err = askOnce(ctx, c, names); err == nil {
			break
		}
		if tries == 3 || ctx.Err() != nil {
			l.err = err
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tm := range md.Topics {
		t.topics[tm.Name] = topicEntry{tm, time.Now()}
	}
}

// askOnce gives a broker that hangs little time: the next try is another's.
func askOnce(ctx context.Context, c *kafka.Client, names []string) (kafka.Metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, 2500*time.Millisecond)
	defer cancel()
	return c.Metadata(ctx, names...)
}
