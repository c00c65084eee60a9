package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/test/wait"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// Options says what a copy should look like. The zero value wants the same committed records at the
// same offsets in topics of the same names.
type Options struct {
	// Shift returns target offset minus source offset of a partition; nil is 0 everywhere.
	Shift func(topic string, partition int32) int64
	// From returns the source offset from which on records should have been copied; nil is each
	// partition's log start at the source. What the target has before its place is not read.
	From func(topic string, partition int32) int64
	// Name returns the target's name of a source topic; nil is the same.
	Name func(topic string) string

	// IgnoreOffsets compares the sequences of committed records only: for transactional topics.
	IgnoreOffsets bool
	// Compacted compares what a compacted topic means: the last record of every key, in order, keys
	// that end in a tombstone left out. Offsets are ignored.
	Compacted bool

	MaxExamples int                     // differences to describe, 10 by default
	Progress    func(done, total int64) // called now and then with offsets read on both sides
}

// Report is what a comparison found.
type Report struct {
	Partitions     int
	Source, Target int64 // records read on each side
	Counts         map[Kind]int64
	Examples       []Difference // the first ones
	Elapsed        time.Duration
}

// Err returns nil when the copy is as it should be, else an error with counts and examples. A source
// without a single record is an error too: nothing was proved.
func (r Report) Err() error {
	if len(r.Counts) == 0 && r.Source > 0 {
		return nil
	}
	return errors.New(r.String())
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d partitions, %d records at the source, %d at the target, %d ms", r.Partitions, r.Source, r.Target, r.Elapsed.Milliseconds())
	for _, k := range []Kind{Missing, Duplicate, OutOfOrder, Differing, OffsetMismatch, Extra} {
		fmt.Fprintf(&b, "; %d %s", r.Counts[k], k)
	}
	for _, d := range r.Examples {
		fmt.Fprintf(&b, "\n  %v", d)
	}
	return b.String()
}

// comparison is one run of Compare.
type comparison struct {
	opts           Options
	source, target *kgo.Client
	seed           maphash.Seed
	total          int64
	done           atomic.Int64

	mu     sync.Mutex
	report Report
}

// span is one partition and the offsets to read on both sides.
type span struct {
	topic, targetTopic string
	partition          int32
	from, end          int64
	targetFrom         int64
	targetEnd          int64
}

func (s span) size() int64 { return max(s.end-s.from, 0) + max(s.targetEnd-s.targetFrom, 0) }

// Compare reads topics on both sides to their ends at the moment of the call and compares each
// record's key, value, headers, timestamp, place in the order and offset. Stop the load and let the
// copy catch up first (WaitCopied). The error says that it could not be found out; differences are
// in the report.
func Compare(ctx context.Context, source, target []kgo.Opt, topics []string, opts Options) (Report, error) {
	began := time.Now()
	if opts.MaxExamples == 0 {
		opts.MaxExamples = 10
	}
	opts.IgnoreOffsets = opts.IgnoreOffsets || opts.Compacted
	c := &comparison{opts: opts, seed: maphash.MakeSeed(), report: Report{Counts: map[Kind]int64{}}}
	err := withClients(source, target, func(s, t *kgo.Client) error {
		c.source, c.target = s, t
		spans, err := findSpans(ctx, s, t, topics, opts)
		if err != nil {
			return err
		}
		for _, sp := range spans {
			c.total += sp.size()
		}
		c.report.Partitions = len(spans)
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(4)
		for _, sp := range spans {
			g.Go(func() error { return c.compare(ctx, sp) })
		}
		return g.Wait()
	})
	c.report.Elapsed = time.Since(began)
	if err != nil {
		return c.report, fmt.Errorf("comparing: %w", err)
	}
	return c.report, nil
}

func withClients(source, target []kgo.Opt, f func(s, t *kgo.Client) error) error {
	s, err := kgo.NewClient(append([]kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond)}, source...)...)
	if err != nil {
		return fmt.Errorf("making the source's client: %w", err)
	}
	defer s.Close()
	t, err := kgo.NewClient(append([]kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond)}, target...)...)
	if err != nil {
		return fmt.Errorf("making the target's client: %w", err)
	}
	defer t.Close()
	return f(s, t)
}

// findSpans asks both sides for the offsets of all partitions.
func findSpans(ctx context.Context, s, t *kgo.Client, topics []string, opts Options) ([]span, error) {
	name := opts.Name
	if name == nil {
		name = func(topic string) string { return topic }
	}
	var spans []span
	for _, topic := range topics {
		starts, ends, err := listOffsets(ctx, s, topic)
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		targetStarts, targetEnds, err := listOffsets(ctx, t, name(topic))
		if err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
		if len(targetEnds) != len(ends) {
			return nil, fmt.Errorf("topic %s has %d partitions, its copy %d", topic, len(ends), len(targetEnds))
		}
		for p := range ends {
			sp := span{topic: topic, targetTopic: name(topic), partition: p, from: starts[p], end: ends[p],
				targetFrom: targetStarts[p], targetEnd: targetEnds[p]}
			if opts.From != nil {
				sp.from = max(sp.from, opts.From(topic, p))
			}
			if !opts.IgnoreOffsets {
				sp.targetFrom = max(sp.targetFrom, sp.from+opts.shift(topic, p))
			}
			spans = append(spans, sp)
		}
	}
	return spans, nil
}

func (o Options) shift(topic string, partition int32) int64 {
	if o.Shift == nil {
		return 0
	}
	return o.Shift(topic, partition)
}

