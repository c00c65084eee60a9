package recovery

import (
	"sluice/fsm"
	"sluice/replication/offsets"
)

// Situation is all that a stream's next step rests on. What is nil has not
// been gathered: Next says when it is needed.
type Situation struct {
	Task   *fsm.Copy     // as the facts have it now
	Spec   *fsm.LinkSpec // of its link
	Memory Memory

	Fault  *Fault // what this is about; nil: the stream is to be opened
	Failed *Fault // what kept the last Gather or Commit from being done

	Now        int64 // unix ms
	Expiration int64 // ms after which the target forgets an idle producer; 0: unknown
	ProducerID int64 // the link's at the target, -1: none yet

	Owner      Ownership
	Places     *Places
	Log        *TargetLog
	Source     *SourceLog
	NewID      *int64  // an unused producer id
	EpochEnd   *int64  // where the source's leader epoch of the checkpoint ended, -1: it does not know that one
	Difference *int64  // first source offset whose record the target does not hold where it should, -1: none
	Ours       []Batch // our batches behind what is known; nil: not gathered
	Aligned    *Alignment
	Gaps       Gaps
	Heads      bool // the head that a source has lost may be filled at the target
	Waited     bool // no request of an earlier life can be appended any more
}

// Gaps is what the next step of a stream rests on whose gaps are, or may be,
// filled.
type Gaps struct {
	Fills  bool   // gaps of transactions may be filled
	Fenced bool   // nobody else fills gaps, and nothing of that is under way
	Kept   *int64 // where the leader epoch of the checkpoint ended at the target, -1: not known
	Data   *LastData
	Ahead  *Ahead
}

// LastData is what a look back from the target's log end found.
type LastData struct {
	Ours  *Tail // our last batch; nil: none there
	Other *Tail // a batch that is neither ours nor a filler's, behind it or where all was looked at; nil: none
}

// Ahead is what the source holds from an offset on that is known.
type Ahead struct {
	Data   bool  // there is a record to copy
	Offset int64 // its offset, or up to where there is none
}

// Memory is what this owner knows of the stream beside the facts.
type Memory struct {
	Version   uint32        // of the mapping that Last lies in, 0: none
	Last      fsm.Progress  // acknowledged by this process, or the checkpoint
	Unsaved   []fsm.Segment // known and perhaps not in the facts yet
	Unacked   []Batch       // sent by the last pipe and not known to be written, in order
	Misplaced []Misplacement
	Refused   int64 // target offset at which the broker refused our sequence, -1: it did not
	Singly    int64 // target offset below which batches are not merged
	Attempts  int   // faults in a row without progress
	Fits      int   // bytes of a batch that the target takes, as far as it has refused larger ones; 0: it has not
	Looked    int64 // unix ms when both topics were last asked for

	OldRequests bool // a request of an earlier owner or connection may still be appended

	// Kept is where the target's log ended before it was fenced, while no position
	// has been derived since; nil: it was not. To fence may have added a marker, even
	// over what the log had lost.
	Kept *int64
}

// Fenced notes that nobody else fills gaps now; the target's log ended at end before.
func (m *Memory) Fenced(end int64) {
	if m.Kept == nil || end < *m.Kept {
		m.Kept = &end
	}
}

// Batch is one of ours, without its bytes.
type Batch struct {
	Sequence int32         // of its first record
	Target   int64         // offset where it stands, or should
	Count    int32         // records
	Next     int64         // source offset behind it
	Segments []fsm.Segment // that begin in it
}

// End is the target offset behind the batch.
func (b *Batch) End() int64 { return b.Target + int64(b.Count) }

// Misplacement is a batch that the broker put elsewhere than expected.
type Misplacement struct {
	Batch
	At int64 // where it stands
}

// Ownership is what a leader said about who owns the stream.
type Ownership uint8

// The answers.
const (
	OwnerUnasked Ownership = iota
	OwnerConfirmed
	OwnerLost
	OwnerUnknown // no leader could be asked
)

func (o Ownership) String() string { return [...]string{"unasked", "confirmed", "lost", "unknown"}[o] }

// Places are the topic ids of both sides.
type Places struct{ Source, Target fsm.TopicID }

