package recovery

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
	"sluice/replication/offsets"
)

// trimmedStream is a stream whose source has lost its head, and its target.
type trimmedStream struct {
	task       fsm.Copy
	first, end int64 // of the source
	log        Observed
	producer   Producer // of the target's leader; epoch -1: none
	late       []Fill   // requests of earlier owners, by mapping
	epochs     []int16
	waits      bool // an owner begins: others may have sent
}

func (h *trimmedStream) situation() Situation {
	task := h.task
	return Situation{
		Task: &task, Spec: &fsm.LinkSpec{Offsets: fsm.OffsetsIdentical, Writers: fsm.WritersOurs}, Now: young, Expiration: 1 << 40, ProducerID: 7, Heads: true,
		Memory: Memory{Refused: -1, OldRequests: h.waits, Last: task.Progress},
	}
}

func (h *trimmedStream) answer(t *rapid.T, s *Situation, g Gather) {
	switch g.What {
	case NeedPlaces:
		s.Places = &Places{}
	case NeedOldRequests:
		for i := range h.late {
			h.append(h.late[i].Sequence, h.epochs[i], int(h.late[i].To-h.late[i].Target))
		}
		h.late, h.epochs, h.waits = nil, nil, false
		s.Waited, s.Memory.OldRequests, s.Log = true, false, nil
	case NeedSource:
		s.Source = &SourceLog{First: h.first, End: h.end}
	case NeedLog:
		s.Log = &TargetLog{High: h.log.LogEnd, Observed: h.log}
		if h.producer.Epoch >= 0 {
			p := h.producer
			s.Log.Producer = &p
		} else if h.log.LogEnd > h.log.LogStart {
			s.Log.Tail = &Tail{ProducerID: 7}
		}
	case NeedNewID:
		s.NewID = new(int64(8))
	case NeedTrim:
		h.log.LogStart, s.Log = max(h.log.LogStart, g.From), nil
	default:
		t.Fatalf("asks for %s", g.What)
	}
}

// append is a broker that knows the last sequence.
func (h *trimmedStream) append(sequence int32, epoch int16, n int) bool {
	p := &h.producer
	switch {
	case epoch < p.Epoch, epoch == p.Epoch && sequence != offsets.NextSequence(p.LastSequence, 1), epoch > p.Epoch && p.Epoch >= 0 && sequence != 0:
		return false
	}
	*p = Producer{Epoch: epoch, LastSequence: offsets.NextSequence(sequence, int32(n-1)), LastTimestamp: old}
	h.log.LogEnd += int64(n)
	return true
}

// TestHead: whatever becomes of its owners while the head of a stream is filled,
// and wherever the source begins meanwhile, the stream begins in the end where the
// source does, at the same offset, and no filler is left.
func TestHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &trimmedStream{first: int64(rapid.IntRange(1, 50).Draw(t, "first")), producer: Producer{Epoch: -1}, task: fsm.Copy{Start: -1, Progress: fsm.Progress{Source: -1, Target: -1}}}
		h.log.LogStart = int64(rapid.IntRange(0, 2).Draw(t, "log start"))
		h.log.LogEnd, h.end = h.log.LogStart, h.first+20
		if h.first <= h.log.LogEnd {
			h.first = h.log.LogEnd + 1
		}
		faults := 30
		chance := func(name string) bool {
			if faults == 0 {
				return false
			}
			faults--
			return rapid.IntRange(0, 3).Draw(t, name) == 0
		}
		for range 400 {
			if m := h.task.Mapping; m != nil && m.Phase == fsm.PhaseDense {
				if m.Segments[0] != (fsm.Segment{Source: h.first, Target: h.first}) && m.Segments[0].Source < h.first-20 || h.log.LogStart != m.Segments[0].Source || h.log.LogEnd != m.Segments[0].Target || m.SequenceZero != h.log.LogEnd {
					t.Fatalf("begins at %+v, the source at %d; the target is [%d, %d)", m, h.first, h.log.LogStart, h.log.LogEnd)
				}
				if m.Segments[0].Shift() != 0 {
					t.Fatalf("offsets are shifted: %+v", m)
				}
				return
			}
			if chance("the source goes on") {
				h.first += int64(rapid.IntRange(1, 9).Draw(t, "by"))
				h.end = h.first + 20
			}
			if chance("the state is gone") {
				h.producer.Epoch = -1
			}
			if len(h.late) > 0 && chance("a late request arrives") {
				h.append(h.late[0].Sequence, h.epochs[0], int(h.late[0].To-h.late[0].Target))
				h.late, h.epochs = h.late[1:], h.epochs[1:]
			}
			if chance("another owner") {
				h.waits = true
			}
			s := h.situation()
			for again := true; again; {
				again = false
				switch step := Next(s).(type) {
				case Gather:
					h.answer(t, &s, step)
					again = true
				case Commit:
					m := step.Mapping
					h.task.Mapping, h.task.Progress = &m, step.Progress
				case Fill:
					if len(h.late) > 0 && chance("a late request arrives first") {
						h.append(h.late[0].Sequence, h.epochs[0], int(h.late[0].To-h.late[0].Target))
					}
					if step.Target != h.log.LogEnd || step.To > h.first {
						t.Fatalf("%+v; the log ends at %d, the source begins at %d", step, h.log.LogEnd, h.first)
					}
					step.To = min(step.To, step.Target+int64(rapid.IntRange(1, 20).Draw(t, "batch")))
					if chance("it dies") {
						h.late, h.epochs, h.waits = append(h.late, step), append(h.epochs, h.task.Mapping.ProducerEpoch), true
						break
					}
					if !h.append(step.Sequence, h.task.Mapping.ProducerEpoch, int(step.To-step.Target)) {
						t.Fatalf("refused: %+v under %+v, the broker knows %+v", step, h.task.Mapping, h.producer)
					}
				default:
					t.Fatalf("%T %+v; source [%d, %d), target %+v, mapping %+v", step, step, h.first, h.end, h.log, h.task.Mapping)
				}
			}
		}
		t.Fatalf("goes on for ever: %+v, source from %d, target %+v", h.task.Mapping, h.first, h.log)
	})
}

// TestHeadThatGrewTooLarge: the source loses more than is ever taken, while its link
// asks for identical offsets no more.
func TestHeadThatGrewTooLarge(t *testing.T) {
	h := &trimmedStream{first: offsets.MostFilled + 9, end: offsets.MostFilled + 20, producer: Producer{Epoch: -1}}
	h.task.Mapping = &fsm.Mapping{Version: 1, Phase: fsm.PhaseFilling, ProducerID: 7, Segments: []fsm.Segment{{Source: 5, Target: 5}}}
	s := h.situation()
	s.Spec.Offsets = fsm.OffsetsAuto
	s.Places, s.Log, s.Source = &Places{}, &TargetLog{}, &SourceLog{First: h.first, End: h.end}
	if step, ok := Next(s).(Halt); !ok || step.Fault.Code != fsm.CodeIdentityLost {
		t.Errorf("%T %+v", step, step)
	}
}
