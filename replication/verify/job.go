package verify

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/filter"
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
	Done      State = "done" // came to its end; Result.Verdict says how it came out
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Status is what a job shows at one moment.
type Status struct {
	ID         string
	Request    Request
	State      State
	Err        string // why it failed, or was cancelled
	Started    time.Time
	Finished   time.Time // zero: not yet
	Partitions int       // whose streams are compared
	Done       int       // partitions that are done with
	Records    int64     // compared so far
	Offsets    int64     // source offsets passed so far, of Total
	Total      int64     // grows while the first partitions are looked at
	Result     Result    // its LeftOut and Ranges once the job is done
}

// Facts gives the replicated facts.
type Facts interface {
	View() *fsm.View
}

// link is what a comparison needs to know of the link.
type link struct {
	source, target *catalog.Cluster
	skip           map[int64]bool // producer ids that it does not copy
	alone          bool           // nobody else may write to its targets
	filter         *filter.Filter // nil: it copies all, as it is
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
	cancel   context.CancelCauseFunc
	idle     *time.Timer // ends the job that nobody asks about
	rooms    rooms

	link    link
	compile func(*fsm.Filter) (*filter.Filter, error)

	mu       sync.Mutex
	state    State
	err      error
	finished time.Time
	streams  []*stream
	book     book
	ended    chan struct{}
}

// ErrNoLink says that there is nothing to compare.
var ErrNoLink = errors.New("no such link")

// errAbandoned ends a job.
var errAbandoned = errors.New("nobody asked how it goes")

// Status returns how the job goes.
func (j *Job) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Status{
		ID: j.id, Request: j.request, State: j.state, Started: j.started, Finished: j.finished,
		Partitions: len(j.streams), Done: j.book.done, Result: j.book.result(j.state == Done),
	}
	if j.err != nil {
		s.Err = kafka.Explain(j.err)
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

// asked lets the job go on for as long again.
func (j *Job) asked(again time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state == Running {
		j.idle.Reset(again)
	}
}

// Ended is closed when the job has ended.
func (j *Job) Ended() <-chan struct{} { return j.ended }
