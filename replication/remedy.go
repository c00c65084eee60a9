package replication

import (
	"context"
	"fmt"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/replication/position"
	"sluice/task"
)

// remedy does what the trouble calls for; false: the stream is over.
func (s *Stream) remedy(err error) bool {
	t := troubleIn(err, false)
	s.tried++
	s.log.Debug("stream in trouble", "trouble", t.String(), "tried", s.tried)
	switch t.remedy {
	case later:
		s.set(t.code, t.msg)
		s.pause(backoff(s.tried))
		return true
	case quietly:
		s.quiet = true
		return true
	case again:
		return s.goOn(t)
	}
	if err := s.remedyFacts(t); err != nil {
		return s.remedy2(err)
	}
	return true
}

// remedy2 handles trouble met while remedying: only what can be tried again.
func (s *Stream) remedy2(err error) bool {
	t := troubleIn(err, false)
	if t.remedy == halt {
		if err := s.halt(t); err == nil {
			return true
		}
	}
	s.set(t.code, t.msg)
	s.pause(backoff(s.tried))
	return true
}

// backoff grows from 20 ms to 5 s.
func backoff(tried int) time.Duration {
	return min(20*time.Millisecond<<min(tried, 10), 5*time.Second)
}

// goOn asks who owns the stream before it derives again: a conflict may be
// the successor's writes.
func (s *Stream) goOn(t trouble) bool {
	switch err := s.confirm(); {
	case err == nil:
		if s.tried > 1 {
			s.set(t.code, t.msg)
		}
		if s.tried > 3 {
			s.pause(backoff(s.tried - 3))
		}
		return true
	case isAny(err, task.ErrNotOwner):
		s.event(fsm.CodeLostRace, -1, -1, "another node owns the stream now: "+t.msg)
		return false
	}
	if t.perhaps || t.code == fsm.CodeStarting {
		if !s.waitAlone() {
			s.event(fsm.CodeLostRace, -1, -1, "another node owns the stream now: "+t.msg)
			return false
		}
		return true
	}
	s.set(fsm.CodeWaiting, t.msg)
	s.pause(backoff(s.tried))
	return true
}

// remedyFacts carries out remedies that need a look or change a fact.
func (s *Stream) remedyFacts(t trouble) error {
	switch t.remedy {
	case halt:
		return s.halt(t)
	case leaveDense:
		return s.leaveDense(t)
	case newEpoch:
		return s.raiseEpoch(t)
	case checkTopic:
		return s.checkTopic(t)
	case checkRange:
		return s.checkRange(t)
	case mismatch:
		return s.mismatch()
	}
	return nil
}

// halt stops the stream with a reason, as a fact that outlives this owner.
func (s *Stream) halt(t trouble) error {
	now := s.r.nowMs()
	_, err := s.propose(&fsm.TaskStop{
		Task: s.id, Turn: s.turn, Version: s.mappingVersion(),
		Stop:  fsm.Stop{Code: t.code, From: t.from, To: t.to, Target: !t.source, Message: t.msg, At: now},
		Event: &fsm.Event{Code: t.code, From: t.from, To: t.to, Message: t.msg, Node: s.r.cfg.Name, First: now, Last: now},
	})
	s.set(t.code, t.msg)
	return err
}