// listOffsets returns the log starts and the ends of what is committed, by partition.
func listOffsets(ctx context.Context, cl *kgo.Client, topic string) (starts, ends map[int32]int64, err error) {
	list := func(what string, ask func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[int32]int64, error) {
		var offsets kadm.ListedOffsets
		err := wait.Until(ctx, 100*time.Millisecond, wait.Patience, func(ctx context.Context) (err error) {
			if offsets, err = ask(ctx, topic); err == nil {
				err = offsets.Error()
			}
			if err != nil && !kerr.IsRetriable(err) && !errors.Is(err, kerr.LeaderNotAvailable) && !errors.Is(err, kerr.NotLeaderForPartition) {
				return wait.Final(err)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("listing %s offsets of %s: %w", what, topic, err)
		}
		out := map[int32]int64{}
		offsets.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
		return out, nil
	}
	adm := kadm.NewClient(cl)
	if starts, err = list("start", adm.ListStartOffsets); err != nil {
		return nil, nil, err
	}
	ends, err = list("end", adm.ListCommittedOffsets)
	return starts, ends, err
}

// WaitCopied waits until the end of every target partition has reached the source's end, as the
// options' shift puts it. Sources that still move are never reached.
func WaitCopied(ctx context.Context, source, target []kgo.Opt, topics []string, opts Options) error {
	return withClients(source, target, func(s, t *kgo.Client) error {
		return poll(ctx, func() error {
			spans, err := findSpans(ctx, s, t, topics, opts)
			if err != nil {
				return err
			}
			for _, sp := range spans {
				if want := sp.end + opts.shift(sp.topic, sp.partition); sp.from < sp.end && sp.targetEnd < want {
					return fmt.Errorf("%s/%d is at %d of %d", sp.topic, sp.partition, sp.targetEnd, want)
				}
			}
			return nil
		})
	})
}

// compare reads both sides of one partition, in turn the one that is behind.
func (c *comparison) compare(ctx context.Context, sp span) error {
	s := newReader(c.source, sp.topic, sp.partition, sp.from, sp.end)
	t := newReader(c.target, sp.targetTopic, sp.partition, sp.targetFrom, sp.targetEnd)
	d := &differ{shift: c.opts.shift(sp.topic, sp.partition), noOffsets: c.opts.IgnoreOffsets}
	var found []Difference // to be described after the reading
	d.report = func(k Kind, sourceOffset, targetOffset int64) {
		if c.note(k) {
			found = append(found, Difference{sp.topic, sp.partition, k, sourceOffset, targetOffset, ""})
		}
	}
	sides := [2]*side{{reader: s, hasher: c.hasher()}, {reader: t, hasher: c.hasher()}}
	if c.opts.Compacted {
		sides[0].compact, sides[1].compact = newCompactor(), newCompactor()
	}
	for !s.done() || !t.done() {
		i := 0
		if s.done() || !t.done() && len(d.source) > len(d.target) {
			i = 1
		}
		before := sides[i].reader.next
		var got [2][]entry
		var err error
		if got[i], err = sides[i].read(ctx); err != nil {
			return err
		}
		d.feed(got[0], got[1])
		c.progress(sides[i].reader.next - before)
	}
	if c.opts.Compacted {
		d.feed(sides[0].compact.entries(), sides[1].compact.entries())
	}
	d.finish()
	c.describe(ctx, s, t, found)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Source += sides[0].records
	c.report.Target += sides[1].records
	c.report.Examples = append(c.report.Examples, found...)
	return nil
}

// note counts a difference and reports whether it is one of the first.
func (c *comparison) note(k Kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all int64
	for _, n := range c.report.Counts {
		all += n
	}
	c.report.Counts[k]++
	return all < int64(c.opts.MaxExamples)
}

func (c *comparison) progress(by int64) {
	done := c.done.Add(by)
	if c.opts.Progress != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.opts.Progress(done, c.total)
	}
}

// describe says of differing records what differs. What cannot be read again stays undescribed.
func (c *comparison) describe(ctx context.Context, s, t *reader, found []Difference) {
	for i, d := range found {
		if d.Kind != Differing {
			continue
		}
		a, errA := recordAt(ctx, s, d.SourceOffset)
		b, errB := recordAt(ctx, t, d.TargetOffset)
		if errA == nil && errB == nil {
			found[i].Detail = describe(a, b)
		}
	}
}

// recordAt reads one record again.
func recordAt(ctx context.Context, like *reader, offset int64) (*kgo.Record, error) {
	r := newReader(like.cl, like.topic, like.partition, offset, offset+1)
	r.maxBytes = 1 << 10 // a broker sends at least one whole batch
	for !r.done() {
		recs, err := r.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(recs) > 0 {
			return recs[0], nil
		}
	}
	return nil, fmt.Errorf("no record at %d", offset)
}

// describe names the fields in which two records differ.
func describe(a, b *kgo.Record) string {
	var out []string
	if !bytes.Equal(a.Key, b.Key) || (a.Key == nil) != (b.Key == nil) {
		out = append(out, fmt.Sprintf("key %.40q, %.40q", a.Key, b.Key))
	}
	if !bytes.Equal(a.Value, b.Value) || (a.Value == nil) != (b.Value == nil) {
		out = append(out, fmt.Sprintf("value of %d bytes, %d bytes", len(a.Value), len(b.Value)))
	}
	if ha, hb := fmt.Sprint(a.Headers), fmt.Sprint(b.Headers); ha != hb {
		out = append(out, fmt.Sprintf("headers %.40s, %.40s", ha, hb))
	}
	if stamp(a) != stamp(b) {
		out = append(out, fmt.Sprintf("timestamp %d, %d", stamp(a), stamp(b)))
	}
	return strings.Join(out, "; ")
}
