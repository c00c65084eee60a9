package verify

import (
	"context"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
)

// sourceReader reads a stream's source.
func (j *Job) sourceReader(s *stream, m *fsm.Mapping, from, to int64) *reader {
	r := j.reader(j.link.source, s.source(), from, to)
	r.committed, r.skip, r.topicID, r.filtering = true, j.link.skip, m.SourceTopicID, newFiltering(j.link.filter)
	return r
}

// targetReader reads its target, without what may have filled gaps there.
func (j *Job) targetReader(s *stream, m *fsm.Mapping, from, to int64) *reader {
	r := j.reader(j.link.target, s.target(), from, to)
	r.topicID, r.committed = m.TargetTopicID, j.link.alone && (m.Filled || m.Phase == fsm.PhaseTranslated)
	return r
}

func (j *Job) reader(k *catalog.Cluster, p catalog.Partition, from, to int64) *reader {
	return &reader{kafka: k, Partition: p, seed: j.seed, limits: j.limits, large: j.rooms.large, next: from, end: to, codec: record.NewCodec()}
}

// meet finds where the logs meet where a log start lies among segments that were
// dropped: the mapping alone does not tell which records of both sides belong
// together there.
func (j *Job) meet(ctx context.Context, s *stream, at *seen) error {
	m := at.task.Copy.Mapping
	from, to := at.mapping.Open(max(at.mapping.Start(), at.sourceHead), at.targetHead)
	if to = min(to, at.sourceTo); from >= to {
		return nil
	}
	x := newMeeting(to, at.mapping.Target(to))
	readers := [2]*reader{
		j.sourceReader(s, m, from, at.sourceTo),
		j.targetReader(s, m, max(at.targetHead, at.mapping.Least(from)), at.targetTo),
	}
	defer readers[atSource].close()
	defer readers[atTarget].close()
	for side, ok := x.wants(); ok; side, ok = x.wants() {
		items, end, err := readers[side].read(ctx)
		if err != nil {
			return err
		}
		x.add(side, items, end)
	}
	if !x.found {
		return nil
	}
	at.mapping = at.mapping.With(x.at)
	if l := lossOf(s, at); l != nil {
		j.due(ctx, []*loss{l})
		at.ends.due, at.unsure = l.due, l.unsure
	}
	at.decide()
	return nil
}

// later looks for later records of the keys of which one side has records alone:
// behind what was compared, up to the ends of now. Where it is tombstones that
// are lacking, it looks for what they would have deleted.
func (j *Job) later(ctx context.Context, s *stream) error {
	c, m, b := s.pair.all, s.pair.mapping, &s.pair.bounds
	if !c.waiting() {
		return nil
	}
	copied := b.sourceTo
	if t := j.facts.View().Task(s.task); t != nil {
		copied = t.Copy.Progress.Source
	}
	end, err := offset(ctx, j.link.target, s.target(), kafka.ReadUncommitted)
	if err != nil {
		return err
	}
	r := j.targetReader(s, m, b.targetTo, end)
	if err := c.aside(ctx, atTarget, r, func(it item) { c.later(atTarget, it, true) }); err != nil {
		return err
	}
	if end, err = offset(ctx, j.link.source, s.source(), kafka.ReadCommitted); err != nil {
		return err
	}
	r = j.sourceReader(s, m, b.sourceTo, end)
	if err := c.aside(ctx, atSource, r, func(it item) { c.later(atSource, it, it.offset < copied) }); err != nil {
		return err
	}
	if c.doubts(atSource) {
		r := j.targetReader(s, m, 0, b.targetTo)
		if err := c.aside(ctx, atTarget, r, func(it item) { c.earlier(atTarget, it) }); err != nil {
			return err
		}
	}
	if c.doubts(atTarget) {
		r := j.sourceReader(s, m, 0, b.sourceTo)
		return c.aside(ctx, atSource, r, func(it item) { c.earlier(atSource, it) })
	}
	return nil
}

// aside gives all records of a reader of one side to f.
func (c *comparison) aside(ctx context.Context, at side, r *reader, f func(item)) error {
	defer r.close()
	for {
		items, end, err := r.read(ctx)
		if err != nil {
			return err
		}
		for _, it := range items {
			f(it)
		}
		c.blind[at] = c.blind[at] || len(r.holes) > 0 || r.filtering.taken() > 0
		if end {
			return nil
		}
	}
}

// offset is the end of one partition.
func offset(ctx context.Context, k *catalog.Cluster, p catalog.Partition, iso kafka.Isolation) (int64, error) {
	found, failed := askOffsets(ctx, k, []catalog.Partition{p}, iso, kafka.Latest)
	return found[p], failed[p]
}