// mappingVersion is that of the mapping which the stream works under, 0:
// there is none yet.
func (s *Stream) mappingVersion() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// leaveDense commits that from here on offsets are translated. The producer
// epoch is raised: an owner that is cut off and knows only the old mapping
// would count on behind what is written under the new one.
func (s *Stream) leaveDense(t trouble) error {
	if s.spec().Offsets == fsm.OffsetsIdentical {
		t.remedy, t.code = halt, fsm.CodeIdentityLost
		return s.halt(t)
	}
	task := s.task()
	if task == nil || task.Copy.Mapping == nil {
		return nil
	}
	p := s.progress()
	if p.Source != t.from {
		return nil // what stands before it was not acknowledged: derive and copy that first
	}
	_, dst, err := s.places()
	if err != nil {
		return err
	}
	if !s.wary.IsZero() {
		if err := s.waitQuietly(dst); err != nil {
			return err
		}
	}
	m := s.next(task.Copy.Mapping)
	m.Phase = fsm.PhaseTranslated
	if t.to > p.Source {
		m.Segments = append(m.Segments, fsm.Segment{Source: t.to, Target: p.Target})
		p.Source, p.SourceEpoch = t.to, -1 // not the epoch of what takes the gap
	}
	if err := s.freshEpoch(&m, dst, p.Target); err != nil {
		return err
	}
	_, err = s.commit(task, m, p, &fsm.Event{Code: fsm.CodeTranslated, From: t.from, To: t.to,
		Message: "offsets are translated from here on: " + t.msg})
	return err
}

// next is a copy of the mapping with the next version, safe to append to. It
// holds the segments too that were not checkpointed under the old one: under
// the new one they would not be any more.
func (s *Stream) next(m *fsm.Mapping) fsm.Mapping {
	n := *m
	n.Version++
	n.Segments = append([]fsm.Segment(nil), m.Segments...)
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range append(append([]fsm.Segment(nil), s.handed...), s.segments...) {
		if last := n.Segments[len(n.Segments)-1]; m.Phase != fsm.PhaseDense && seg.Source > last.Source && seg.Target >= last.Target {
			n.Segments = append(n.Segments, seg)
		}
	}
	return n
}

// raiseEpoch begins a new producer epoch at the log end: the broker's state
// is gone and it refuses our next sequence. Only after the quiet wait.
func (s *Stream) raiseEpoch(t trouble) error {
	task := s.task()
	if task == nil || task.Copy.Mapping == nil {
		return nil
	}
	_, dst, err := s.places()
	if err != nil {
		return err
	}
	if err := s.waitQuietly(dst); err != nil {
		return err
	}
	if task = s.task(); task == nil { // checkpoints went on meanwhile
		return nil
	}
	obs, err := s.read(s.ctx, dst, task.Copy.Mapping)
	if err != nil {
		return fail(troubleIn(err, false))
	}
	p := s.progress()
	switch position.Derive(task.Copy.Mapping, p, obs.Observed, s.known).Outcome {
	case position.RaiseEpoch, position.Found, position.LostAcked:
	default:
		return nil // something else by now: opening tells what
	}
	src, ok := s.sourceOf(task.Copy.Mapping, obs.LogEnd)
	if !ok {
		return fail(trouble{remedy: halt, code: fsm.CodePositionUnknown, from: p.Target, to: obs.LogEnd, msg: "the target moved past every known position"})
	}
	m := s.next(task.Copy.Mapping)
	m.Segments = position.Cut(&m, obs.LogEnd)
	if err := s.freshEpoch(&m, dst, obs.LogEnd); err != nil {
		return err
	}
	if obs.LogEnd < p.Target {
		s.event(fsm.CodeTargetLostAcked, obs.LogEnd, p.Target, fmt.Sprintf("the target acknowledged up to %d and ends at %d now", p.Target, obs.LogEnd))
	}
	_, err = s.commit(task, m, s.progressAt(src, obs.LogEnd, p.Records), &fsm.Event{Code: fsm.CodeEpochRaised, From: obs.LogEnd, To: obs.LogEnd,
		Message: fmt.Sprintf("producer epoch %d begins at target offset %d: %s", m.ProducerEpoch, obs.LogEnd, t.msg)})
	return err
}

// freshEpoch puts sequence 0 of an unused epoch at the target offset.
func (s *Stream) freshEpoch(m *fsm.Mapping, dst place, target int64) error {
	m.SequenceZero = target
	if m.ProducerEpoch < 1<<15-1 {
		m.ProducerEpoch++
		return nil
	}
	id, err := s.newProducer(dst)
	m.ProducerID, m.ProducerEpoch = id, 0
	return err
}

