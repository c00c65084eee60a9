package replication

import (
	"fmt"

	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/kafka/record"
	"sluice/replication/position"
)

// order is what to do about a stopped stream: the operator's order, else what
// the link's policy says for such a stop, else nothing. Going on past a range
// changes offsets: where they must stay identical only an operator may.
func order(t *fsm.Task, spec *fsm.LinkSpec) fsm.Order {
	if t.Copy.Order != "" {
		return t.Copy.Order
	}
	switch policy := reason.Of(t.Copy.Stop.Code).Policy; {
	case policy && spec.OnLoss == fsm.OnLossContinue && spec.Offsets != fsm.OffsetsIdentical:
		return fsm.OrderContinue
	case policy && spec.OnLoss == fsm.OnLossRecopy:
		return fsm.OrderRecopy
	}
	return ""
}

// obey carries out the order of a stopped stream; false when there is none or
// it cannot be carried out yet.
func (s *Stream) obey(t *fsm.Task) bool {
	var err error
	switch order(t, s.spec()) {
	case fsm.OrderContinue:
		err = s.goPast(t)
	case fsm.OrderRecopy:
		err = s.recopy(t)
	default:
		return false
	}
	if err != nil {
		s.set(t.Copy.Stop.Code, "cannot go on yet: "+troubleIn(err, false).msg)
		return false
	}
	s.tried = 0
	return true
}

// goPast commits a new offset segment behind what stopped the stream. What is
// skipped stands in the event. The producer epoch is raised, so that an owner
// that is cut off and knows only the old mapping is refused.
func (s *Stream) goPast(t *fsm.Task) error {
	src, dst, err := s.places()
	if err != nil {
		return err
	}
	if t.Copy.Mapping == nil {
		return s.adopt(t, src, dst)
	}
	if err := s.waitQuietly(dst); err != nil {
		return err
	}
	if t = s.task(); t == nil || t.Copy.Mapping == nil || t.Copy.Stop == nil { // checkpoints went on meanwhile
		return nil
	}
	obs, err := s.read(s.ctx, dst, t.Copy.Mapping)
	if err != nil {
		return fail(troubleIn(err, false))
	}
	if lifted, err := s.fallenBack(t, obs); lifted || err != nil {
		return err
	}
	first, end, err := s.sourceRange(src)
	if err != nil {
		return err
	}
	c := &past{s: s, t: t, m: s.next(t.Copy.Mapping), obs: obs, first: first, end: end}
	c.m.SourceTopicID, c.m.TargetTopicID = src.topicID, dst.topicID
	if err := c.find(dst); err != nil {
		return err
	}
	if err := s.freshEpoch(&c.m, dst, obs.LogEnd); err != nil {
		return err
	}
	s.mu.Lock()
	s.wrong = nil
	s.mu.Unlock()
	_, err = s.commit(t, c.m, s.progressAt(c.source, obs.LogEnd, c.records()), &fsm.Event{
		Code: fsm.CodeNewSegment, From: t.Copy.Stop.From, To: t.Copy.Stop.To,
		Message: fmt.Sprintf("went on past %s: source offset %d stands at target offset %d", t.Copy.Stop.Code, c.source, obs.LogEnd),
	})
	return err
}

// fallenBack looks at the target of a stopped stream before anything is
// skipped. Where it lost records from before the stop, the stop is lifted, and
// these are copied again first; where others wrote meanwhile, that is the stop
// now.
func (s *Stream) fallenBack(t *fsm.Task, obs reading) (lifted bool, err error) {
	if !reason.Of(t.Copy.Stop.Code).Batch {
		return false, nil
	}
	pos := position.Derive(t.Copy.Mapping, s.progress(), obs.Observed, s.known)
	switch pos.Outcome {
	case position.Found:
		return false, nil
	case position.LostAcked:
		if pos.Source >= t.Copy.Stop.From {
			return false, nil
		}
	default: // RaiseEpoch: it lost even what the epoch before wrote
		return true, s.remedyFacts(troubleAt(pos))
	}
	_, err = s.commit(t, s.next(t.Copy.Mapping), s.progressAt(pos.Source, pos.Target, s.progress().Records), &fsm.Event{
		Code: fsm.CodeTargetLostAcked, From: pos.From, To: pos.To, Message: pos.Detail + "; copied again before going on past " + string(t.Copy.Stop.Code),
	})
	return true, err
}

