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

// compare compares one stream, or goes on with it. The error says why it did
// not come to its end.
func (j *Job) compare(ctx context.Context, s *stream) (found, error) {
	if s.err != nil {
		return found{}, s.err
	}
	if s.pair == nil {
		at, err := j.await(ctx, s)
		if err != nil {
			return found{}, err
		}
		if at.task == nil || at.task.Copy.Mapping == nil {
			s.total.Store(0)
			f := found{counts: Counts{Behind: at.behind}, compare: Range{Topic: s.key.Topic, Partition: s.key.Partition, From: -1, To: -1}}
			if at.behind > 0 {
				f.left = []LeftOut{whyBehind(j.facts.View(), at.task, s.key, at.behind)}
			}
			return f, nil
		}
		s.pair = j.pair(s, at)
		s.total.Store(at.sourceTo - at.sourceFrom)
	}
	if err := j.read(ctx, s); err != nil {
		return found{}, err
	}
	return s.pair.found(s.key), nil
}

// pair begins the comparison of what was seen.
func (j *Job) pair(s *stream, at seen) *pair {
	p := &pair{bounds: at.bounds, unsure: at.unsure, behind: whyBehind(j.facts.View(), at.task, s.key, at.behind), all: &comparison{
		mapping: at.mapping, floor: at.floor, head: at.head, due: at.due,
		tally: tally{compacted: s.compacted, maxFaults: j.request.MaxFaults, topic: s.key.Topic, partition: s.key.Partition},
	}}
	p.all.counts.Behind, p.all.counts.Trimmed, p.all.counts.SourceGone = at.behind, at.trimmed, at.sourceGone
	p.in = j.reader(j.link.source, s.source(), at.sourceFrom, at.sourceTo)
	p.in.committed, p.in.skip, p.in.topicID = true, j.link.skip, at.task.Copy.Mapping.SourceTopicID
	p.to = j.reader(j.link.target, s.target(), at.targetFrom, at.targetTo)
	p.to.topicID = at.task.Copy.Mapping.TargetTopicID
	return p
}

func (j *Job) reader(k *catalog.Cluster, p catalog.Partition, from, to int64) *reader {
	return &reader{kafka: k, Partition: p, seed: j.seed, limits: j.limits, large: j.rooms.large, next: from, end: to, codec: record.NewCodec()}
}

// read reads both sides, each one answer ahead, and compares.
func (j *Job) read(ctx context.Context, s *stream) error {
	p := s.pair
	g, ctx := errgroup.WithContext(ctx)
	sources, targets := make(chan chunk), make(chan chunk)
	g.Go(func() error { return p.in.pump(ctx, sources) })
	g.Go(func() error { return p.to.pump(ctx, targets) })
	g.Go(func() error {
		c := p.all
		for c.source.wants() || c.target.wants() {
			var in, to chunk
			if c.source.wants() {
				if !receive(ctx, sources, &in) {
					return ctx.Err()
				}
				s.at.Store(in.next - p.bounds.sourceFrom)
				p.take(in, chunk{})
			}
			if c.target.wants() {
				if !receive(ctx, targets, &to) {
					return ctx.Err()
				}
				if to.floor > c.head {
					c.due, p.unsure = j.due(ctx, s, c.mapping, to.floor)
				}
				p.take(chunk{}, to)
			}
			s.records.Store(c.counts.Compared)
		}
		return nil
	})
	return g.Wait()
}

// waitPause lies between two looks at how far the target is.
const waitPause = 200 * time.Millisecond

// seen is what of a stream can be compared. Without a task, or a mapping,
// nothing of it was copied.
type seen struct {
	bounds
	task   *fsm.Task
	unsure error // retention could not be asked about
}

// await waits until the target has what the source had at the start, at most
// to the job's deadline.
func (j *Job) await(ctx context.Context, s *stream) (seen, error) {
	for {
		at, err := j.look(ctx, s)
		if err != nil {
			return seen{}, err
		}
		late := time.Now().After(j.deadline) || at.task == nil || at.task.Copy.Stop != nil || !j.facts.View().Active(at.task)
		if at.behind == 0 || late {
			return at, nil
		}
		if !kafka.Pause(ctx, waitPause) {
			return seen{}, ctx.Err()
		}
	}
}

// look asks for the log starts of both sides and the end of the target.
func (j *Job) look(ctx context.Context, s *stream) (seen, error) {
	at := seen{task: j.facts.View().Task(s.task)}
	e := ends{source: s.sourceEnd, target: s.targetEnd}
	var err error
	if e.sourceHead, err = offset(ctx, j.link.source, s.source(), kafka.Earliest); err != nil {
		return seen{}, fmt.Errorf("asking the source: %w", err)
	}
	if at.task != nil {
		e.start = at.task.Copy.Start
	}
	if at.task == nil || at.task.Copy.Mapping == nil {
		at.behind = max(0, e.source-max(e.start, e.sourceHead))
		return at, nil
	}
	if e.targetHead, err = offset(ctx, j.link.target, s.target(), kafka.Earliest); err == nil {
		e.targetNow, err = offset(ctx, j.link.target, s.target(), kafka.Latest)
	}
	if err != nil {
		return seen{}, fmt.Errorf("asking the target: %w", err)
	}
	m := at.task.Copy.Mapping
	t := offsets.Translate(m)
	if t.Source(e.targetHead) > max(e.start, e.sourceHead) {
		e.due, at.unsure = j.due(ctx, s, t, e.targetHead)
	}
	at.bounds = bound(t, m.Phase == fsm.PhaseTranslated, at.task.Copy.Progress, e)
	return at, nil
}

// due is the source offset below which the source's own retention deletes what
// the target, whose log starts at head, has not any more. Where that cannot be
// found out all of it counts as due, and the error tells why.
func (j *Job) due(ctx context.Context, s *stream, t offsets.Translation, head int64) (int64, error) {
	gone := t.From(0, head)
	if s.keeps.bySize() {
		bytes, err := size(ctx, j.link.target, s.target())
		if err != nil || bytes >= s.keeps.bytes {
			return gone, err
		}
	}
	before, ok := s.keeps.before(time.Now())
	if !ok {
		return 0, nil
	}
	at, err := offset(ctx, j.link.source, s.source(), before)
	switch {
	case err != nil:
		return gone, err
	case at < 0: // no record is that young
		return gone, nil
	}
	return min(at, gone), nil
}
