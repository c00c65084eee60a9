package verify

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/fsm"
	"sluice/kafka/catalog"
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

// link is what a comparison needs to know of the link.
type link struct {
	source, target *catalog.Cluster
	shared         bool           // others write to the target too
	skip           map[int64]bool // producer ids that it does not copy
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

func (s *stream) source() catalog.Partition {
	return catalog.Partition{Topic: s.key.Topic, Number: s.key.Partition}
}

func (s *stream) target() catalog.Partition {
	return catalog.Partition{Topic: s.key.TargetTopic, Number: s.key.Partition}
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

	link link

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
