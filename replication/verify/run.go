package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
)

// run is the whole job.
func (j *Job) run(ctx context.Context, k *catalog.Catalog) {
	err := j.prepare(ctx, k)
	if err == nil {
		err = j.compareAll(ctx)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.finished = time.Now()
	switch {
	case err == nil:
		j.state = Done
	case errors.Is(err, context.Canceled):
		j.state = Cancelled
	default:
		j.state, j.err = Failed, err
	}
	close(j.ended)
}

// prepare finds the streams and takes the positions.
func (j *Job) prepare(ctx context.Context, k *catalog.Catalog) error {
	v := j.facts.View()
	of := v.LinkNamed(j.request.Link)
	if of == nil {
		return fmt.Errorf("%w: %s", ErrNoLink, j.request.Link)
	}
	streams := streamsOf(v, of, j.request.Topics)
	if len(streams) == 0 {
		return fmt.Errorf("%w: %s", ErrNoStreams, j.request.Link)
	}
	j.link = link{
		source: k.Cluster(of.Spec.Source), target: k.Cluster(of.Spec.Target),
		shared: of.Spec.Writers == fsm.WritersShared, skip: v.LoopIDs(&of.Spec),
	}
	if _, err := j.link.source.All(ctx, topicsHold); err != nil {
		return fmt.Errorf("reaching the source: %w", err)
	}
	if _, err := j.link.target.All(ctx, topicsHold); err != nil {
		return fmt.Errorf("reaching the target: %w", err)
	}
	j.takeEnds(ctx, streams)
	j.mu.Lock()
	j.streams = streams
	j.mu.Unlock()
	return ctx.Err()
}

// topicsHold is how old a look at the topics may be.
const topicsHold = time.Second

// takeEnds takes the target's ends first: what the target has then must come
// from the source up to the end that is read after.
func (j *Job) takeEnds(ctx context.Context, streams []*stream) {
	at, to := make([]catalog.Partition, len(streams)), make([]catalog.Partition, len(streams))
	var source, target []string
	for i, s := range streams {
		at[i], to[i] = s.source(), s.target()
		source, target = append(source, s.key.Topic), append(target, s.key.TargetTopic)
	}
	targets, badTargets := askOffsets(ctx, j.link.target, to, kafka.ReadUncommitted, kafka.Latest)
	sources, badSources := askOffsets(ctx, j.link.source, at, kafka.ReadCommitted, kafka.Latest)
	compactsSource, compactsTarget := compacted(ctx, j.link.source, source), compacted(ctx, j.link.target, target)
	for i, s := range streams {
		s.sourceEnd, s.targetEnd = sources[at[i]], targets[to[i]]
		a, b := compactsSource[s.key.Topic], compactsTarget[s.key.TargetTopic]
		s.compacted = a.yes || b.yes
		s.err = errors.Join(badSources[at[i]], badTargets[to[i]], a.err, b.err)
	}
}

// compareAll compares all streams, some at a time. A stream that cannot be
// read keeps no other from being compared; the error tells of the first few.
func (j *Job) compareAll(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(j.limits.Parallel)
	var failed []error
	for _, s := range j.streams {
		g.Go(func() error {
			counts, faults, err := j.compare(ctx, s)
			j.mu.Lock()
			defer j.mu.Unlock()
			j.counts.Add(counts)
			j.keep(faults)
			if err == nil {
				j.compared++
			} else {
				failed = append(failed, err)
			}
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(failed[:min(len(failed), 5)]...)
}

// streamsOf lists the streams of a link, of some topics or all.
func streamsOf(v *fsm.View, link *fsm.Link, topics []string) []*stream {
	var out []*stream
	for t := range v.Tasks {
		if t.Kind == fsm.KindCopy && t.Link == link.ID && (len(topics) == 0 || slices.Contains(topics, t.Copy.Stream.Topic)) {
			s := &stream{key: t.Copy.Stream, task: t.ID}
			s.total.Store(-1)
			out = append(out, s)
		}
	}
	return out
}
