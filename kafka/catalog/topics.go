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
	access

	mu      sync.Mutex
	client  *kafka.Client // that all below is from
	known   map[string]*entry
	all     map[string]kafka.TopicMetadata // of the last look at all topics
	allAt   time.Time                      // when that was sent
	next    *lookup                        // collects topics until it is sent
	sent    time.Time                      // when the last one was
	keeping bool                           // the loop runs
	changed chan struct{}                  // closed and replaced when something that was known has changed
	failed  failures                       // questions of those who wait
}

// entry is one topic.
type entry struct {
	meta kafka.TopicMetadata
	at   time.Time // when the request was sent that told it
	used time.Time // when somebody asked last
}

// lookup is one metadata request to come.
type lookup struct {
	topics map[string]bool
	done   chan struct{}
	err    error
}

const (
	collectFor   = 3 * time.Millisecond  // how long a lookup collects topics before it is sent
	apart        = 20 * time.Millisecond // between two lookups: the second collects until then
	topicsAtOnce = 1000                  // of one metadata request
	partitions   = 10_000                // so many may be looked up each LookupEvery; more take longer in proportion
	unusedFor    = 4                     // intervals after which a topic is looked up no more
)

// A broker that hangs is given little time: the next try is another's.
const (
	askTimeout = 2500 * time.Millisecond
	asks       = 4
)

// errClosed says that the Catalog was closed.
var errClosed = errors.New("catalog is closed")

func newTopics(a access) *topics {
	return &topics{access: a, known: map[string]*entry{}, changed: make(chan struct{})}
}

func placeIn(t *kafka.TopicMetadata, partition int32) (Place, error) {
	if i, ok := slices.BinarySearchFunc(t.Partitions, partition, func(p kafka.PartitionMetadata, n int32) int { return int(p.Partition - n) }); ok {
		p := &t.Partitions[i]
		return Place{t.ID, p.Leader, p.LeaderEpoch, len(t.Partitions)}, nil
	}
	return Place{}, fmt.Errorf("looking up partition %d of topic %s: %w", partition, t.Name, kerr.UnknownTopicOrPartition)
}

// have sees to it that the topics are known, or known anew.
func (t *topics) have(ctx context.Context, names []string, fresh bool) error {
	if !fresh {
		names = t.unknown(names)
	}
	if len(names) == 0 {
		return nil
	}
	return t.ask(ctx, names)
}

// unknown lists which of the topics are not known; the others are in use.
func (t *topics) unknown(names []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, name := range names {
		if t.use(name) == nil {
			out = append(out, name)
		}
	}
	return out
}

// use returns a topic if it is known, and notes that somebody asked. Called
// with mu held.
func (t *topics) use(name string) *entry {
	e := t.known[name]
	if e == nil && time.Since(t.allAt) < t.cfg.LookupEvery {
		if meta, ok := t.all[name]; ok {
			e = &entry{meta: meta, at: t.allAt}
			t.known[name] = e
			t.keepKnown()
		}
	}
	if e != nil {
		e.used = time.Now()
	}
	return e
}

// current is what is known of a topic that is there, in one step: thousands of
// idle streams ask every few seconds.
func (t *topics) current(name string) (kafka.TopicMetadata, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.use(name); e != nil && e.meta.Err == nil {
		return e.meta, true
	}
	return kafka.TopicMetadata{}, false
}

// told is what a lookup said of a topic.
func (t *topics) told(name string) (kafka.TopicMetadata, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.use(name)
	if e == nil {
		return kafka.TopicMetadata{}, fmt.Errorf("looking up topic %s: %w: it was not told of", name, kafka.ErrProtocol)
	}
	if err := kafka.Needs(e.meta.Err, "DESCRIBE", name); err != nil {
		return e.meta, fmt.Errorf("looking up topic %s: %w", name, err)
	}
	return e.meta, nil
}

// ask joins the next lookup and waits for it.
func (t *topics) ask(ctx context.Context, names []string) error {
	t.mu.Lock()
	l := t.next
	if err := t.failed.recently(); err != nil && l == nil {
		t.mu.Unlock()
		return err
	}
	if l == nil {
		l = &lookup{topics: map[string]bool{}, done: make(chan struct{})}
		if !t.lookups.start(func() { t.send(l) }) {
			t.mu.Unlock()
			return errClosed
		}
		t.next = l
	}
	for _, name := range names {
		l.topics[name] = true
	}
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
	t.mu.Lock()
	wait := max(collectFor, apart-time.Since(t.sent))
	t.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-t.ctx.Done():
	}
	t.mu.Lock()
	t.next, t.sent = nil, time.Now()
	names := slices.Sorted(maps.Keys(l.topics))
	t.mu.Unlock()
	_, l.err = t.lookUp(names, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed.note(l.err)
}

