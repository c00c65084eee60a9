package recovery

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// drawSituation draws anything that a stream may find itself in, and what may
// not be.
func drawSituation(t *rapid.T) Situation {
	at := func(name string) int64 { return int64(rapid.IntRange(0, 20).Draw(t, name)) }
	progress := func(name string) fsm.Progress {
		return fsm.Progress{Source: at(name + " source"), Target: at(name + " target"), SourceEpoch: int32(at("epoch")) - 1, Records: at("records")}
	}
	s := Situation{
		Task: &fsm.Copy{Start: at("start") - 1, Progress: fsm.Progress{Source: -1, Target: -1}}, Now: now, Expiration: expiration, ProducerID: int64(rapid.SampledFrom([]int{-1, 7}).Draw(t, "link's id")),
		Spec: &fsm.LinkSpec{
			Offsets: rapid.SampledFrom([]string{fsm.OffsetsAuto, fsm.OffsetsIdentical, fsm.OffsetsTranslated}).Draw(t, "offsets"),
			OnLoss:  rapid.SampledFrom([]string{fsm.OnLossHalt, fsm.OnLossContinue, fsm.OnLossRecopy}).Draw(t, "on loss"),
			Writers: rapid.SampledFrom([]string{fsm.WritersOurs, fsm.WritersShared}).Draw(t, "writers"),
		},
		Memory: Memory{Last: fsm.Progress{Source: -1, Target: -1}, Refused: at("refused") - 1, Attempts: rapid.IntRange(0, 12).Draw(t, "attempts"), OldRequests: rapid.Bool().Draw(t, "old requests")},
	}
	if rapid.Bool().Draw(t, "mapped") {
		m := drawMapping(t)
		s.Task.Mapping = m
		s.Task.Progress = fitting(m, progress("checkpoint"))
		s.Memory.Last, s.Memory.Version = fitting(m, progress("last")), uint32(rapid.IntRange(0, 3).Draw(t, "version"))
		for range rapid.IntRange(0, 2).Draw(t, "not acknowledged") {
			s.Memory.Unacked = append(s.Memory.Unacked, Batch{Target: at("unacked"), Count: 2, Next: at("next")})
			s.Memory.Unsaved = append(s.Memory.Unsaved, fsm.Segment{Source: at("unsaved source"), Target: at("unsaved target")})
		}
	}
	s.Gaps.Fills, s.Heads = rapid.Bool().Draw(t, "fills"), rapid.Bool().Draw(t, "heads")
	s.Task.Unsure = rapid.IntRange(0, 3).Draw(t, "taken over") == 0
	if rapid.IntRange(0, 3).Draw(t, "stopped") == 0 {
		s.Task.Stop = &fsm.Stop{Code: rapid.SampledFrom(stops).Draw(t, "stop"), From: at("from"), To: at("to")}
		s.Task.Order = rapid.SampledFrom([]fsm.Order{"", fsm.OrderContinue, fsm.OrderRecopy}).Draw(t, "order")
	}
	if rapid.Bool().Draw(t, "faulty") {
		f := AtSource(rapid.SampledFrom(Kinds()).Draw(t, "kind"), "its-code", at("fault from"), at("fault to"), "why")
		f.Transaction = rapid.Bool().Draw(t, "of a transaction")
		f.Source, f.Perhaps = rapid.Bool().Draw(t, "at source"), rapid.Bool().Draw(t, "perhaps")
		s.Fault = &f
		if f.Kind == Misplaced {
			s.Memory.Misplaced = []Misplacement{{Batch{Target: at("meant"), Count: 1}, at("stands")}}
		}
	}
	return s
}

// fitting makes progress one that the mapping allows.
func fitting(m *fsm.Mapping, p fsm.Progress) fsm.Progress {
	last := m.Segments[len(m.Segments)-1]
	if m.Phase == fsm.PhaseTranslated { // gaps since are not committed yet
		p.Target = max(p.Target, last.Target)
		p.Source += p.Target - last.Shift()
		return p
	}
	p.Target = max(p.Target, m.Segments[0].Target)
	p.Source = offsets.Source(m, p.Target)
	return p
}

