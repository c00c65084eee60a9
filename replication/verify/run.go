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
	case ctx.Err() != nil:
		j.state = Cancelled
		if cause := context.Cause(ctx); errors.Is(cause, errAbandoned) {
			j.err = cause
		}
	default:
		j.state, j.err = Failed, err
	}
	close(j.ended)
}

// prepare finds what is to be compared and takes the positions.
func (j *Job) prepare(ctx context.Context, k *catalog.Catalog) error {
	of := j.facts.View().LinkNamed(j.request.Link)
	if of == nil {
		return fmt.Errorf("%w: %s", ErrNoLink, j.request.Link)
	}
	j.link = link{
		source: k.Cluster(of.Spec.Source), target: k.Cluster(of.Spec.Target), alone: of.Spec.Writers != fsm.WritersShared,
	}
	chosen, err := j.choose(ctx)
	if err != nil {
		return err
	}
	if spec := of.Spec.Filter; spec != nil {
		if j.link.filter, err = j.compile(spec); err != nil {
			return fmt.Errorf("applying the link's filter: %w", err)
		}
	}
	j.link.skip = j.facts.View().LoopIDs(&of.Spec)
	j.takeEnds(ctx, chosen.streams)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.streams, j.book = chosen.streams, newBook(j.request.MaxFaults, chosen)
	return ctx.Err()
}

// choose finds what is to be compared; topics that appeared a moment ago are
// given until the job's deadline to be copied.
func (j *Job) choose(ctx context.Context) (selection, error) {
	for {
		source, err := j.link.source.All(ctx, topicsHold)
		if err != nil {
			return selection{}, fmt.Errorf("reaching the source: %w", err)
		}
		target, err := j.link.target.All(ctx, topicsHold)
		if err != nil {
			return selection{}, fmt.Errorf("reaching the target: %w", err)
		}
		v := j.facts.View()
		of := v.LinkNamed(j.request.Link)
		if of == nil {
			return selection{}, fmt.Errorf("%w: %s", ErrNoLink, j.request.Link)
		}
		in := selectionInput{spec: &of.Spec, asked: j.request.Topics, source: source.Topics, target: target.Topics, streams: streamsOf(v, of)}
		chosen, err := in.choose()
		waits := slices.ContainsFunc(chosen.left, func(l LeftOut) bool { return l.Why == NoStream })
		if err != nil || !waits || !of.Running() || time.Now().After(j.deadline) {
			return chosen, err
		}
		if !kafka.Pause(ctx, waitPause) {
			return selection{}, ctx.Err()
		}
	}
}

// topicsHold is how old a look at the topics may be.
const topicsHold = time.Second

// takeEnds takes the target's ends first: what the target has then must come
// from the source up to the end that is read after.
func (j *Job) takeEnds(ctx context.Context, streams []*stream) {
	at, to := places(streams)
	var source, target []string
	for _, s := range streams {
		source, target = append(source, s.key.Topic), append(target, s.key.TargetTopic)
	}
	targets, badTargets := askOffsets(ctx, j.link.target, to, kafka.ReadUncommitted, kafka.Latest)
	sources, badSources := askOffsets(ctx, j.link.source, at, kafka.ReadCommitted, kafka.Latest)
	keepsSource, keepsTarget := retentions(ctx, j.link.source, source), retentions(ctx, j.link.target, target)
	for i, s := range streams {
		s.sourceEnd, s.targetEnd = sources[at[i]], targets[to[i]]
		s.keeps, s.there = keepsSource[s.key.Topic], keepsTarget[s.key.TargetTopic]
		s.err = errors.Join(badSources[at[i]], badTargets[to[i]], s.keeps.err, s.there.err)
	}
}

// compareAll compares all streams, some at a time. A stream that cannot be
// read keeps no other from being compared: it is tried again after all others,
// a few times, and then named.
func (j *Job) compareAll(ctx context.Context) error {
	todo := j.streams
	for try := 1; ; try++ {
		j.await(ctx, todo)
		failed := j.compareSome(ctx, todo, try >= j.limits.Tries)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(failed) == 0 {
			return nil
		}
		if !kafka.Pause(ctx, j.limits.Pause) {
			return ctx.Err()
		}
		todo = failed
		j.takeEnds(ctx, slices.DeleteFunc(slices.Clone(failed), func(s *stream) bool { return s.err == nil }))
	}
}

// compareSome compares streams and returns those that another try may help;
// after the last one there are none.
func (j *Job) compareSome(ctx context.Context, streams []*stream, last bool) (failed []*stream) {
	var g errgroup.Group
	g.SetLimit(j.limits.Parallel)
	for _, s := range streams {
		g.Go(func() error {
			if !enter(ctx, j.rooms.partitions) {
				return nil
			}
			f, err := j.compare(ctx, s)
			leave(j.rooms.partitions)
			j.mu.Lock()
			defer j.mu.Unlock()
			switch {
			case ctx.Err() != nil:
			case err != nil && !last && !final(err):
				failed = append(failed, s)
			case err != nil:
				j.book.add(s.unread(err))
			default:
				j.book.add(f)
			}
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return failed
}

// streamsOf lists the streams of a link.
func streamsOf(v *fsm.View, link *fsm.Link) []*stream {
	var out []*stream
	for t := range v.Tasks {
		if t.Kind == fsm.KindCopy && t.Link == link.ID {
			out = append(out, newStream(t))
		}
	}
	return out
}