// past finds where a stopped stream goes on.
type past struct {
	s          *Stream
	t          *fsm.Task
	m          fsm.Mapping
	obs        reading
	first, end int64 // of the source's log
	source     int64 // found: the next source offset
}

// find decides the next source offset, and what of the mapping has to change.
func (c *past) find(dst place) error {
	at := c.s.progress().Source
	switch c.t.Copy.Stop.Code {
	case fsm.CodeSourceRecreated:
		c.begin(c.first)
	case fsm.CodeSourceTruncated:
		c.begin(max(c.first, min(c.t.Copy.Stop.From, c.end)))
	case fsm.CodeTargetRecreated:
		c.begin(max(at, c.first))
	case fsm.CodeTargetTruncated: // none of the stream's records is left
		c.begin(max(c.m.Segments[0].Source, c.first))
	case fsm.CodeForeignWriter:
		return c.behindForeign(dst)
	case fsm.CodePositionUnknown:
		c.segment(max(at, c.first))
		c.m.Phase = fsm.PhaseTranslated
	case fsm.CodeIdentityLost: // the checkpoint may be behind the place where it stopped
		c.segment(max(at, c.t.Copy.Stop.From, c.first))
		c.m.Phase = fsm.PhaseTranslated
	case fsm.CodePositionLost:
		c.segment(max(at, c.first))
	default: // a batch that cannot be copied
		c.segment(max(at, c.t.Copy.Stop.To))
	}
	return nil
}

// segment goes on with the source offset behind the target's log end.
func (c *past) segment(source int64) {
	c.source = source
	c.m.Segments = position.Behind(&c.m, source, c.obs.LogEnd)
}

// begin starts a new generation at the source offset.
func (c *past) begin(source int64) {
	c.source = source
	c.m.Generation++
	c.m.Segments = []fsm.Segment{{Source: source, Target: c.obs.LogEnd}}
}

func (c *past) records() int64 {
	if c.m.Generation != c.t.Copy.Mapping.Generation {
		return 0
	}
	return c.s.progress().Records
}

// behindForeign goes on behind another writer's records. How many of ours are
// in the log tells the sequence of our last batch there; those that were moved
// get segments of their own.
func (c *past) behindForeign(dst place) error {
	ours, placed, err := c.s.ours(c.t.Copy.Mapping, dst, c.obs)
	if err != nil {
		return err
	}
	if ours < 0 {
		return fail(trouble{remedy: halt, code: fsm.CodeForeignWriter, from: c.t.Copy.Stop.From, to: c.t.Copy.Stop.To, msg: "none of our records is left in the target to tell the position from; recopy"})
	}
	source, ok := c.s.sourceOf(c.t.Copy.Mapping, ours)
	if !ok {
		return fail(trouble{remedy: halt, code: fsm.CodePositionUnknown, from: ours, to: c.obs.LogEnd, msg: "a translated stream cannot be counted; recopy"})
	}
	switch {
	case c.m.Phase == fsm.PhaseDense:
		c.m.Segments = position.Moved(c.t.Copy.Mapping, c.s.near(c.t.Copy.Mapping), placed)
	case len(placed) > 0:
		return fail(trouble{remedy: halt, code: fsm.CodePositionUnknown, from: ours, to: c.obs.LogEnd, msg: "records of a translated stream stand between others'; recopy"})
	}
	c.segment(source)
	return nil
}

// sourceOf gives the source offset of the next record when ours is the
// mapping's target offset behind our last record.
func (s *Stream) sourceOf(m *fsm.Mapping, ours int64) (int64, bool) {
	if m.Phase == fsm.PhaseDense {
		return position.Source(m, ours), true
	}
	return s.known(ours)
}

// near is a target offset of the mapping that is close to the log's end: up to
// there everything is known to stand where it should.
func (s *Stream) near(m *fsm.Mapping) int64 { return max(s.progress().Target, m.Segments[0].Target) }

