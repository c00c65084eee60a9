package replication

import (
	"sync/atomic"
	"time"

	"sluice/fsm"
)

// Measurement is what a stream's owner tells all nodes every second.
type Measurement struct {
	State      fsm.Code
	Message    string
	Phase      fsm.Phase
	LagRecords int64 // offsets between the position and the source's last stable offset, -1: unknown
	LagMs      int64 // age of the last copied record while there is lag, -1: unknown
	Bytes      int64 // acknowledged by this stream in this process, counts up
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

// Progress returns what may be checkpointed, and whether there is anything:
// a position is, once the target's high watermark has passed it.
func (s *Stream) Progress() (fsm.ProgressItem, bool) {
	s.mu.Lock()
	f, it, held := s.flow, fsm.ProgressItem{Task: s.id, Turn: s.turn, Version: s.version, Progress: s.last, Segments: s.segments}, s.held
	s.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		if f.acked.Target > it.Progress.Target {
			it.Progress, held = f.acked, false
		}
		it.Segments = append(it.Segments[:len(it.Segments):len(it.Segments)], f.segments...)
		f.mu.Unlock()
	}
	return it, !held && it.Version > 0
}

// Checkpointed tells the stream that the progress is in the FSM.
func (s *Stream) Checkpointed(it fsm.ProgressItem) {
	upTo := int64(-1)
	if n := len(it.Segments); n > 0 {
		upTo = it.Segments[n-1].Source
	}
	cut := func(segs []fsm.Segment) []fsm.Segment {
		for len(segs) > 0 && segs[0].Source <= upTo {
			segs = segs[1:]
		}
		return segs
	}
	s.mu.Lock()
	s.segments = cut(s.segments)
	f := s.flow
	s.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		f.segments = cut(f.segments)
		f.mu.Unlock()
	}
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
	m.Phase, m.Source, m.Target, m.Records, m.Bytes = f.m.Phase, f.acked.Source, f.acked.Target, f.acked.Records, f.ackBytes
	if f.high < 0 {
		return m
	}
	now := f.s.r.now()
	m.LagRecords = max(0, f.high-f.acked.Source)
	switch {
	case m.LagRecords == 0:
		m.LagMs = 0
		if now.Sub(f.lastMove) > 10*time.Second {
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

// stats counts over all streams of the node.
type stats struct {
	records, bytes, batches atomic.Int64
}

func (st *stats) acked(it *item, _ time.Time) {
	st.records.Add(int64(it.count))
	st.bytes.Add(int64(len(it.batch)))
	st.batches.Add(1)
}