// lookUp asks for topics and keeps the answers, which it returns: those of the
// lookup before spare decoding what is still the same.
func (t *topics) lookUp(names []string, before []*kafka.Answer) (answers []*kafka.Answer, err error) {
	ctx := t.ctx
	for chunk := range slices.Chunk(names, topicsAtOnce) {
		c, err := t.reach(ctx)
		if err != nil {
			return nil, err
		}
		var last *kafka.Answer
		if n := len(answers); n < len(before) {
			last = before[n]
		}
		sent := time.Now()
		now, err := attempt(ctx, 1, func(ctx context.Context) (*kafka.Answer, error) { return c.Look(ctx, last, chunk...) })
		if err != nil {
			return nil, fmt.Errorf("asking Kafka cluster %s: %w", t.name, err)
		}
		t.keep(c, now.Topics, sent)
		answers = append(answers, now)
	}
	return answers, nil
}

// attempt asks until an answer comes, each time another broker as kgo chooses;
// growth multiplies the time that each is given over the one before it.
func attempt[T any](ctx context.Context, growth int, ask func(context.Context) (T, error)) (got T, err error) {
	timeout := askTimeout
	for range asks {
		tryCtx, cancel := context.WithTimeout(ctx, timeout)
		got, why := ask(tryCtx)
		late := tryCtx.Err() != nil
		cancel()
		if why == nil || ctx.Err() != nil || errors.Is(why, kafka.ErrClusterIDMismatch) || errors.Is(why, kafka.ErrTimeout) { // every address has had its time
			return got, why
		}
		if err == nil || !late { // an error of the network says more than that time is up
			err = why
		}
		timeout *= time.Duration(growth)
	}
	return got, err
}

// keep notes the answers about topics that were asked for.
func (t *topics) keep(c *kafka.Client, answers []kafka.TopicMetadata, sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.from(c)
	for i := range answers {
		name := answers[i].Name
		if t.known[name] == nil {
			t.known[name] = &entry{meta: answers[i], at: sent, used: time.Now()}
		} else {
			changed = t.update(name, &answers[i], sent) || changed
		}
	}
	t.keepKnown()
	t.tell(changed)
}

// feed notes what a look at all topics says of those that are known: the loop
// need not ask for them. Those that it leaves out may be there, unseen.
func (t *topics) feed(c *kafka.Client, look *kafka.Answer, same bool, sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.from(c)
	if !same || t.all == nil {
		t.all = make(map[string]kafka.TopicMetadata, len(look.Topics))
		for _, meta := range look.Topics {
			t.all[meta.Name] = meta
		}
	}
	before := t.allAt
	t.allAt = sent
	for name, e := range t.known {
		if same && e.at.Equal(before) { // it is from the very answer
			e.at = sent
		} else if meta, ok := t.all[name]; ok {
			changed = t.update(name, &meta, sent) || changed
		}
	}
	t.tell(changed)
}

// from forgets everything that another client has told: under the name is
// another Kafka cluster, or another way to it. It reports whether that was
// something. Called with mu held.
func (t *topics) from(c *kafka.Client) bool {
	if t.client == c {
		return false
	}
	had := len(t.known) > 0
	t.client, t.all = c, nil
	clear(t.known)
	return had
}

// update takes over an answer about a known topic, unless a later request has
// told of it, and reports whether it differs. Called with mu held.
func (t *topics) update(name string, meta *kafka.TopicMetadata, sent time.Time) bool {
	e := t.known[name]
	if sent.Before(e.at) {
		return false
	}
	changed := differ(&e.meta, meta)
	e.meta, e.at = *meta, sent
	return changed
}

// tell wakes who waits for a change. Called with mu held.
func (t *topics) tell(changed bool) {
	if changed {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// keepKnown runs the loop unless it runs. Called with mu held.
func (t *topics) keepKnown() {
	t.keeping = t.keeping || t.lookups.start(t.keepCurrent)
}

func differ(a, b *kafka.TopicMetadata) bool {
	return a.ID != b.ID || !errors.Is(a.Err, b.Err) || !slices.EqualFunc(a.Partitions, b.Partitions, func(a, b kafka.PartitionMetadata) bool {
		return a.Partition == b.Partition && a.Leader == b.Leader && a.LeaderEpoch == b.LeaderEpoch
	})
}

// keepCurrent looks the topics in use up again and again, until none is.
func (t *topics) keepCurrent() {
	var last []*kafka.Answer
	for {
		every := t.interval()
		select {
		case <-time.After(every):
		case <-t.ctx.Done():
			return
		}
		names := t.inUse(time.Now(), every)
		if names == nil {
			return
		}
		var err error
		if last, err = t.lookUp(names, last); err != nil && t.ctx.Err() == nil {
			t.log.Debug("looking up topics", "kafka", t.name, "topics", len(names), "err", err)
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
	return t.cfg.LookupEvery * time.Duration(1+n/partitions)
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