// ours is the target offset, as the mapping would have it without foreign
// records, behind our last record in the log, -1 when none is found, and our
// batches that stand behind what is known, repeats of that left out.
func (s *Stream) ours(m *fsm.Mapping, dst place, obs reading) (end int64, placed []position.Placed, err error) {
	near, end := s.near(m), int64(-1)
	if p := obs.Producer; p != nil && p.Epoch == m.ProducerEpoch {
		if end = position.OffsetOf(m, p.LastSequence, near) + 1; end == near {
			return end, nil, nil
		}
	}
	from := min(near, obs.LogEnd)
	err = s.scan(s.ctx, s.dst, dst, s.key.TargetTopic, max(from-1, obs.LogStart), obs.LogEnd, func(b record.Batch) error {
		h := b.Header()
		if h.ProducerID != m.ProducerID || h.ProducerEpoch != m.ProducerEpoch {
			return nil
		}
		if behind := position.OffsetOf(m, h.BaseSequence, near) + int64(h.Count); behind > near {
			placed, end = append(placed, position.Placed{BaseOffset: h.BaseOffset, BaseSequence: h.BaseSequence}), max(end, behind)
		}
		return nil
	})
	if err == nil && end < near && near == s.progress().Target && near <= obs.LogEnd {
		end = near // all that is new behind the checkpoint is foreign
	}
	return end, placed, err
}

// adopt begins a stream in a target that is not empty, or where identical
// offsets cannot be had, because an operator said so.
func (s *Stream) adopt(t *fsm.Task, src, dst place) error {
	pid, err := s.producer(dst)
	if err != nil {
		return err
	}
	obs, err := s.read(s.ctx, dst, nil)
	if err != nil {
		return fail(troubleIn(err, false))
	}
	first, _, err := s.sourceRange(src)
	if err != nil {
		return err
	}
	start := max(first, t.Copy.Start)
	m := s.firstMapping(src, dst, fsm.Segment{Source: start, Target: obs.LogEnd}, pid)
	_, err = s.commit(t, m, s.progressAt(start, obs.LogEnd, 0), &fsm.Event{Code: fsm.CodeNewSegment, From: obs.LogStart, To: obs.LogEnd,
		Message: fmt.Sprintf("begins behind the target's own records: source offset %d stands at target offset %d", start, obs.LogEnd)})
	return err
}

// recopy begins a new generation from the log start, once the operator has
// emptied or recreated the target. It deletes nothing itself.
func (s *Stream) recopy(t *fsm.Task) error {
	src, dst, err := s.places()
	if err != nil {
		return err
	}
	if _, err := s.emptied(t, dst); err != nil {
		return err
	}
	if t.Copy.Mapping != nil {
		if err := s.waitQuietly(dst); err != nil {
			return err
		}
	}
	end, err := s.emptied(t, dst)
	if err != nil {
		return err
	}
	first, _, err := s.sourceRange(src)
	if err != nil {
		return err
	}
	m, first, err := s.nextGeneration(t, src, dst, fsm.Segment{Source: first, Target: end})
	if err != nil {
		return err
	}
	_, err = s.commit(t, m, s.progressAt(first, end, 0), &fsm.Event{Code: fsm.CodeRecopied, From: first, To: -1,
		Message: fmt.Sprintf("generation %d begins at source offset %d", m.Generation, first)})
	return err
}

// emptied returns the target's log end once no record stands before it.
func (s *Stream) emptied(t *fsm.Task, dst place) (int64, error) {
	obs, err := s.read(s.ctx, dst, t.Copy.Mapping)
	if err != nil {
		return 0, fail(troubleIn(err, false))
	}
	if obs.LogEnd > obs.LogStart {
		return 0, fail(trouble{remedy: later, code: t.Copy.Stop.Code, from: obs.LogStart, to: obs.LogEnd,
			msg: fmt.Sprintf("recopy begins when the target partition is empty; it holds [%d, %d)", obs.LogStart, obs.LogEnd)})
	}
	return obs.LogEnd, nil
}

// nextGeneration is a mapping that begins anew, and its first source offset.
// A stream that never began does so as its link says.
func (s *Stream) nextGeneration(t *fsm.Task, src, dst place, start fsm.Segment) (m fsm.Mapping, first int64, err error) {
	if t.Copy.Mapping == nil {
		start.Source = max(start.Source, t.Copy.Start)
	}
	if err := s.identityAt(start.Source, start.Target); err != nil {
		return m, 0, err
	}
	if t.Copy.Mapping == nil {
		pid, err := s.producer(dst)
		return s.firstMapping(src, dst, start, pid), start.Source, err
	}
	m = s.next(t.Copy.Mapping)
	m.Generation++
	m.Phase, m.Segments = s.phase(), []fsm.Segment{start}
	m.SourceTopicID, m.TargetTopicID = src.topicID, dst.topicID
	return m, start.Source, s.freshEpoch(&m, dst, start.Target)
}
