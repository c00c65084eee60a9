package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
)

// Place is where a partition is.
type Place struct {
	TopicID     [16]byte // zero: the brokers have no topic ids
	Leader      int32    // broker, -1: none
	LeaderEpoch int32
	Partitions  int // of the topic
}

// topics is what is known of the topics that somebody asks about. Questions
// asked close together share one request (thousands of streams start at once
// after a failure), and one loop keeps what is in use current, so that idle
// streams ask nothing.
type topics struct {
	cluster *Cluster

	mu      sync.Mutex
	known   map[string]*entry
	next    *lookup       // collects topics until it is sent
	keeping bool          // the loop runs
	changed chan struct{} // closed and replaced when something that was known has changed
}

// entry is one topic.
type entry struct {
	meta kafka.TopicMetadata
	at   time.Time // when it was looked up
	used time.Time // when somebody asked last
}

// lookup is one metadata request to come.
type lookup struct {
	topics map[string]bool
	done   chan struct{}
	err    error
}

const (
	collectFor   = 3 * time.Millisecond // how long a lookup collects topics before it is sent
	askTimeout   = 2500 * time.Millisecond
	asks         = 4      // a broker that hangs is given little time: the next try is another's
	topicsAtOnce = 1000   // of one metadata request
	partitions   = 10_000 // so many may be looked up each LookupEvery; more take longer in proportion
	unusedFor    = 4      // intervals after which a topic is looked up no more
)

func newTopics(k *Cluster) *topics {
	return &topics{cluster: k, known: map[string]*entry{}, changed: make(chan struct{})}
}

// Find returns where a partition is; with fresh, as a request sent after the
// call says, else as was known within the last lookups. Errors wrap kerr's:
// UnknownTopicOrPartition when the topic or the partition is not there.
func (k *Cluster) Find(ctx context.Context, topic string, partition int32, fresh bool) (Place, error) {
	meta, err := k.topics.find(ctx, topic, fresh)
	if err != nil {
		return Place{}, err
	}
	for _, p := range meta.Partitions {
		if p.Partition == partition {
			return Place{meta.ID, p.Leader, p.LeaderEpoch, len(meta.Partitions)}, nil
		}
	}
	return Place{}, fmt.Errorf("looking up partition %d of topic %s: %w", partition, topic, kerr.UnknownTopicOrPartition)
}

// Changes returns a channel that is closed when a topic in use is found
// changed: its id, its partitions, their leaders, or whether it is there.
func (k *Cluster) Changes() <-chan struct{} {
	k.topics.mu.Lock()
	defer k.topics.mu.Unlock()
	return k.topics.changed
}

func (t *topics) find(ctx context.Context, topic string, fresh bool) (kafka.TopicMetadata, error) {
	meta, ok := t.cached(topic)
	if fresh || !ok {
		if err := t.ask(ctx, topic); err != nil {
			return kafka.TopicMetadata{}, err
		}
		meta, _ = t.cached(topic)
	}
	if err := meta.Err; err != nil {
		if errors.Is(err, kerr.TopicAuthorizationFailed) {
			err = fmt.Errorf("DESCRIBE on topic %s is needed: %w", topic, err)
		}
		return meta, fmt.Errorf("looking up topic %s: %w", topic, err)
	}
	return meta, nil
}

// cached returns what is known of a topic, and notes that it is in use.
func (t *topics) cached(topic string) (kafka.TopicMetadata, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.known[topic]
	if e == nil {
		return kafka.TopicMetadata{}, false
	}
	e.used = time.Now()
	return e.meta, true
}

// ask joins the next lookup and waits for it.
func (t *topics) ask(ctx context.Context, topic string) error {
	t.mu.Lock()
	l := t.next
	if l == nil {
		l = &lookup{topics: map[string]bool{}, done: make(chan struct{})}
		t.next = l
		t.cluster.catalog.wg.Go(func() { t.send(l) })
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

func (t *topics) send(l *lookup) {
	defer close(l.done)
	ctx := t.cluster.catalog.ctx
	select {
	case <-time.After(collectFor):
	case <-ctx.Done():
	}
	t.mu.Lock()
	t.next = nil
	names := slices.Sorted(maps.Keys(l.topics))
	t.mu.Unlock()
	l.err = t.lookUp(ctx, names)
}

// lookUp asks for topics and keeps the answers.
func (t *topics) lookUp(ctx context.Context, names []string) error {
	for chunk := range slices.Chunk(names, topicsAtOnce) {
		md, err := t.request(ctx, chunk)
		if err != nil {
			return err
		}
		t.keep(md.Topics)
	}
	return nil
}

func (t *topics) request(ctx context.Context, names []string) (md kafka.Metadata, err error) {
	c, err := t.cluster.Client(ctx)
	if err != nil {
		return md, err
	}
	for range asks {
		tryCtx, cancel := context.WithTimeout(ctx, askTimeout)
		md, err = c.Metadata(tryCtx, names...)
		cancel()
		if err == nil {
			return md, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return md, fmt.Errorf("asking Kafka cluster %s: %w", t.cluster.name, err)
}

// keep notes answers, and tells who waits where one differs from what was
// known.
func (t *topics) keep(answers []kafka.TopicMetadata) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, changed := time.Now(), false
	for _, meta := range answers {
		e := t.known[meta.Name]
		if e == nil {
			e = &entry{used: now}
			t.known[meta.Name] = e
		} else {
			changed = changed || differ(&e.meta, &meta)
		}
		e.meta, e.at = meta, now
	}
	if changed {
		close(t.changed)
		t.changed = make(chan struct{})
	}
	if !t.keeping {
		t.keeping = true
		t.cluster.catalog.wg.Go(t.keepCurrent)
	}
}

func differ(a, b *kafka.TopicMetadata) bool {
	return a.ID != b.ID || !errors.Is(a.Err, b.Err) || !slices.EqualFunc(a.Partitions, b.Partitions, func(a, b kafka.PartitionMetadata) bool {
		return a.Partition == b.Partition && a.Leader == b.Leader && a.LeaderEpoch == b.LeaderEpoch
	})
}

// keepCurrent looks the topics in use up again and again, until none is.
func (t *topics) keepCurrent() {
	ctx := t.cluster.catalog.ctx
	for {
		every := t.interval()
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return
		}
		names := t.inUse(time.Now(), every)
		if names == nil {
			return
		}
		if err := t.lookUp(ctx, names); err != nil && ctx.Err() == nil {
			t.cluster.catalog.log.Debug("looking up topics", "kafka", t.cluster.name, "topics", len(names), "err", err)
		}
	}
}

// interval is as long as the size of the answers asks for.
func (t *topics) interval() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, e := range t.known {
		n += len(e.meta.Partitions)
	}
	return t.cluster.catalog.cfg.LookupEvery * time.Duration(1+n/partitions)
}

// inUse lists the topics that somebody has asked about lately and nobody has
// looked up since half an interval; the others are forgotten. Nil: none is in
// use, and the loop ends.
func (t *topics) inUse(now time.Time, every time.Duration) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := []string{}
	for name, e := range t.known {
		switch {
		case now.Sub(e.used) > unusedFor*every:
			delete(t.known, name)
		case now.Sub(e.at) > every/2:
			names = append(names, name)
		}
	}
	if len(t.known) == 0 {
		t.keeping = false
		return nil
	}
	slices.Sort(names)
	return names
}