// TargetLog is one agreed reading of the target partition.
type TargetLog struct {
	Observed
	High int64 // high watermark
}

// SourceLog is how far the source partition reaches.
type SourceLog struct {
	First int64 // log start
	End   int64 // high watermark
}

// adopted takes over a checkpoint that came after this stream began: the last
// words of whoever ran it before, at the same turn.
func (m Memory) adopted(t *fsm.Copy) Memory {
	if t.Mapping == nil {
		return m
	}
	if p := t.Progress; m.Version <= t.Mapping.Version && p.Target > m.Last.Target && p.Source >= m.Last.Source {
		m.Last, m.Version = p, t.Mapping.Version
	}
	return m
}

// known gives the source offset for a target log end from what this process
// sent.
func (m *Memory) known(target int64) (int64, bool) {
	if m.Last.Target == target && m.Last.Source >= 0 {
		return m.Last.Source, true
	}
	for i := range m.Unacked {
		if m.Unacked[i].End() == target {
			return m.Unacked[i].Next, true
		}
	}
	return 0, false
}

// settled is the progress at a derived position, and the segments of what
// turned out to be written; epoch is the source's leader epoch before it.
func (m *Memory) settled(pos Position, epoch int32, now int64) (fsm.Progress, []fsm.Segment) {
	var segments []fsm.Segment
	for _, b := range m.Unacked {
		if b.Target >= m.Last.Target && b.End() <= pos.Target {
			segments = append(segments, b.Segments...)
		}
	}
	p := m.Last
	p.SourceEpoch = epoch
	if p.Target != pos.Target {
		p.TargetEpoch = -1
		p.Records = max(0, p.Records+pos.Target-p.Target)
	}
	p.Source, p.Target, p.At = pos.Source, pos.Target, now
	return p, segments
}

// derive says where the stream goes on, by what was gathered.
func (s *Situation) derive() Position {
	return Derive(s.Task.Mapping, s.Memory.Last, s.Log.Observed, s.Memory.known)
}

// guarded reports whether the broker surely still holds our producer state.
func (s *Situation) guarded(pos Position) bool {
	return offsets.Guarded(pos.LastTime, s.Now, s.Expiration)
}

// progressAt is progress without a known leader epoch.
func (s *Situation) progressAt(source, target, records int64) fsm.Progress {
	return fsm.Progress{Source: source, Target: target, SourceEpoch: -1, TargetEpoch: -1, Records: records, At: s.Now}
}

// successor is a copy of the mapping with the next version, safe to append to.
// It holds the segments too that were not checkpointed under the old one, up to
// the last position: under the new one they would not be any more.
func (s *Situation) successor() fsm.Mapping {
	old := s.Task.Mapping
	m := *old
	m.Version++
	m.Segments = append([]fsm.Segment(nil), old.Segments...)
	for _, seg := range s.Memory.Unsaved {
		reached := seg.Source <= s.Memory.Last.Source && seg.Target <= s.Memory.Last.Target
		if last := m.Segments[len(m.Segments)-1]; old.Phase == fsm.PhaseTranslated && reached && seg.Source > last.Source && seg.Target >= last.Target {
			m.Segments = append(m.Segments, seg)
		}
	}
	return m
}

// sourceOf gives the source offset of the next record when ours is the
// mapping's target offset behind our last record.
func (s *Situation) sourceOf(ours int64) (int64, bool) {
	if s.Task.Mapping.Phase == fsm.PhaseDense {
		return offsets.Source(s.Task.Mapping, ours), true
	}
	return s.Memory.known(ours)
}

// notYet waits with an order that cannot be carried out: finding that out has
// asked both Kafka clusters.
func (s *Situation) notYet(why string) Step {
	return Wait{Code: s.Task.Stop.Code, Message: "cannot go on yet: " + why, For: min(orderPoll<<max(0, min(s.Memory.Attempts-1, 10)), orderPollMost), Tried: true}
}

// Basis is the mapping by which the target is read: the stream's, or of a stream
// that has none and was taken over, the producer id under which it was copied.
func Basis(s *Situation) *fsm.Mapping {
	if s.Task.Mapping == nil && s.Task.Unsure {
		return &fsm.Mapping{ProducerID: s.ProducerID}
	}
	return s.Task.Mapping
}
