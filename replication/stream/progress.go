package stream

import (
	"fmt"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/replication/filter"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/wire"
	"sluice/task"
	"sluice/words"
)

// progress is how far a stream is, what of it is not in the facts yet, and what
// it shows. The stream's goroutine changes it, the runner's and the cluster's
// read it. Its lock is taken before those of package wire.
type progress struct {
	mu        sync.Mutex
	open      *wire.Partition // nil: none
	last      fsm.Progress    // acknowledged before open began, or the checkpoint
	version   uint32          // of the mapping that last lies in
	fresh     []fsm.Segment   // not handed to the control plane yet
	handed    []fsm.Segment   // the last ones handed over under this mapping; perhaps not committed yet
	reported  fsm.Progress    // as last handed over
	unsettled bool            // last is not known to be replicated yet
	state     fsm.Code
	message   string
	rate      rate
	filtered  filtered
}

// filtered counts what a filter did with the stream's records.
type filtered struct {
	counts *counts // where they are counted with those of the topic's other streams; nil: the link has no filter
	topic  topicOf
	all    filter.Counts // since this node has the stream
	open   filter.Counts // of these, of the open pipe
}

// upTo brings the counts to those of the open pipe.
func (f *filtered) upTo(now filter.Counts) {
	if f.counts == nil {
		return
	}
	more := now.Minus(f.open)
	f.all, f.open = f.all.Plus(more), now
	f.counts.addFiltered(f.topic, more)
}

// shown are the counts for a person, nil: there is no filter.
func (f *filtered) shown() *filter.Counts {
	if f.counts == nil {
		return nil
	}
	all := f.all
	return &all
}

func newProgress(t *fsm.Task) *progress {
	p := &progress{state: fsm.CodeStarting, last: t.Copy.Progress, reported: t.Copy.Progress}
	if t.Copy.Mapping != nil {
		p.version = t.Copy.Mapping.Version
	}
	return p
}

// show publishes the stream's state.
func (p *progress) show(code fsm.Code, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.message = code, message
}

// tell shows how far a long reading of the logs is.
func (p *progress) tell(doing string, done, all int64) {
	p.show(fsm.CodeStarting, fmt.Sprintf("%s: %d of %s", doing, done, words.Count(all, "offset")))
}

// memory fills in what is kept here.
func (p *progress) memory(m recovery.Memory) recovery.Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Version, m.Last = p.version, p.last
	m.Unsaved = append(append([]fsm.Segment(nil), p.handed...), p.fresh...)
	return m
}

// opened notes that a pipe is open at a derived position; what a filter does with
// its records is counted in c, nil: the link has none.
func (p *progress) opened(at *wire.Partition, o recovery.Open, version uint32, c *counts, topic topicOf) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open, p.last, p.version, p.unsettled = at, o.Progress, version, o.Unreplicated
	p.fresh = append(p.fresh, o.Segments...)
	p.state, p.message, p.rate = fsm.CodeCopying, "", rate{}
	p.filtered.counts, p.filtered.topic, p.filtered.open = c, topic, filter.Counts{}
}

// close takes the pipe off its connections and returns how it ended.
func (p *progress) close() pipe.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.open.Close()
	p.open = nil
	p.filtered.upTo(r.Filtered)
	if r.Progress.Target > p.last.Target {
		p.unsettled = false
	}
	p.last, p.fresh = r.Progress, append(p.fresh, r.Segments...)
	return r
}

// committed notes a mapping that is in the facts now, with all that is known.
func (p *progress) committed(c *fsm.Copy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.version, p.fresh, p.handed = c.Progress, c.Mapping.Version, nil, nil
}

// unreplicated is the target offset that the high watermark has to pass before
// the position counts; false: it does already.
func (p *progress) unreplicated() (target int64, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Target, p.unsettled
}

func (p *progress) replicated() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsettled = false
}

// report hands what may be checkpointed to the control plane: a position may,
// once the target's high watermark has passed it. Segments are handed over
// once; the control plane keeps them until they are committed.
func (p *progress) report(to task.Reports, id fsm.TaskID, turn uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.last
	if p.open != nil {
		var segments []fsm.Segment
		at, segments = p.open.Checkpoint()
		p.filtered.upTo(p.open.Status().Filtered)
		p.fresh = append(p.fresh, segments...)
	}
	if p.unsettled && at.Target <= p.last.Target || p.version == 0 || at == p.reported && len(p.fresh) == 0 {
		return
	}
	to.Progress(fsm.ProgressItem{Task: id, Turn: turn, Version: p.version, Progress: at, Segments: p.fresh})
	p.handed = append(p.handed, p.fresh...)
	if over := len(p.handed) - fsm.MaxSegments; over > 0 {
		p.handed = p.handed[over:]
	}
	p.reported, p.fresh = at, nil
}

// rate measures bytes per second between two calls.
type rate struct {
	bytes int64
	at    time.Time
	last  int64
}

func (r *rate) of(bytes int64, now time.Time) int64 {
	if d := now.Sub(r.at); d >= 200*time.Millisecond {
		if !r.at.IsZero() {
			r.last = int64(float64(bytes-r.bytes) / d.Seconds())
		}
		r.bytes, r.at = bytes, now
	}
	return r.last
}

// Measurement is what a stream tells of itself.
type Measurement struct {
	State      fsm.Code
	Message    string
	Phase      fsm.Phase
	LagRecords int64 // offsets between the position and the source's last stable offset, -1: unknown
	LagMs      int64 // age of the last copied record while there is lag, -1: unknown
	BytesPerS  int64 // acknowledged, since the last call
	Records    int64 // copied in this generation
	Source     int64
	Target     int64
	Filtered   *filter.Counts // since this node has the stream; nil: the link has no filter, or no pipe was opened yet
}

// measure describes the stream now. A figure that is old or missing is unknown.
func (p *progress) measure() Measurement {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := Measurement{State: p.state, Message: p.message, LagRecords: -1, LagMs: -1, Source: p.last.Source, Target: p.last.Target, Records: p.last.Records}
	if p.open == nil {
		m.Filtered = p.filtered.shown()
		return m
	}
	now := time.Now()
	l := look{p.open.Sight(now), now}
	p.filtered.upTo(l.Filtered)
	m.Filtered = p.filtered.shown()
	m.Phase, m.Source, m.Target, m.Records = l.Phase, l.Progress.Source, l.Progress.Target, l.Progress.Records
	m.BytesPerS = p.rate.of(l.Bytes, now)
	m.LagRecords, m.LagMs = l.lag()
	if code, message := l.state(); p.state == fsm.CodeCopying || code != fsm.CodeIdle && code != fsm.CodeCopying {
		m.State, m.Message = code, message
	}
	return m
}
