package verify

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
	"sluice/replication/offsets"
)

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
	c := &comparison{mapping: b.mapping, tally: tally{
		compacted: s.compacted, maxFaults: j.request.MaxFaults, topic: s.key.Topic, partition: s.key.Partition,
	}}
	c.counts.Behind, c.counts.Trimmed = b.behind, b.trimmed
	source := j.reader(j.link.source, s.source(), b.sourceFrom, b.sourceTo)
	source.committed, source.skip, source.topicID = true, j.link.skip, task.Copy.Mapping.SourceTopicID
	target := j.reader(j.link.target, s.target(), b.targetFrom, b.targetTo)
	target.topicID = task.Copy.Mapping.TargetTopicID
	err = s.run(ctx, c, source, target)
	return c.counts, c.faults, err
}

func (j *Job) reader(k *catalog.Cluster, p catalog.Partition, from, to int64) *reader {
	return &reader{kafka: k, Partition: p, seed: j.seed, limits: j.limits, next: from, end: to, codec: record.NewCodec()}
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
			c.trim(in.floor, to.floor)
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
		if !kafka.Pause(ctx, waitPause) {
			return bounds{}, false, ctx.Err()
		}
	}
}

// look asks for the log starts of both sides and the end of the target.
func (j *Job) look(ctx context.Context, s *stream, task *fsm.Task) (bounds, error) {
	e := ends{source: s.sourceEnd, target: s.targetEnd}
	var err error
	if e.sourceHead, err = offset(ctx, j.link.source, s.source(), kafka.Earliest); err != nil {
		return bounds{}, fmt.Errorf("asking the source: %w", err)
	}
	if e.targetHead, err = offset(ctx, j.link.target, s.target(), kafka.Earliest); err == nil {
		e.targetNow, err = offset(ctx, j.link.target, s.target(), kafka.Latest)
	}
	if err != nil {
		return bounds{}, fmt.Errorf("asking the target: %w", err)
	}
	m := task.Copy.Mapping
	return bound(offsets.Translate(m, j.link.shared), m.Phase == fsm.PhaseTranslated, task.Copy.Progress, e), nil
}
