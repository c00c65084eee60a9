package replication

import (
	"sync/atomic"
	"time"

	"sluice/fsm"
	"sluice/task"
)

// Measurement is what a stream knows of itself; its Status is a part of it.
type Measurement struct {
	State      fsm.Code
	Message    string
	Phase      fsm.Phase
	LagRecords int64 // offsets between the position and the source's last stable offset, -1: unknown
	LagMs      int64 // age of the last copied record while there is lag, -1: unknown
	BytesPerS  int64 // acknowledged, since the last call of Measure
	Records    int64 // copied in this generation
	Source     int64
	Target     int64
}

// progress is the stream's position as acknowledged so far.
func (s *Stream) progress() fsm.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// report hands what may be checkpointed to the control plane: a position may,
// once the target's high watermark has passed it. Segments are handed over
// once; the control plane keeps them until they are committed.
func (s *Stream) report() {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.mu.Lock()
	f, it, held := s.flow, fsm.ProgressItem{Task: s.id, Turn: s.turn, Version: s.version, Progress: s.last, Segments: s.segments}, s.held
	s.segments = nil
	s.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		held = held && f.acked.Target <= it.Progress.Target
		it.Progress = f.acked
		it.Segments = append(it.Segments[:len(it.Segments):len(it.Segments)], f.segments...)
		f.segments = nil
		f.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if held || it.Version == 0 || it.Version != s.version || it.Progress == s.reported && len(it.Segments) == 0 {
		s.segments = append(it.Segments, s.segments...)
		return
	}
	s.reported = it.Progress
	s.handed = append(s.handed, it.Segments...)
	if over := len(s.handed) - fsm.MaxSegments; over > 0 {
		s.handed = s.handed[over:]
	}
	s.r.ctl.Progress(it)
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

// Measure returns the stream's measurement.
func (s *Stream) Measure() Measurement {
	s.mu.Lock()
	m := Measurement{State: s.state, Message: s.message, LagRecords: -1, LagMs: -1, Source: s.last.Source, Target: s.last.Target, Records: s.last.Records}
	f := s.flow
	s.mu.Unlock()
	if f == nil {
		return m
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m.Phase, m.Source, m.Target, m.Records = f.m.Phase, f.acked.Source, f.acked.Target, f.acked.Records
	now := f.s.r.now()
	m.BytesPerS = f.rate.of(f.ackBytes, now)
	if f.high < 0 {
		return m
	}
	m.LagRecords = max(0, f.high-f.acked.Source)
	switch {
	case m.LagRecords == 0:
		m.LagMs = 0
		if now.Sub(f.lastMove) > 10*time.Second && m.State == fsm.CodeCopying {
			m.State = fsm.CodeIdle
		}
	case f.ackTime >= 0:
		m.LagMs = max(0, now.UnixMilli()-f.ackTime)
		if m.LagMs > 10_000 {
			m.State = fsm.CodeCatchingUp
		}
	}
	return m
}

// Status implements task.Running.
func (s *Stream) Status() task.Status {
	m := s.Measure()
	return task.Status{State: m.State, Message: m.Message, Rate: m.BytesPerS, Lag: task.Lag{Records: m.LagRecords, Millis: m.LagMs}}
}

// stats counts over all streams of the node.
type stats struct {
	records, bytes, batches atomic.Int64
}

func (st *stats) acked(it *item) {
	st.records.Add(int64(it.count))
	st.bytes.Add(int64(len(it.batch)))
	st.batches.Add(1)
}

// Stats are counts over all streams of this node since it started.
type Stats struct {
	Records, Bytes, Batches int64 // acknowledged
}

// Stats returns the node's counts.
func (r *Runner) Stats() Stats {
	return Stats{Records: r.stats.records.Load(), Bytes: r.stats.bytes.Load(), Batches: r.stats.batches.Load()}
}
