package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/kafka"
)

// Request says what to compare.
type Request struct {
	Link      string
	Topics    []string // source topics; empty: all of the link
	MaxFaults int      // how many faults are kept of all, 0: 20; all are counted
}

// State is where a job is.
type State string

// The states.
const (
	Running   State = "running"
	Done      State = "done" // compared to the end; Result.Equal says how it came out
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Status is what a job shows at one moment.
type Status struct {
	ID         string
	Request    Request
	State      State
	Err        string // why it failed
	Started    time.Time
	Finished   time.Time // zero: not yet
	Partitions int
	Compared   int   // partitions that are done with
	Records    int64 // compared so far
	Offsets    int64 // source offsets passed so far, of Total
	Total      int64 // grows while the first partitions are looked at
	Result     Result
}

// Result is what a job found so far.
type Result struct {
	Counts
	Faults []Fault // the first ones, by topic, partition and offset
}

// Equal reports whether both sides are equal as far as they were compared.
func (r *Result) Equal() bool { return r.Counts.Equal() }

// Facts gives the replicated facts.
type Facts interface {
	View() *fsm.View
}

// Job is one comparison.
type Job struct {
	id       string
	request  Request
	facts    Facts
	limits   Limits
	seed     maphash.Seed
	started  time.Time
	deadline time.Time // until when the target is waited for
	cancel   context.CancelFunc

	source, target side
	skip           map[int64]bool

	mu       sync.Mutex
	state    State
	err      error
	finished time.Time
	streams  []*stream
	counts   Counts
	faults   []Fault
	compared int
	ended    chan struct{}
}

// ErrNoLink and ErrNoStreams say that there is nothing to compare.
var (
	ErrNoLink    = errors.New("no such link")
	ErrNoStreams = errors.New("the link has no such streams")
)

// Status returns how the job goes.
func (j *Job) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Status{
		ID: j.id, Request: j.request, State: j.state, Started: j.started, Finished: j.finished,
		Partitions: len(j.streams), Compared: j.compared,
		Result: Result{Counts: j.counts, Faults: slices.Clone(j.faults)},
	}
	if j.err != nil && j.state == Failed {
		s.Err = j.err.Error()
	}
	for _, st := range j.streams {
		s.Records += st.records.Load()
		s.Offsets += st.at.Load()
		total := st.total.Load()
		if total < 0 { // not looked at yet
			total = st.sourceEnd
		}
		s.Total += total
	}
	return s
}

// Ended is closed when the job has ended.
func (j *Job) Ended() <-chan struct{} { return j.ended }

// run is the whole job.
func (j *Job) run(ctx context.Context, clients Clients) {
	err := j.prepare(ctx, clients)
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
func (j *Job) prepare(ctx context.Context, clients Clients) error {
	v := j.facts.View()
	link := v.LinkNamed(j.request.Link)
	if link == nil {
		return fmt.Errorf("%w: %s", ErrNoLink, j.request.Link)
	}
	j.skip = v.LoopIDs(&link.Spec)
	streams := streamsOf(v, link, j.request.Topics)
	if len(streams) == 0 {
		return fmt.Errorf("%w: %s", ErrNoStreams, j.request.Link)
	}
	var source, target []string
	for _, s := range streams {
		source, target = append(source, s.key.Topic), append(target, s.key.TargetTopic)
	}
	open := func(name string, topics []string) (side, error) {
		spec := v.KafkaCluster(name)
		if spec == nil {
			return side{}, fmt.Errorf("no Kafka cluster %s", name)
		}
		client, err := clients.Client(ctx, *spec)
		if err != nil {
			return side{}, err
		}
		slices.Sort(topics)
		return newSide(ctx, client, slices.Compact(topics))
	}
	var err error
	if j.source, err = open(link.Spec.Source, source); err != nil {
		return fmt.Errorf("reaching the source: %w", err)
	}
	if j.target, err = open(link.Spec.Target, target); err != nil {
		return fmt.Errorf("reaching the target: %w", err)
	}
	j.takeEnds(ctx, streams)
	j.mu.Lock()
	j.streams = streams
	j.mu.Unlock()
	return ctx.Err()
}

// takeEnds takes the target's ends first: what the target has then must come
// from the source up to the end that is read after.
func (j *Job) takeEnds(ctx context.Context, streams []*stream) {
	var at, to []topicPartition
	for _, s := range streams {
		at = append(at, topicPartition{s.key.Topic, s.key.Partition})
		to = append(to, topicPartition{s.key.TargetTopic, s.key.Partition})
	}
	targets, badTargets := j.target.ends(ctx, to, kafka.ReadUncommitted)
	sources, badSources := j.source.ends(ctx, at, kafka.ReadCommitted)
	type answer struct {
		compacts bool
		err      error
	}
	topics := map[string]answer{}
	for i, s := range streams {
		s.sourceEnd, s.targetEnd = sources[at[i]], targets[to[i]]
		a, ok := topics[s.key.Topic]
		if !ok {
			a.compacts, a.err = j.compacts(ctx, s.key)
			topics[s.key.Topic] = a
		}
		s.compacted = a.compacts
		s.err = errors.Join(badSources[at[i]], badTargets[to[i]], a.err)
	}
}

// compacts reports whether either side removes records by their keys.
func (j *Job) compacts(ctx context.Context, key fsm.StreamKey) (bool, error) {
	for _, at := range []struct {
		side  *side
		topic string
	}{{&j.source, key.Topic}, {&j.target, key.TargetTopic}} {
		configs, err := at.side.client.TopicConfigs(ctx, at.topic)
		if err != nil {
			return false, err
		}
		for _, e := range configs {
			if e.Name == "cleanup.policy" && strings.Contains(e.Value, "compact") {
				return true, nil
			}
		}
	}
	return false, nil
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

// keep holds on to the first faults. Called with mu held.
func (j *Job) keep(faults []Fault) {
	j.faults = append(j.faults, faults...)
	slices.SortFunc(j.faults, func(a, b Fault) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return cmp.Compare(max(a.Source, a.Target), max(b.Source, b.Target))
	})
	j.faults = j.faults[:min(len(j.faults), j.request.MaxFaults)]
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
