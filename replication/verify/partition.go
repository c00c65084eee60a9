package verify

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// compare compares one stream, or goes on with it. The error says why it did
// not come to its end.
func (j *Job) compare(ctx context.Context, s *stream) (found, error) {
	if s.err != nil {
		return found{}, s.err
	}
	if s.pair == nil {
		at := s.seen
		if at.task == nil || at.task.Copy.Mapping == nil {
			s.total.Store(0)
			return s.nothing(at, j.facts.View()), nil
		}
		if err := j.meet(ctx, s, &at); err != nil {
			return found{}, err
		}
		s.pair = j.pair(s, at)
		s.total.Store(at.sourceTo - at.sourceFrom)
	}
	if err := j.read(ctx, s); err != nil {
		return found{}, err
	}
	if err := j.later(ctx, s); err != nil {
		return found{}, err
	}
	if t := j.facts.View().Task(s.task); t != nil && (t.Copy.Mapping == nil || t.Copy.Mapping.Version != s.pair.mapping.Version) {
		s.again()
		return found{}, errMappingChanged
	}
	s.pair.all.close()
	return s.pair.found(s.key), nil
}

// pair begins the comparison of what was seen.
func (j *Job) pair(s *stream, at seen) *pair {
	now := time.Now()
	p := &pair{bounds: at.bounds, unsure: at.unsure, behind: whyBehind(j.facts.View(), at.task, s.key, at.behind), mapping: at.task.Copy.Mapping, all: &comparison{
		edges: at.edges,
		alone: alone{
			tally:   tally{maxFaults: j.request.MaxFaults, topic: s.key.Topic, partition: s.key.Partition},
			mapping: at.mapping, most: j.limits.Keys,
			cleaners: cleaners{runs: [2]bool{s.keeps.compacts, s.there.compacts}, expired: [2]int64{s.keeps.expired(now), s.there.expired(now)}, now: now.UnixMilli()},
		},
	}}
	p.all.counts.Behind, p.all.counts.Trimmed, p.all.counts.SourceGone = at.behind, at.trimmed, at.sourceGone
	p.in = j.sourceReader(s, at.task.Copy.Mapping, at.sourceFrom, at.sourceTo)
	p.to = j.targetReader(s, at.task.Copy.Mapping, at.targetFrom, at.targetTo)
	return p
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
				if to.floor > c.edges.head {
					l := loss{stream: s, gone: c.mapping.From(0, to.floor)}
					j.due(ctx, []*loss{&l})
					c.edges.due, p.unsure = l.due, l.unsure
				}
				p.take(chunk{}, to)
			}
			s.records.Store(c.counts.Compared)
		}
		return nil
	})
	return g.Wait()
}
