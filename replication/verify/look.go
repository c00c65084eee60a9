package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/offsets"
)

// waitPause lies between two looks at how far the target is.
const waitPause = 200 * time.Millisecond

// await looks until the target has what the source had at the start, at most to
// the job's deadline. What cannot be asked is the stream's error.
func (j *Job) await(ctx context.Context, streams []*stream) {
	todo := slices.DeleteFunc(slices.Clone(streams), func(s *stream) bool { return s.err != nil || s.pair != nil })
	for len(todo) > 0 {
		j.look(ctx, todo)
		todo = slices.DeleteFunc(todo, func(s *stream) bool {
			t := s.seen.task
			late := time.Now().After(j.deadline) || t == nil || t.Copy.Stop != nil || !j.facts.View().Active(t)
			return s.err != nil || s.seen.behind == 0 || late
		})
		if len(todo) == 0 || !kafka.Pause(ctx, waitPause) {
			return
		}
	}
}

// look asks for the log starts of both sides and the ends of the targets, and
// decides what is compared.
func (j *Job) look(ctx context.Context, streams []*stream) {
	at, to := places(streams)
	v := j.facts.View()
	sourceHeads, badSources := askOffsets(ctx, j.link.source, at, kafka.ReadUncommitted, kafka.Earliest)
	targetHeads, badTargets := askOffsets(ctx, j.link.target, to, kafka.ReadUncommitted, kafka.Earliest)
	ends, badEnds := askOffsets(ctx, j.link.target, to, kafka.ReadUncommitted, kafka.Latest)
	var lost []*loss
	for i, s := range streams {
		x := seen{task: v.Task(s.task)}
		x.source, x.target, x.sourceHead, x.targetHead, x.targetNow = s.sourceEnd, s.targetEnd, sourceHeads[at[i]], targetHeads[to[i]], ends[to[i]]
		if x.task != nil {
			x.start = x.task.Copy.Start
		}
		switch {
		case badSources[at[i]] != nil:
			s.err = fmt.Errorf("asking the source: %w", badSources[at[i]])
		case x.task == nil || x.task.Copy.Mapping == nil:
			x.behind = max(0, x.source-max(x.start, x.sourceHead))
		case badTargets[to[i]] != nil:
			s.err = fmt.Errorf("asking the target: %w", badTargets[to[i]])
		case badEnds[to[i]] != nil:
			s.err = fmt.Errorf("asking the target: %w", badEnds[to[i]])
		default:
			s.err = j.sameTopics(ctx, s, x.task.Copy.Mapping)
			x.mapping = offsets.Translate(x.task.Copy.Mapping)
			if l := lossOf(s, &x); l != nil {
				lost = append(lost, l)
			}
		}
		s.seen = x
	}
	j.due(ctx, lost)
	for _, l := range lost {
		l.stream.seen.ends.due, l.stream.seen.unsure = l.due, l.unsure
	}
	for _, s := range streams {
		if s.err == nil {
			s.seen.decide()
		}
	}
}

// places are the partitions of streams at both sides.
func places(streams []*stream) (at, to []catalog.Partition) {
	for _, s := range streams {
		at, to = append(at, s.source()), append(to, s.target())
	}
	return at, to
}

// lossOf is what the target of a stream has not any more and the source may
// have, nil: nothing.
func lossOf(s *stream, x *seen) *loss {
	gone := x.mapping.From(0, x.targetHead)
	if x.mapping.Source(x.targetHead) <= max(x.start, x.sourceHead) {
		return nil
	}
	return &loss{stream: s, gone: gone}
}

// sameTopics checks that the topics are those that the mapping is about: where
// nothing of them has to be read, nothing else would tell.
func (j *Job) sameTopics(ctx context.Context, s *stream, m *fsm.Mapping) error {
	for _, side := range []struct {
		kafka *catalog.Cluster
		catalog.Partition
		id fsm.TopicID
	}{{j.link.source, s.source(), m.SourceTopicID}, {j.link.target, s.target(), m.TargetTopicID}} {
		at, err := side.kafka.Find(ctx, side.Topic, side.Number, false)
		if err != nil {
			return fmt.Errorf("looking %s/%d up: %w", side.Topic, side.Number, err)
		}
		if at.TopicID != side.id && at.TopicID != [16]byte{} && side.id != (fsm.TopicID{}) {
			return fmt.Errorf("topic %s: %w", side.Topic, errTopicChanged)
		}
	}
	return nil
}

// loss is about a stream whose target has lost what stood at its start.
type loss struct {
	stream *stream
	gone   int64 // source offset below which the target has nothing
	due    int64 // source offset below which the source's retention deletes it too
	unsure error // why that could not be found out: all of it counts as due
}

// due finds out what the source's own retention deletes, of all streams in one
// request to each broker.
func (j *Job) due(ctx context.Context, list []*loss) {
	var sized []catalog.Partition
	for _, l := range list {
		if l.stream.keeps.bySize() {
			sized = append(sized, l.stream.target())
		}
	}
	bytes, unsized := sizes(ctx, j.link.target, sized)
	now := time.Now()
	byAge := map[int64][]*loss{}
	for _, l := range list {
		k, to := l.stream.keeps, l.stream.target()
		if k.bySize() && (unsized[to] != nil || bytes[to] >= k.bytes) {
			l.due, l.unsure = l.gone, unsized[to]
			continue
		}
		if ms, ok := k.before(now); ok {
			byAge[ms] = append(byAge[ms], l)
		}
	}
	for ms, list := range byAge {
		var at []catalog.Partition
		for _, l := range list {
			at = append(at, l.stream.source())
		}
		young, failed := askOffsets(ctx, j.link.source, at, kafka.ReadUncommitted, ms)
		for i, l := range list {
			l.due, l.unsure = l.gone, failed[at[i]]
			if l.unsure == nil && young[at[i]] >= 0 { // else no record is that young
				l.due = min(young[at[i]], l.gone)
			}
		}
	}
}