func drawMapping(t *rapid.T) *fsm.Mapping {
	step := func() int64 { return int64(rapid.IntRange(0, 6).Draw(t, "step")) }
	m := &fsm.Mapping{
		Version: 3, Generation: 2, Phase: rapid.SampledFrom([]fsm.Phase{fsm.PhaseDense, fsm.PhaseTranslated, fsm.PhaseFilling}).Draw(t, "phase"), ProducerID: 7,
		ProducerEpoch: rapid.SampledFrom([]int16{0, 1, lastEpoch}).Draw(t, "producer epoch"), Segments: []fsm.Segment{{Source: step(), Target: step()}},
	}
	for range rapid.IntRange(0, 2).Draw(t, "segments") {
		last := m.Segments[len(m.Segments)-1]
		m.Segments = append(m.Segments, fsm.Segment{Source: last.Source + 1 + step(), Target: last.Target + 1 + step()})
	}
	m.SequenceZero = m.Segments[0].Target + step()
	if m.Phase == fsm.PhaseFilling {
		m.SequenceZero, m.Segments = step(), []fsm.Segment{{Source: 8, Target: 8}}
	}
	if m.Phase == fsm.PhaseDense && rapid.Bool().Draw(t, "filled") {
		m.Filled, m.Bump = true, step()/4
	}
	return m
}

// drawAnswer answers as a world may in which anything has happened.
func drawAnswer(t *rapid.T, s *Situation, g Gather) {
	at := func(name string) int64 { return int64(rapid.IntRange(0, 20).Draw(t, name)) }
	other := func() fsm.TopicID { return fsm.TopicID{byte(rapid.IntRange(0, 8).Draw(t, "topic") / 8)} }
	switch g.What {
	case NeedPlaces:
		s.Places = &Places{Source: other(), Target: other()}
	case NeedLog:
		s.Log = &TargetLog{High: at("high"), Observed: Observed{LogStart: at("log start"), LogEnd: at("log end")}}
		s.Log.LogEnd = max(s.Log.LogEnd, s.Log.LogStart)
		switch rapid.IntRange(0, 2).Draw(t, "known by") {
		case 0:
			s.Log.Producer = &Producer{Epoch: int16(rapid.IntRange(0, 2).Draw(t, "their epoch")), LastSequence: int32(at("sequence")), LastTimestamp: rapid.SampledFrom([]int64{old, young}).Draw(t, "age")}
		case 1:
			s.Log.Tail = &Tail{ProducerID: rapid.SampledFrom([]int64{7, 99}).Draw(t, "whose"), BaseOffset: s.Log.LogEnd - 1, LastOffset: s.Log.LogEnd - 1, BaseSequence: int32(at("sequence")), Count: 1, MaxTimestamp: young}
		}
		if m := s.Task.Mapping; m != nil && s.Log.Producer != nil && rapid.Bool().Draw(t, "as it should be") {
			s.Log.Producer.Epoch, s.Log.Producer.LastSequence = m.ProducerEpoch, offsets.Sequence(m, s.Log.LogEnd-1)
		}
	case NeedSource:
		s.Source = &SourceLog{First: at("first")}
		s.Source.End = s.Source.First + at("length")
	case NeedOwner:
		s.Owner = rapid.SampledFrom([]Ownership{OwnerConfirmed, OwnerLost, OwnerUnknown}).Draw(t, "owner")
	case NeedEpochEnd:
		end := at("epoch end") - 1
		s.EpochEnd = &end
	case NeedDifference:
		d := at("difference") - 1
		s.Difference = &d
	case NeedOurs:
		s.Ours = []Batch{}
		for range rapid.IntRange(0, 3).Draw(t, "ours") {
			s.Ours = append(s.Ours, Batch{Sequence: int32(at("sequence")), Target: at("stands"), Count: int32(1 + at("count")/10)})
		}
	case NeedAlignment:
		s.Aligned = &Alignment{Source: g.Known.Source + at("aligned"), Repeats: max(0, at("repeats")-10), Deleted: max(0, at("deleted")-15)}
	case NeedFence:
		s.Memory.Fenced(s.Log.LogEnd)
		s.Gaps.Fenced, s.Log, s.Owner = true, nil, OwnerUnasked
	case NeedTrim:
		s.Log.LogStart = g.From
	case NeedKept:
		kept := at("kept") - 1
		s.Gaps.Kept = &kept
	case NeedData:
		s.Gaps.Data = &LastData{}
		if end := at("behind our last batch"); end > g.From && end <= s.Log.LogEnd {
			s.Gaps.Data.Ours = &Tail{ProducerID: 7, Epoch: int16(rapid.IntRange(0, 2).Draw(t, "its epoch")), BaseOffset: end - 1, LastOffset: end - 1, BaseSequence: int32(at("sequence")), Count: 1, MaxTimestamp: young}
		}
		if rapid.IntRange(0, 9).Draw(t, "others wrote") == 0 {
			s.Gaps.Data.Other = &Tail{ProducerID: 99, BaseOffset: g.All}
		}
	case NeedAhead:
		s.Gaps.Ahead = &Ahead{Data: true, Offset: g.From + at("gap")}
	case NeedProducer, NeedNewID, NeedOldRequests:
		answer(s, g, []int{1, 0, 0, 0})
	}
}

