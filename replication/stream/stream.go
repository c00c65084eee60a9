package stream

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/replication/filler"
	"sluice/replication/filter"
	"sluice/replication/pipe"
	"sluice/replication/recovery"
	"sluice/replication/wire"
	"sluice/task"
)

// Stream runs one copy task: one goroutine, which owns all but progress.
type Stream struct {
	assigned *assignment
	cfg      *Config
	log      *slog.Logger
	logs     *logs          // nil: the link is gone
	filler   *filler.Filler // of gaps, since it was last opened; nil: none is needed
	conns    *wire.Conns
	limit    *wire.Limiter
	share    *wire.Share // of the target's memory
	counts   *counts

	ctx    context.Context
	cancel context.CancelFunc
	drain  chan struct{} // closed: finish what is in flight, then end
	once   sync.Once
	done   chan struct{}

	progress *progress
	memory   recovery.Memory // but for what progress holds of it
	fault    *recovery.Fault // what ended the last pipe; nil: nothing to be decided about
	oldUntil time.Time       // until then an old request may be appended, where memory says that there are any
	seen     time.Time       // when the target's log was last read
	over     bool            // it is another node's now
}

var _ task.Running = (*Stream)(nil)

// Task returns the id of the stream's task.
func (s *Stream) Task() fsm.TaskID { return s.assigned.id }

// Done implements task.Running.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Drain implements task.Running: it asks the stream to finish what is in
// flight, hand in its last progress, and end.
func (s *Stream) Drain() { s.once.Do(func() { close(s.drain) }) }

// Measure returns the stream's measurement.
func (s *Stream) Measure() Measurement { return s.progress.measure() }

// Status implements task.Running.
func (s *Stream) Status() task.Status {
	m := s.progress.measure()
	out := task.Status{State: m.State, Message: m.Message, Rate: m.BytesPerS, Lag: task.Lag{Records: m.LagRecords, Millis: m.LagMs}}
	if m.Filtered != nil {
		out.Detail, _ = json.Marshal(detail{m.Filtered}) // three numbers
	}
	return out
}

// detail is what the status of a filtered stream tells beside the rest.
type detail struct {
	Filtered *filter.Counts `json:"filtered"`
}

// report hands in what may be checkpointed.
func (s *Stream) report() { s.progress.report(s.assigned.ctl, s.assigned.id, s.assigned.turn) }

func (s *Stream) ending() bool {
	select {
	case <-s.drain:
		return true
	default:
		return s.ctx.Err() != nil || s.over
	}
}

// pause waits, or less when the stream is to end.
func (s *Stream) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.drain:
	case <-s.ctx.Done():
	}
}

// situation is what this node knows; nothing is gathered yet.
func (s *Stream) situation(t *fsm.Task) recovery.Situation {
	sit := recovery.Situation{
		Task: t.Copy, Spec: s.assigned.spec(), Memory: s.progress.memory(s.memory), Fault: s.fault, Now: s.assigned.now(), ProducerID: -1,
	}
	v := s.assigned.ctl.View()
	if l := v.Link(t.Link); l != nil {
		sit.ProducerID, sit.Gaps.Fills = l.ProducerID, fsm.Fills(v, &l.Spec)
	}
	sit.Heads = fsm.FillsHeads(v)
	return sit
}

// faulted notes what the next round is about.
func (s *Stream) faulted(f recovery.Fault) {
	s.fault = &f
	s.memory.Attempts++
	s.log.Debug("stream has a fault", "kind", f.Kind, "fault", f.Error(), "attempts", s.memory.Attempts)
}

// lifetimes are those of requests at a target.
func (c *Config) lifetimes() recovery.Lifetimes {
	return recovery.Lifetimes{Lease: c.Lease, Request: c.Lifetime, Guarded: pipe.Window * c.Timeout}
}

// expectOldRequests: a request may still be appended within d; 0: none may
// beside those that are known. Should that matter, it is waited for.
func (s *Stream) expectOldRequests(d time.Duration) {
	if d == 0 {
		return
	}
	s.memory.OldRequests = true
	if until := time.Now().Add(d); until.After(s.oldUntil) {
		s.oldUntil = until
	}
}
