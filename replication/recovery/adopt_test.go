package recovery

import (
	"slices"
	"testing"

	"sluice/fsm"
)

// copiedRecord stands in the target of a stream that a lost Sluice cluster copied.
type copiedRecord struct {
	of       int64 // source offset, -1: another writer's
	producer int64
	epoch    int16
	sequence int32
}

// lostStream is a stream as the lost cluster left it, and what the facts know.
type lostStream struct {
	first, end int64          // of the source
	gaps       []int64        // source offsets without a record
	sums       map[int64]byte // of records that equal others; else each is itself
	start      int64          // of the target's log
	target     []copiedRecord // from start on
	forgotten  bool           // the broker holds no producer state

	task    fsm.Copy
	other   bool // the source topic was made anew since
	writers string
	offsets string
}

// copies appends source offsets as a link's owner would.
func (l *lostStream) copies(producer int64, epoch int16, sequence int32, offsets ...int64) {
	for i, of := range offsets {
		l.target = append(l.target, copiedRecord{of, producer, epoch, sequence + int32(i)})
	}
}

func span(from, to int64, without ...int64) (out []int64) {
	for at := from; at < to; at++ {
		if !slices.Contains(without, at) {
			out = append(out, at)
		}
	}
	return out
}

func (l *lostStream) sum(of int64) uint64 {
	if b, ok := l.sums[of]; ok {
		return uint64(b)
	}
	return uint64(of) + 1000
}

func (l *lostStream) logEnd() int64 { return l.start + int64(len(l.target)) }

func (l *lostStream) answer(s *Situation, g Gather) {
	switch g.What {
	case NeedPlaces:
		s.Places = &Places{Source: fsm.TopicID{1}, Target: fsm.TopicID{2}}
		if l.other {
			s.Places.Source = fsm.TopicID{9}
		}
	case NeedProducer:
		s.ProducerID = 7
	case NeedNewID:
		id := int64(99)
		s.NewID = &id
	case NeedOldRequests:
		s.Waited, s.Log = true, nil
	case NeedSource:
		s.Source = &SourceLog{First: l.first, End: l.end}
	case NeedLog:
		s.Log = l.read(Basis(s))
	case NeedDifference:
		diff := int64(-1)
		shift := g.Mapping.Segments[0].Shift()
		for of := g.From; of < g.At.Source && diff < 0; of++ {
			if r := l.target[of+shift-l.start]; slices.Contains(l.gaps, of) || r.of < 0 || l.sum(r.of) != l.sum(of) {
				diff = of
			}
		}
		s.Difference = &diff
	case NeedAlignment:
		var source, target []Seen
		for i, r := range l.target {
			if at := l.start + int64(i); at >= g.Known.Target {
				sum := uint64(at) + 1<<40
				if r.of >= 0 {
					sum = l.sum(r.of)
				}
				target = append(target, Seen{Offset: at, Sum: sum})
			}
		}
		for of := max(g.Known.Source, l.first); of < l.end && len(source) < len(target); of++ {
			if !slices.Contains(l.gaps, of) {
				source = append(source, Seen{Offset: of, Sum: l.sum(of)})
			}
		}
		a := Align(Logs{Source: source, Again: source, SourceEnd: l.end, Target: target, TargetStart: l.start, TargetEnd: l.logEnd()}, g.Known)
		s.Aligned = &a
	default:
		panic(g.What.String())
	}
}

func (l *lostStream) read(m *fsm.Mapping) *TargetLog {
	out := &TargetLog{High: l.logEnd(), Observed: Observed{LogStart: l.start, LogEnd: l.logEnd()}}
	for i := len(l.target) - 1; i >= 0 && !l.forgotten && out.Producer == nil; i-- {
		if r := l.target[i]; r.producer == m.ProducerID {
			out.Producer = &Producer{Epoch: r.epoch, LastSequence: r.sequence, LastTimestamp: young}
		}
	}
	if n := len(l.target); n > 0 && out.Producer == nil {
		r, at := l.target[n-1], l.logEnd()-1
		out.Tail = &Tail{ProducerID: r.producer, Epoch: r.epoch, BaseOffset: at, BaseSequence: r.sequence, Count: 1, LastOffset: at, MaxTimestamp: young}
	}
	return out
}

// situation is that of a stream which was taken over.
func (l *lostStream) situation() Situation {
	task := l.task
	task.Unsure = true
	spec := fsm.LinkSpec{Writers: fsm.WritersOurs, Offsets: fsm.OffsetsAuto}
	if l.writers != "" {
		spec.Writers = l.writers
	}
	if l.offsets != "" {
		spec.Offsets = l.offsets
	}
	s := Situation{Task: &task, Spec: &spec, Now: young, Expiration: 1 << 40, ProducerID: -1, Memory: Memory{Refused: -1, OldRequests: true, Last: fsm.Progress{Source: -1, Target: -1}}}
	if task.Mapping != nil {
		s.ProducerID, s.Memory.Last, s.Memory.Version = task.Mapping.ProducerID, task.Progress, task.Mapping.Version
	}
	return s
}