// unanswered reports whether what is asked for is not known yet.
func unanswered(s *Situation, n Need) bool {
	return [...]bool{
		NeedPlaces: s.Places == nil, NeedLog: s.Log == nil, NeedSource: s.Source == nil, NeedProducer: s.ProducerID < 0, NeedNewID: s.NewID == nil,
		NeedOwner: s.Owner == OwnerUnasked, NeedOldRequests: !s.Waited, NeedEpochEnd: s.EpochEnd == nil, NeedDifference: s.Difference == nil, NeedOurs: s.Ours == nil, NeedAlignment: s.Aligned == nil,
		NeedFence: !s.Gaps.Fenced, NeedKept: s.Gaps.Kept == nil, NeedData: s.Gaps.Data == nil, NeedAhead: s.Gaps.Ahead == nil, NeedTrim: true,
	}[n]
}

// TestRules: whatever happens to a stream, the rules of
// docs/explanation/exactly-once.md hold.
func TestRules(t *testing.T) {
	for range 50 { // a hundred situations each
		rapid.Check(t, func(t *rapid.T) {
			s := drawSituation(t)
			var old fsm.Mapping
			if s.Task.Mapping != nil {
				old = *s.Task.Mapping
				old.Segments = append([]fsm.Segment(nil), old.Segments...)
			}
			for range 20 {
				step := Next(s)
				if again := Next(s); !reflect.DeepEqual(step, again) {
					t.Fatalf("asked again: %+v, before: %+v", again, step)
				}
				if m := s.Task.Mapping; m != nil && !reflect.DeepEqual(*m, old) {
					t.Fatalf("the facts were changed: %+v, before: %+v", *m, old)
				}
				g, more := step.(Gather)
				if !more {
					if err := rules(&s, step); err != nil {
						t.Fatalf("%v: %s", err, tell(step))
					}
					return
				}
				if !unanswered(&s, g.What) {
					t.Fatalf("asks for %s, which is known", g.What)
				}
				drawAnswer(t, &s, g)
			}
			t.Fatal("asks for ever")
		})
	}
}

// rules judges a decision.
func rules(s *Situation, step Step) error {
	switch step := step.(type) {
	case Open:
		if s.Task.Unsure {
			return errors.New("a stream that was taken over is opened by what the facts say")
		}
		return openRules(s, step)
	case Commit:
		return commitRules(s, step)
	case Lift:
		if s.Task.Stop == nil || !missing(s.Task.Stop.Code) || s.Task.Mapping != nil && s.otherTopic() != nil {
			return fmt.Errorf("lifts %+v", s.Task.Stop)
		}
	case Fill:
		m := s.Task.Mapping
		if m.Phase != fsm.PhaseFilling || step.Target != s.Log.LogEnd || step.To != m.Segments[0].Target || step.Target >= step.To || s.Memory.OldRequests && !s.Waited {
			return fmt.Errorf("fills %+v of %+v", step, *m)
		}
	case Halt:
		if step.Fault.Kind != Blocked {
			return fmt.Errorf("stopped by a fault that is %s", step.Fault.Kind)
		}
	case Wait:
		if step.For <= 0 {
			return fmt.Errorf("waits %v", step.For)
		}
	}
	return nil
}

