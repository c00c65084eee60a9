package recovery

import (
	"fmt"
	"slices"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// A dense stream that has met a gap of a transaction has it filled: at the target
// a transaction of the stream's own takes the same offsets, so that everything
// behind it keeps its offset. Its log end tells no longer how many records were
// written. Where it goes on is told by its last batch in the log, which stands
// where the source's does; what follows that is filler, and the source tells how
// much of it there should be.

// filled says where a stream goes on whose gaps are filled. Whoever filled them
// before is fenced by then: what the target holds behind our last batch stays as
// it is.
func filled(s *Situation) (Position, Step) {
	if !s.Gaps.Fenced {
		return Position{}, Gather{What: NeedFence}
	}
	if epoch := s.Memory.Last.TargetEpoch; s.Gaps.Kept == nil && epoch >= 0 {
		return Position{}, Gather{What: NeedKept, Epoch: epoch}
	}
	m, log := s.Task.Mapping, s.Log
	pos := Position{Target: log.LogEnd, LastTime: -1, From: -1, To: -1, Ours: -1}
	segments := offsets.Until(m, kept(s))
	known, checked := knownPlace(s, segments)
	switch {
	case len(segments) == 0:
		first := m.Segments[0].Target
		pos.Outcome, pos.From, pos.To = Truncated, log.LogEnd, first
		pos.Detail = fmt.Sprintf("the target's log ends at %d, before the stream's start %d", log.LogEnd, first)
		return pos, nil
	case log.Producer != nil && log.Producer.Epoch > m.ProducerEpoch:
		pos.foreign(-1, log.LogEnd, -1, fmt.Sprintf("the target has seen producer epoch %d of this stream, which is known to be at %d", log.Producer.Epoch, m.ProducerEpoch))
		return pos, nil
	case log.High < log.LogEnd: // nobody may read it yet
		return pos, Restart{NotReplicated(false, log.High, log.LogEnd)}
	case s.Gaps.Data == nil:
		look := Gather{What: NeedData, From: max(segments[len(segments)-1].Target, log.LogStart), All: log.LogEnd}
		if checked {
			look.All = max(known.Target, log.LogStart)
		}
		if log.Producer != nil && checked { // whose state tells the next sequence
			look.From = look.All
		}
		return pos, look
	case s.Gaps.Data.Other != nil:
		o := s.Gaps.Data.Other
		pos.foreign(o.BaseOffset, log.LogEnd, -1, fmt.Sprintf("a batch of producer id %d stands at target offset %d", o.ProducerID, o.BaseOffset))
		return pos, nil
	}
	if ours := s.Gaps.Data.Ours; ours != nil && ours.Epoch > m.ProducerEpoch { // of a mapping that is not known
		pos.foreign(-1, log.LogEnd, -1, fmt.Sprintf("the target holds records of producer epoch %d of this stream, which is known to be at %d", ours.Epoch, m.ProducerEpoch))
		return pos, nil
	}
	at := known // or behind our last batch
	switch ours := s.Gaps.Data.Ours; {
	case ours != nil && ours.LastOffset < known.Target:
	case ours != nil:
		at = fsm.Segment{Source: ours.LastOffset + 1 - known.Shift(), Target: ours.LastOffset + 1}
	case log.LogStart > known.Target && !checked:
		pos.Outcome, pos.From, pos.To = Unknown, log.LogStart, log.LogEnd
		pos.Detail = "none of our records is left in the target to tell the position from"
		return pos, nil
	}
	nextSequence(s, &pos, at)
	pos.Source = at.Source
	if at.Target < log.LogEnd {
		if step := behindFiller(s, &pos, at); step != nil {
			return pos, step
		}
	}
	if lost := lostAcked(s); lost != "" && pos.Outcome == Found {
		pos.Outcome, pos.From, pos.To, pos.Detail = LostAcked, kept(s), s.Memory.Last.Target, lost
	}
	return pos, nil
}

// lostAcked says what the target has lost; empty: nothing that it acknowledged.
func lostAcked(s *Situation) string {
	p, end := s.Memory.Last.Target, kept(s)
	if p <= end {
		return ""
	}
	return fmt.Sprintf("the target acknowledged up to %d and ends at %d now", p, end)
}

// notConfirmed: sequences alone do not keep an owner of before from going on at a
// place that the log has grown over since. Only who owns the stream after the log
// was read may.
func notConfirmed(s *Situation) Step {
	switch s.Owner {
	case OwnerLost:
		return End{Lost("a leader says so")}
	case OwnerUnknown:
		return Wait{Code: fsm.CodeWaiting, Message: "no leader of the Sluice cluster can be asked whether the stream is still this node's", For: Backoff(s.Memory.Attempts), Tried: true}
	case OwnerUnasked, OwnerConfirmed:
	}
	return Gather{What: NeedOwner}
}

// kept is up to where the target's log is known to be as it was left: where it ends,
// where it ended before a fence, or where the leader epoch did that acknowledged the
// checkpoint. What stands behind it came later, and is filler.
func kept(s *Situation) int64 {
	end := s.Log.LogEnd
	if at := s.Memory.Kept; at != nil {
		end = min(end, *at)
	}
	if at := s.Gaps.Kept; at != nil && *at >= 0 && *at < s.Memory.Last.Target {
		end = min(end, *at)
	}
	return end
}

// knownPlace is the last place of which it is certain where it is at the source:
// the checkpoint, or where the last segment begins that the target holds.
func knownPlace(s *Situation, segments []fsm.Segment) (at fsm.Segment, checkpoint bool) {
	if len(segments) > 0 {
		at = segments[len(segments)-1]
	}
	if p := s.Memory.Last; at.Target <= p.Target && p.Target <= kept(s) {
		return fsm.Segment{Source: p.Source, Target: p.Target}, true
	}
	return at, false
}

// Unmoved reports whether the target is as a pipe left it that stands at p, and the
// max timestamp in ms of our last batch there.
func Unmoved(m *fsm.Mapping, p fsm.Progress, o Observed) (last int64, same bool) {
	if m.Filled {
		known := o.Producer != nil && o.Producer.Epoch == m.ProducerEpoch && o.LogEnd == p.Target
		if !known {
			return -1, false
		}
		return o.Producer.LastTimestamp, true
	}
	pos := Derive(m, p, o, nil)
	return pos.LastTime, pos.Outcome == Found && pos.Target == p.Target
}

// nextSequence finds the next sequence, or that there is none in this producer
// epoch.
func nextSequence(s *Situation, pos *Position, at fsm.Segment) {
	m, state, ours := s.Task.Mapping, s.Log.Producer, s.Gaps.Data.Ours
	logged := ours != nil && ours.Epoch == m.ProducerEpoch
	stated := state != nil && state.Epoch == m.ProducerEpoch
	if stated {
		pos.Sequence, pos.LastTime = offsets.NextSequence(state.LastSequence, 1), state.LastTimestamp
	}
	switch {
	case s.Log.LogEnd < m.SequenceZero:
		pos.Outcome, pos.Detail = RaiseEpoch, "the target lost even what the producer epoch before wrote"
	case logged:
		next := offsets.NextSequence(ours.BaseSequence, int32(ours.LastOffset-ours.BaseOffset)+1) // a cleaner may have taken records of it
		if stated && next != pos.Sequence {
			pos.Outcome, pos.Detail = RaiseEpoch, "the leader's producer state is not that of its log"
		}
		pos.Sequence, pos.LastTime = next, ours.MaxTimestamp
	case stated && ours != nil:
		pos.Outcome, pos.Detail = RaiseEpoch, "the leader's producer state is ahead of its log"
	case stated:
	case at.Target > m.SequenceZero:
		pos.Outcome, pos.Detail = RaiseEpoch, "the broker forgot our producer"
	default: // the producer epoch has written nothing yet
	}
}

// behindFiller is about filler behind the last place that is known. More of it
// than the source has offsets to fill pushes what follows: a coordinator has
// written a marker twice, or others have written.
func behindFiller(s *Situation, pos *Position, at fsm.Segment) Step {
	if s.Gaps.Ahead == nil {
		return Gather{What: NeedAhead, From: at.Source}
	}
	end := s.Log.LogEnd
	if pos.Source = end - at.Shift(); pos.Source <= s.Gaps.Ahead.Offset {
		return nil
	}
	if at.Target < s.Log.LogStart { // records may have stood there, so it need not be filler that was too much
		pos.Outcome, pos.From, pos.To = Unknown, at.Target, end
		pos.Detail = fmt.Sprintf("the target's retention took what stood between %d, the last place that is known, and %d, where its log starts", at.Target, s.Log.LogStart)
		return nil
	}
	if s.Memory.OldRequests && !s.Waited {
		return Gather{What: NeedOldRequests}
	}
	m := s.successor()
	m.Bump += pos.Source - s.Gaps.Ahead.Offset
	pos.Source = s.Gaps.Ahead.Offset
	m.Segments = append(slices.Clip(offsets.Until(&m, kept(s))), fsm.Segment{Source: pos.Source, Target: end})
	c := Commit{}
	if lost := lostAcked(s); lost != "" {
		c.Tell = &fsm.Event{Code: fsm.CodeTargetLostAcked, From: kept(s), To: s.Memory.Last.Target, Message: lost}
	}
	c.Event = &fsm.Event{
		Code: fsm.CodeOffsetBump, From: end, To: end,
		Message: fmt.Sprintf("a transaction's marker stands twice in the target: source offset %d stands at %d, by %d further than it should, until the next gap takes it back", pos.Source, end, m.Bump),
	}
	return s.commitRaised(m, s.progressAt(pos.Source, end, s.Memory.Last.Records), c)
}

// takeBack commits that a gap gives back what a marker too many took before: so
// many of its offsets are not filled.
func takeBack(s *Situation, m fsm.Mapping, f Fault, p fsm.Progress) Step {
	taken := max(0, min(m.Bump, f.Range.To-p.Source))
	source := p.Source + taken
	m.Bump -= taken
	m.Segments = append(slices.Clip(offsets.Until(&m, p.Target)), fsm.Segment{Source: source, Target: p.Target})
	p.Source, p.SourceEpoch = source, -1
	return s.commitRaised(m, p, Commit{Event: &fsm.Event{
		Code: fsm.CodeOffsetBump, From: p.Target, To: p.Target,
		Message: fmt.Sprintf("a gap of the source takes the offset back: source offset %d stands at %d again", source, p.Target),
	}})
}

// translate makes a mapping one of translated offsets, for good. No gap is filled
// then, and the log end is no place that filler would explain.
func translate(m *fsm.Mapping) { m.Phase, m.Filled, m.Bump = fsm.PhaseTranslated, false, 0 }

// cut leaves those segments of a mapping that hold for a target which ends there.
func cut(s *Situation, m *fsm.Mapping, end int64) {
	if !m.Filled {
		m.Segments = offsets.Cut(m, end)
		return
	}
	if left := offsets.Until(m, kept(s)); len(left) < len(m.Segments) {
		m.Segments, m.Bump = slices.Clip(left), 0 // where it took something back, it may not have to
	}
}
