package verify

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
)

// side is one Kafka cluster of the link.
type side struct {
	client *kafka.Client
	topics map[string]kafka.TopicMetadata
}

// stream is one partition to compare.
type stream struct {
	key       fsm.StreamKey
	task      fsm.TaskID
	sourceEnd int64 // last stable offset when the job began
	targetEnd int64 // high watermark before that
	compacted bool
	total     atomic.Int64 // source offsets to compare, as far as known
	at        atomic.Int64 // source offsets passed
	records   atomic.Int64 // compared
	err       error        // its positions could not be taken
}

// bounds is what of a stream is compared.
type bounds struct {
	mapping              mapping
	sourceFrom, sourceTo int64
	targetFrom, targetTo int64
	behind, trimmed      int64
}

// bound decides from which to which offset both sides are compared. heads are
// the log starts, targetEnd the high watermark of the target now.
func (s *stream) bound(task *fsm.Task, sourceHead, targetHead, targetEnd int64) bounds {
	m := newMapping(task.Copy.Mapping)
	b := bounds{mapping: m}
	begin := m.segments[0].Source
	if m.translated {
		// Segments beyond the progress are not known yet.
		b.sourceTo = max(begin, min(s.sourceEnd, task.Copy.Progress.Source))
	} else {
		// What the target has, and what it must have since it was acknowledged.
		b.sourceTo = max(begin, min(s.sourceEnd, max(m.source(targetEnd), task.Copy.Progress.Source)))
	}
	if b.sourceTo == task.Copy.Progress.Source {
		b.targetTo = task.Copy.Progress.Target
	} else {
		b.sourceTo = m.settled(b.sourceTo)
		b.targetTo = m.target(b.sourceTo)
	}
	b.behind = max(0, s.sourceEnd-b.sourceTo)
	if b.behind == 0 && !m.translated {
		// What the target had before the source's end was read, and no more,
		// must come from the source.
		b.targetTo = max(b.targetTo, s.targetEnd)
	}
	b.targetTo = min(b.targetTo, targetEnd)
	b.sourceFrom = max(begin, sourceHead, m.source(targetHead))
	b.sourceFrom = min(b.sourceFrom, b.sourceTo)
	b.trimmed = b.sourceFrom - begin
	b.targetFrom = min(max(m.target(b.sourceFrom), targetHead), b.targetTo)
	return b
}

// compare compares one stream.
func (j *Job) compare(ctx context.Context, s *stream) (Counts, []Fault, error) {
	if s.err != nil {
		return Counts{}, nil, s.err
	}
	b, ok, err := j.await(ctx, s)
	if err != nil || !ok {
		s.total.Store(0)
		return Counts{Behind: s.sourceEnd}, nil, err
	}
	s.total.Store(b.sourceTo - b.sourceFrom)
	task := j.facts.View().Task(s.task)
	if task == nil || task.Copy.Mapping == nil {
		return Counts{}, nil, fmt.Errorf("%s/%d: the stream is gone", s.key.Topic, s.key.Partition)
	}
	c := &comparison{mapping: b.mapping, compacted: s.compacted, maxFaults: j.request.MaxFaults, topic: s.key.Topic, partition: s.key.Partition}
	c.counts.Behind, c.counts.Trimmed = b.behind, b.trimmed
	source := j.reader(j.source.client, s.key.Topic, s.key.Partition, b.sourceFrom, b.sourceTo)
	source.committed, source.skip, source.topicID = true, j.skip, task.Copy.Mapping.SourceTopicID
	target := j.reader(j.target.client, s.key.TargetTopic, s.key.Partition, b.targetFrom, b.targetTo)
	target.topicID = task.Copy.Mapping.TargetTopicID
	err = s.run(ctx, c, source, target)
	return c.counts, c.faults, err
}

func (j *Job) reader(client *kafka.Client, topic string, partition int32, from, to int64) *reader {
	return &reader{client: client, topic: topic, partition: partition, seed: j.seed, limits: j.limits, next: from, end: to, codec: record.NewCodec()}
}

// chunk is what a reader hands over.
type chunk struct {
	items       []item
	end         bool
	next, floor int64
}

// run reads both sides, each one answer ahead, and compares.
func (s *stream) run(ctx context.Context, c *comparison, source, target *reader) error {
	g, ctx := errgroup.WithContext(ctx)
	begin := source.next
	sources, targets := make(chan chunk), make(chan chunk)
	g.Go(func() error { return source.pump(ctx, sources) })
	g.Go(func() error { return target.pump(ctx, targets) })
	g.Go(func() error {
		for c.source.wants() || c.target.wants() {
			var in, to chunk
			if c.source.wants() {
				if !receive(ctx, sources, &in) {
					return ctx.Err()
				}
				s.at.Store(in.next - begin)
			}
			if c.target.wants() && !receive(ctx, targets, &to) {
				return ctx.Err()
			}
			if in.floor > 0 {
				c.floor = max(c.floor, c.mapping.target(in.floor))
			}
			c.floor = max(c.floor, to.floor)
			c.push(in.items, to.items, in.end, to.end)
			s.records.Store(c.counts.Compared)
		}
		return nil
	})
	return g.Wait()
}

// pump reads to the end, one answer ahead of the receiver.
func (r *reader) pump(ctx context.Context, out chan<- chunk) error {
	defer r.close()
	for {
		items, end, err := r.read(ctx)
		if err != nil {
			return err
		}
		select {
		case out <- chunk{items, end, r.next, r.floor}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if end {
			return nil
		}
	}
}

func receive(ctx context.Context, from chan chunk, to *chunk) bool {
	select {
	case *to = <-from:
		return true
	case <-ctx.Done():
		return false
	}
}

// waitPause lies between two looks at how far the target is.
const waitPause = 200 * time.Millisecond

// await waits until the target has what the source had at the start, at most
// to the job's deadline, and returns what can be compared. ok is false when
// nothing of the stream was copied yet.
func (j *Job) await(ctx context.Context, s *stream) (b bounds, ok bool, err error) {
	for {
		v := j.facts.View()
		task := v.Task(s.task)
		late := time.Now().After(j.deadline) || task == nil || task.Copy.Stop != nil || !v.Active(task)
		if task != nil && task.Copy.Mapping != nil {
			if b, err = j.look(ctx, s, task); err != nil {
				return bounds{}, false, err
			}
			if b.behind == 0 || late {
				return b, true, nil
			}
		} else if late || s.sourceEnd == 0 {
			return bounds{}, false, nil
		}
		select {
		case <-ctx.Done():
			return bounds{}, false, ctx.Err()
		case <-time.After(waitPause):
		}
	}
}

// look asks for the log starts of both sides and the end of the target.
func (j *Job) look(ctx context.Context, s *stream, task *fsm.Task) (bounds, error) {
	sourceHead, err := j.source.offset(ctx, s.key.Topic, s.key.Partition, kafka.ReadUncommitted, kafka.Earliest)
	if err != nil {
		return bounds{}, fmt.Errorf("asking the source: %w", err)
	}
	targetHead, err := j.target.offset(ctx, s.key.TargetTopic, s.key.Partition, kafka.ReadUncommitted, kafka.Earliest)
	if err != nil {
		return bounds{}, fmt.Errorf("asking the target: %w", err)
	}
	targetEnd, err := j.target.offset(ctx, s.key.TargetTopic, s.key.Partition, kafka.ReadUncommitted, kafka.Latest)
	if err != nil {
		return bounds{}, fmt.Errorf("asking the target: %w", err)
	}
	return s.bound(task, sourceHead, targetHead, targetEnd), nil
}
