package recovery

import (
	"fmt"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// Producer is what the target's leader knows of our producer id.
type Producer struct {
	Epoch         int16
	LastSequence  int32
	LastTimestamp int64 // ms, max timestamp of its last batch; -1: none
}

// Tail is the header of the last batch before the target's log end.
type Tail struct {
	ProducerID    int64
	Epoch         int16
	BaseOffset    int64
	BaseSequence  int32
	Count         int32
	MaxTimestamp  int64 // ms
	LastOffset    int64
	Transactional bool
}

// Observed is one agreed reading of a target partition.
type Observed struct {
	LogStart int64
	LogEnd   int64     // of the current leader epoch, not the high watermark
	Producer *Producer // nil: the leader holds no state of ours, or cannot describe it
	Tail     *Tail     // read where Producer is nil; nil: not read, or no batch is left in the log
}

// Outcome says what a reading of the target means.
type Outcome uint8

// The outcomes.
const (
	Found      Outcome = iota // go on at Position
	NeedTail                  // read the tail's header and derive again
	LostAcked                 // found, but acknowledged records are gone from the target: copy them again
	RaiseEpoch                // the log ends where this producer epoch has no sequence: a new epoch is needed
	Foreign                   // records that are not ours stand in the target
	Unknown                   // a translated stream whose target moved past every known position
	Truncated                 // the log ends before the stream's first record
)

// Position is where a stream goes on.
type Position struct {
	Outcome  Outcome
	Source   int64 // next source offset
	Target   int64 // the target's log end: next base offset to expect
	Sequence int32 // of the next record
	LastTime int64 // ms, max timestamp of our last batch in the log, -1: none or unknown
	From, To int64 // target range that LostAcked, Foreign, Unknown or Truncated is about
	Ours     int64 // Foreign: target offset up to which our own records were written, -1: not known
	Detail   string
}

// Derive says where a stream goes on, given its mapping, its checkpoint and a
// reading of the target. known gives the source offset for a log end from
// what this process itself sent, and may be nil. Two owners that see the same
// log get the same answer.
//
// Source of the rules: docs/explanation/exactly-once.md.
func Derive(m *fsm.Mapping, p fsm.Progress, o Observed, known func(target int64) (source int64, ok bool)) Position {
	first := m.Segments[0].Target
	pos := Position{Target: o.LogEnd, Sequence: offsets.Sequence(m, o.LogEnd), LastTime: -1, From: -1, To: -1, Ours: -1}
	if o.LogEnd < first {
		pos.Outcome, pos.From, pos.To = Truncated, o.LogEnd, first
		pos.Detail = fmt.Sprintf("the target's log ends at %d, before the stream's start %d", o.LogEnd, first)
		return pos
	}
	if m.Phase == fsm.PhaseDense && offsets.Mixed(m, o.LogEnd) {
		pos.Outcome, pos.From, pos.To = Unknown, o.LogEnd, max(p.Target, m.SequenceZero)
		pos.Detail = fmt.Sprintf("the target's log ends at %d, among another writer's records", o.LogEnd)
		return pos
	}
	if done := pos.checkWriter(m, p, o); done {
		return pos
	}
	src, ok := sourceAt(m, p, o.LogEnd, known)
	if !ok {
		pos.Outcome, pos.From, pos.To = Unknown, p.Target, o.LogEnd
		pos.Detail = fmt.Sprintf("the target's log ends at %d, the checkpoint at %d, and a translated stream cannot be counted", o.LogEnd, p.Target)
		return pos
	}
	pos.Source = src
	if p.Target > o.LogEnd {
		pos.Outcome, pos.From, pos.To = LostAcked, o.LogEnd, p.Target
		pos.Detail = fmt.Sprintf("the target acknowledged up to %d and ends at %d now", p.Target, o.LogEnd)
	}
	return pos
}

// sourceAt finds the source offset for a log end. While every segment is
// committed before its data (dense) the mapping alone gives it.
func sourceAt(m *fsm.Mapping, p fsm.Progress, end int64, known func(int64) (int64, bool)) (int64, bool) {
	if m.Phase == fsm.PhaseDense {
		return offsets.Source(m, end), true
	}
	if known != nil {
		if src, ok := known(end); ok {
			return src, true
		}
	}
	if p.Target == end && p.Source >= 0 {
		return p.Source, true
	}
	last := m.Segments[len(m.Segments)-1]
	if end <= last.Target && p.Target < 0 {
		return offsets.Source(m, end), true
	}
	return 0, false
}

// checkWriter checks that the last record before the log end is ours and the
// one that the mapping says; true when the position is decided by that.
func (pos *Position) checkWriter(m *fsm.Mapping, p fsm.Progress, o Observed) bool {
	if o.Producer != nil {
		return pos.checkState(m, p, o)
	}
	if o.LogEnd == m.Segments[0].Target && o.LogEnd == m.SequenceZero {
		return false // nothing of this stream is in the log
	}
	if o.Tail == nil {
		if o.LogStart >= o.LogEnd {
			return pos.emptyLog(m, p, o)
		}
		pos.Outcome = NeedTail
		return true
	}
	return pos.checkTail(m, p, o)
}

// emptyLog judges a log whose every batch retention took: only the checkpoint
// can vouch for its end.
func (pos *Position) emptyLog(m *fsm.Mapping, p fsm.Progress, o Observed) bool {
	if p.Target == o.LogEnd || o.LogEnd == m.SequenceZero {
		return false
	}
	if o.LogEnd < m.SequenceZero {
		pos.Outcome = RaiseEpoch
		return true
	}
	pos.foreign(max(p.Target, m.Segments[0].Target), o.LogEnd, -1, "the target is empty and ends where no checkpoint is")
	return true
}

func (pos *Position) checkState(m *fsm.Mapping, p fsm.Progress, o Observed) bool {
	s := o.Producer
	pos.LastTime = s.LastTimestamp
	switch {
	case s.Epoch > m.ProducerEpoch:
		pos.foreign(-1, o.LogEnd, -1, fmt.Sprintf("the target has seen producer epoch %d of this stream, which is known to be at %d", s.Epoch, m.ProducerEpoch))
		return true
	case s.Epoch < m.ProducerEpoch:
		// The raised epoch has written nothing yet.
		switch {
		case o.LogEnd < m.SequenceZero:
			pos.Outcome = RaiseEpoch
			return true
		case o.LogEnd > m.SequenceZero:
			pos.foreign(m.SequenceZero, o.LogEnd, m.SequenceZero, "records follow the place where our raised producer epoch begins")
			return true
		}
		pos.LastTime = -1
		return false
	}
	next := s.LastSequence + 1
	if s.LastSequence == 1<<31-1 {
		next = 0
	}
	if next == offsets.Sequence(m, o.LogEnd) {
		return false
	}
	ours := offsets.OffsetOf(m, next, o.LogEnd)
	if ours > o.LogEnd {
		pos.Outcome = RaiseEpoch
		pos.Detail = "the leader's producer state is ahead of its log"
		return true
	}
	if ours < p.Target && p.Target <= o.LogEnd {
		ours = p.Target // a repeat of what is known stands behind it
	}
	pos.foreign(ours, o.LogEnd, ours, fmt.Sprintf("our last record stands before %d, the log ends at %d", ours, o.LogEnd))
	return true
}

func (pos *Position) checkTail(m *fsm.Mapping, p fsm.Progress, o Observed) bool {
	t := o.Tail
	ours := t.ProducerID == m.ProducerID && !t.Transactional
	switch {
	case ours && t.Epoch == m.ProducerEpoch && o.LogEnd >= m.SequenceZero &&
		t.BaseOffset >= m.SequenceZero && t.BaseSequence == offsets.Sequence(m, t.BaseOffset) && t.LastOffset+1 == o.LogEnd:
		pos.LastTime = t.MaxTimestamp
		return false
	case o.LogEnd == m.SequenceZero:
		return false // the epoch was raised here, behind whatever it is, and has written nothing
	case o.LogEnd < m.SequenceZero && (ours || begins(m, o.LogEnd)):
		pos.Outcome = RaiseEpoch
		return true
	}
	from := min(max(p.Target, m.Segments[0].Target), o.LogEnd)
	pos.foreign(from, o.LogEnd, -1, fmt.Sprintf("the last batch of the target (offsets %d to %d, producer id %d epoch %d sequence %d) is not as ours would be",
		t.BaseOffset, t.LastOffset, t.ProducerID, t.Epoch, t.BaseSequence))
	return true
}

// begins reports whether a segment begins at the target offset.
func begins(m *fsm.Mapping, target int64) bool {
	for _, s := range m.Segments {
		if s.Target == target {
			return true
		}
	}
	return false
}

func (pos *Position) foreign(from, to, ours int64, detail string) {
	pos.Outcome, pos.From, pos.To, pos.Ours, pos.Detail = Foreign, from, to, ours, detail
}