func (s *Stream) progressAt(source, target, records int64) fsm.Progress {
	return fsm.Progress{Source: source, Target: target, SourceEpoch: -1, TargetEpoch: -1, Records: records, At: s.r.nowMs()}
}

// checkTopic looks whether a topic is gone or another one.
func (s *Stream) checkTopic(t trouble) error {
	task := s.task()
	if task == nil {
		return nil
	}
	src, dst, err := s.places()
	if err != nil {
		f := troubleIn(err, false)
		if f.remedy == checkTopic {
			f.remedy, f.code = later, fsm.CodeTargetDeleted
			if f.source {
				f.code = fsm.CodeSourceDeleted
			}
			if s.tried == 5 {
				s.event(f.code, -1, -1, f.msg)
			}
		}
		return fail(f)
	}
	if task.Copy.Mapping == nil {
		return nil
	}
	return s.checkIDs(task.Copy.Mapping, src, dst)
}

// checkRange tells why the source refuses the position.
func (s *Stream) checkRange(t trouble) error {
	if t.msg != "" && t.to < 0 && t.from >= 0 { // diverged
		p := s.progress()
		at := p.Source
		if t.epoch < p.SourceEpoch { // all of the last copied record's epoch is gone
			t.from = min(t.from, at-1)
		}
		if at <= t.from { // what it lost was fetched, but not copied
			s.mu.Lock()
			s.last.SourceEpoch = -1
			s.mu.Unlock()
			return nil
		}
		return s.halt(trouble{code: fsm.CodeSourceTruncated, source: true, from: t.from, to: at, msg: "the source lost records that are copied: its log diverges here"})
	}
	src, err := s.src.topo.find(s.ctx, s.key.Topic, s.key.Partition, true)
	if err != nil {
		return fail(troubleIn(err, true))
	}
	if task := s.task(); task == nil || task.Copy.Mapping != nil && task.Copy.Mapping.SourceTopicID != fsm.TopicID(src.topicID) {
		return s.checkTopic(t)
	}
	first, end, err := s.sourceRange(src)
	if err != nil {
		return err
	}
	at := s.progress().Source
	switch {
	case at < first:
		return s.halt(trouble{code: fsm.CodePositionLost, source: true, from: at, to: first, msg: fmt.Sprintf("source retention took records before they were copied; its log starts at %d now", first)})
	case at > end:
		return s.halt(trouble{code: fsm.CodeSourceTruncated, source: true, from: end, to: at, msg: fmt.Sprintf("the source's log ends at %d, records up to %d are copied", end, at)})
	}
	return nil
}

// sourceRange is the source's log start and high watermark.
func (s *Stream) sourceRange(src place) (first, end int64, err error) {
	err = s.src.call(s.ctx, src.leader, func(ctx context.Context, b kafka.Broker) (err error) {
		q := kafka.OffsetQuery{Topic: s.key.Topic, Partition: s.key.Partition, LeaderEpoch: -1, Timestamp: kafka.Earliest}
		if first, err = one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{q})); err != nil {
			return err
		}
		q.Timestamp = kafka.Latest
		end, err = one(b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{q}))
		return err
	})
	if err != nil {
		return 0, 0, fail(troubleIn(err, true))
	}
	return first, end, nil
}

// mismatch halts a stream whose batches stand at other offsets than expected,
// and names every one of them.
func (s *Stream) mismatch() error {
	s.mu.Lock()
	wrong := s.wrong
	s.mu.Unlock()
	if len(wrong) == 0 {
		return nil
	}
	msg := "another writer's records stand in the target; ours stand at"
	for _, w := range wrong {
		msg += fmt.Sprintf(" [%d, %d) instead of [%d, %d);", w.base, w.base+int64(w.item.count), w.item.target, w.item.target+int64(w.item.count))
	}
	first, last := wrong[0], wrong[len(wrong)-1]
	return s.halt(trouble{code: fsm.CodeForeignWriter, from: first.item.target, to: last.base + int64(last.item.count), msg: msg})
}