// openRules: a pipe is opened only where the target's log says, in the topics
// that the mapping was made for, by the owner, and not before an unguarded one
// has waited for earlier requests.
func openRules(s *Situation, o Open) error {
	m := s.Task.Mapping
	last := s.Memory.adopted(s.Task)
	pos := Derive(m, last.Last, s.Log.Observed, last.known)
	if m.Filled { // what is read says where, not what is counted
		pos = o.Position
		ours := s.Gaps.Data.Ours
		switch {
		case !s.Gaps.Fenced || s.Owner != OwnerConfirmed:
			return fmt.Errorf("gaps are filled, fenced: %v, and the owner is %s", s.Gaps.Fenced, s.Owner)
		case pos.Outcome != Found:
			return fmt.Errorf("what a filled stream lost is no mapping change")
		case ours != nil && ours.Epoch > m.ProducerEpoch:
			return fmt.Errorf("records of epoch %d stand there", ours.Epoch)
		}
	}
	if pos.Outcome == Unknown && m.Phase == fsm.PhaseTranslated && s.Aligned != nil && s.Aligned.Repeats == 0 {
		if s.Memory.OldRequests && !s.Waited {
			return fmt.Errorf("both logs were compared, and an earlier request may be appended")
		}
		pos.Outcome, pos.Source = Found, s.Aligned.Source
	}
	switch {
	case s.Task.Stop != nil:
		return fmt.Errorf("it is stopped by %s", s.Task.Stop.Code)
	case m.SourceTopicID != s.Places.Source || m.TargetTopicID != s.Places.Target:
		return fmt.Errorf("the topics are %+v", *s.Places)
	case pos.Outcome != Found && pos.Outcome != LostAcked || o.Target != s.Log.LogEnd || o.Source != pos.Source:
		return fmt.Errorf("derived was %+v", pos)
	case o.Progress.Source != o.Source || o.Progress.Target != o.Target:
		return fmt.Errorf("progress is elsewhere: %+v", o.Progress)
	case o.Guarded != offsets.Guarded(pos.LastTime, s.Now, s.Expiration):
		return fmt.Errorf("the last batch is of %d, now is %d", pos.LastTime, s.Now)
	case !o.Guarded && s.Memory.OldRequests && !s.Waited:
		return fmt.Errorf("unguarded, and an earlier request may be appended")
	case o.Unreplicated != (s.Log.High < o.Target):
		return fmt.Errorf("the high watermark is %d", s.Log.High)
	case (o.Event != nil) != (pos.Outcome == LostAcked || s.Aligned != nil && s.Aligned.Deleted > 0):
		return fmt.Errorf("lost records are told: %v, derived was %+v", o.Event != nil, pos)
	case s.Fault == nil:
		return nil
	}
	switch s.Fault.Kind {
	case Retry, Blocked, Misplaced:
		return fmt.Errorf("after a fault that is %s", s.Fault.Kind)
	case Unsure:
		if s.Owner != OwnerConfirmed {
			return fmt.Errorf("perhaps another owner writes, and the owner is %s", s.Owner)
		}
	case OldRequest:
		if !s.Waited {
			return fmt.Errorf("an earlier request may be appended")
		}
	}
	return nil
}

// commitRules: the next version, segments in order, and a producer epoch that
// nobody used wherever anything is said anew, so that who knows only the old
// mapping is refused; that, only when no earlier request can come.
func commitRules(s *Situation, c Commit) error {
	m, p := c.Mapping, c.Progress
	if !increasing(m.Segments) {
		return fmt.Errorf("segments go back")
	}
	if m.Phase == fsm.PhaseFilling && (s.Spec.Offsets != fsm.OffsetsIdentical && s.Task.Mapping == nil || m.Segments[0].Shift() != 0 || len(m.Segments) != 1) {
		return fmt.Errorf("filling %v", m.Segments)
	}
	if m.Phase != fsm.PhaseDense && (m.Filled || m.Bump != 0) {
		return fmt.Errorf("translated, and filled")
	}
	old := s.Task.Mapping
	if old == nil {
		if m.Version != 1 || m.ProducerID != s.ProducerID || m.SequenceZero != p.Target || !s.Task.Unsure && m.Segments[0] != (fsm.Segment{Source: p.Source, Target: p.Target}) && m.Phase != fsm.PhaseFilling {
			return fmt.Errorf("no first mapping")
		}
	}
	if s.Task.Unsure && s.Aligned == nil && m.Phase == fsm.PhaseDense && offsets.Source(&m, p.Target) != p.Source && len(m.Segments) == 1 {
		return fmt.Errorf("source offset %d does not stand at %d by %v", p.Source, p.Target, m.Segments)
	}
	if old == nil {
		return nil
	}
	raised := m.ProducerID == old.ProducerID && m.ProducerEpoch > old.ProducerEpoch || m.ProducerID != old.ProducerID && m.ProducerEpoch == 0
	same := m.Phase == old.Phase && m.Generation == old.Generation && m.ProducerID == old.ProducerID && m.ProducerEpoch == old.ProducerEpoch && m.SequenceZero == old.SequenceZero
	for i := range old.Segments {
		same = same && i < len(m.Segments) && m.Segments[i] == old.Segments[i]
	}
	switch {
	case m.Version != old.Version+1:
		return fmt.Errorf("version %d follows %d", m.Version, old.Version)
	case !raised && !same:
		return fmt.Errorf("%+v follows %+v under the same producer epoch", m, *old)
	case raised && s.Memory.OldRequests && !s.Waited:
		return fmt.Errorf("a producer epoch is raised, and an earlier request may be appended")
	case raised && m.SequenceZero != p.Target:
		return fmt.Errorf("sequence 0 stands elsewhere than what comes next")
	case s.Log != nil && p.Target != s.Log.LogEnd:
		return fmt.Errorf("the target's log ends at %d", s.Log.LogEnd)
	}
	return nil
}

func increasing(s []fsm.Segment) bool {
	for i := range s {
		if i > 0 && (s[i].Source < s[i-1].Source || s[i].Target < s[i-1].Target) {
			return false
		}
	}
	return len(s) > 0
}