// facts are those of a dense stream of which n records were copied from 0 on.
func facts(n int64) fsm.Copy {
	return fsm.Copy{
		Start: -1, Progress: fsm.Progress{Source: n, Target: n, SourceEpoch: 3, TargetEpoch: 3, Records: n},
		Mapping: &fsm.Mapping{Version: 1, Generation: 1, Phase: fsm.PhaseDense, SourceTopicID: fsm.TopicID{1}, TargetTopicID: fsm.TopicID{2}, Segments: []fsm.Segment{{}}, ProducerID: 7},
	}
}

// TestAdoptedStreamFindsItsPlace: whatever a lost cluster did after the facts that
// are left, a stream goes on exactly behind what is in the target, under an epoch
// that the lost one does not have, or it stops and says why.
func TestAdoptedStreamFindsItsPlace(t *testing.T) {
	none := fsm.Copy{Start: -1}
	for name, c := range map[string]struct {
		make  func(l *lostStream)
		next  int64    // source offset where it goes on
		stops fsm.Code // or why it does not
		phase fsm.Phase
	}{
		"the facts are the newest": {func(l *lostStream) { l.task = facts(20); l.copies(7, 0, 0, span(0, 20)...) }, 20, "", fsm.PhaseDense},
		"it copied on":             {func(l *lostStream) { l.task = facts(10); l.copies(7, 0, 0, span(0, 25)...) }, 25, "", fsm.PhaseDense},
		"it copied on, and the broker forgot it": {func(l *lostStream) {
			l.task, l.forgotten = facts(10), true
			l.copies(7, 0, 0, span(0, 25)...)
		}, 25, "", fsm.PhaseDense},
		"it raised the epoch": {func(l *lostStream) {
			l.task = facts(10)
			l.copies(7, 0, 0, span(0, 15)...)
			l.copies(7, 1, 0, span(15, 25)...)
		}, 25, "", fsm.PhaseDense},
		"it raised the epoch, and the broker forgot it": {func(l *lostStream) {
			l.task, l.forgotten = facts(10), true
			l.copies(7, 0, 0, span(0, 15)...)
			l.copies(7, 1, 0, span(15, 25)...)
		}, 25, "", fsm.PhaseDense},
		"it met a gap": {func(l *lostStream) {
			l.task, l.gaps = facts(10), []int64{14, 15}
			l.copies(7, 0, 0, span(0, 14)...)
			l.copies(7, 1, 0, span(16, 25)...)
		}, 25, "", fsm.PhaseTranslated},
		"a gap follows": {func(l *lostStream) {
			l.task, l.gaps = facts(10), []int64{14, 15}
			l.copies(7, 0, 0, span(0, 14)...)
		}, 14, "", fsm.PhaseDense},
		"it met more gaps": {func(l *lostStream) {
			l.task, l.gaps = facts(10), []int64{5, 14, 18}
			l.task.Mapping.Phase, l.task.Mapping.Segments, l.task.Mapping.ProducerEpoch = fsm.PhaseTranslated, []fsm.Segment{{}, {Source: 6, Target: 5}}, 1
			l.task.Progress.Target, l.task.Mapping.SequenceZero = 9, 5
			l.copies(7, 0, 0, span(0, 5)...)
			l.copies(7, 1, 0, span(6, 25, 14, 18)...)
		}, 25, "", fsm.PhaseTranslated},
		"it took a producer id of its own": {func(l *lostStream) {
			l.task = facts(10)
			l.task.Mapping.ProducerEpoch = lastEpoch
			l.copies(7, lastEpoch, 0, span(0, 15)...)
			l.copies(8, 0, 0, span(15, 25)...)
		}, 25, "", fsm.PhaseDense},
		"the target lost records":    {func(l *lostStream) { l.task = facts(20); l.copies(7, 0, 0, span(0, 12)...) }, 12, "", fsm.PhaseDense},
		"the stream was added after": {func(l *lostStream) { l.task = none; l.copies(7, 0, 0, span(0, 25)...) }, 25, "", fsm.PhaseDense},
		"the stream was added after, others write too": {func(l *lostStream) {
			l.task, l.writers = none, fsm.WritersShared
			l.copies(7, 0, 0, span(0, 25)...)
		}, 25, "", fsm.PhaseDense},
		"the stream was added after, both sides were trimmed": {func(l *lostStream) {
			l.task, l.first, l.start = none, 8, 5
			l.copies(7, 0, 5, span(5, 25)...)
		}, 25, "", fsm.PhaseDense},
		"the stream was added after, and copied nothing": {func(l *lostStream) { l.task = none }, 0, "", fsm.PhaseDense},
		"the stream was added after, and begins elsewhere": {func(l *lostStream) {
			l.task = fsm.Copy{Start: 4}
			l.copies(7, 0, 0, span(4, 25)...)
		}, 25, "", fsm.PhaseDense},
		"the stream was added after, with gaps": {func(l *lostStream) {
			l.task, l.gaps = none, []int64{3}
			l.copies(7, 0, 0, span(0, 25, 3)...)
		}, 25, "", fsm.PhaseTranslated},
		"identical offsets were lost": {func(l *lostStream) {
			l.task, l.gaps, l.offsets = none, []int64{3}, fsm.OffsetsIdentical
			l.copies(7, 0, 0, span(0, 25, 3)...)
		}, 0, fsm.CodeIdentityLost, 0},
		"the target is somebody else's": {func(l *lostStream) {
			l.task = none
			for range 5 {
				l.copies(55, 0, 0, -1)
			}
		}, 0, fsm.CodeNotEmpty, 0},
		"nothing is left in the target":                  {func(l *lostStream) { l.task, l.start = none, 12 }, 0, fsm.CodePositionUnknown, 0},
		"nothing is left in the target behind the facts": {func(l *lostStream) { l.task, l.start = facts(10), 12 }, 0, fsm.CodePositionUnknown, 0},
		"the source has lost much of what was copied": {func(l *lostStream) {
			l.task, l.first, l.gaps = none, 20, []int64{3}
			l.copies(7, 0, 0, span(0, 25, 3)...)
		}, 25, "", fsm.PhaseDense},
		"the source has lost all that was copied": {func(l *lostStream) {
			l.task, l.first, l.gaps = none, 30, []int64{3}
			l.copies(7, 0, 0, span(0, 25, 3)...)
		}, 0, fsm.CodePositionUnknown, 0},
		"another source topic": {func(l *lostStream) {
			l.task, l.other, l.sums = facts(20), true, map[int64]byte{}
			for of := range int64(20) {
				l.sums[of] = byte(of)
			}
			for range 20 {
				l.copies(7, 0, int32(len(l.target)), -1)
			}
		}, 0, fsm.CodeSourceRecreated, 0},
		"another wrote behind it": {func(l *lostStream) {
			l.task = facts(10)
			l.copies(7, 0, 0, span(0, 15)...)
			l.copies(55, 0, 0, -1, -1)
		}, 0, fsm.CodePositionUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := &lostStream{end: 40}
			c.make(l)
			s := l.situation()
			var step Step
			for range 20 {
				step = Next(s)
				g, ok := step.(Gather)
				if !ok {
					break
				}
				l.answer(&s, g)
			}
			if c.stops != "" {
				if h, ok := step.(Halt); !ok || h.Fault.Code != c.stops {
					t.Fatalf("%s", tell(step))
				}
				return
			}
			got, ok := step.(Commit)
			if !ok {
				t.Fatalf("%s", tell(step))
			}
			m, p := got.Mapping, got.Progress
			if p.Source != c.next || p.Target != l.logEnd() || m.SequenceZero != l.logEnd() || m.Phase != c.phase {
				t.Errorf("%s; want to go on at %d@%d, %s", tell(step), c.next, l.logEnd(), c.phase)
			}
			for _, r := range l.target {
				if r.producer == m.ProducerID && r.epoch >= m.ProducerEpoch {
					t.Fatalf("epoch %d/%d; the lost one wrote under %d", m.ProducerID, m.ProducerEpoch, r.epoch)
				}
			}
			// What follows is an ordinary open.
			l.task.Mapping, l.task.Progress = &m, p
			again := l.situation()
			again.Task.Unsure = false
			for range 20 {
				step = Next(again)
				if g, ok := step.(Gather); ok {
					l.answer(&again, g)
				}
			}
			if o, ok := step.(Open); !ok || o.Source != c.next || o.Target != l.logEnd() {
				t.Errorf("then %s", tell(step))
			}
		})
	}
}

// TestStrange: records of another producer id are another's; what stands last may
// be a filler's.
func TestStrange(t *testing.T) {
	for _, c := range []struct {
		tail Tail
		want bool
	}{{Tail{ProducerID: 9}, true}, {Tail{ProducerID: 9, Transactional: true}, false}, {Tail{ProducerID: 7}, false}} {
		s := Situation{Task: &fsm.Copy{}, Spec: &fsm.LinkSpec{}, ProducerID: 7, Log: &TargetLog{Observed: Observed{Tail: &c.tail}}}
		if got := strange(&s); got != c.want {
			t.Errorf("%+v: %v", c.tail, got)
		}
	}
}
