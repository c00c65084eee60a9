package recovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
)

// tell writes all that a step says.
func tell(step Step) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	event := func(as string, e *fsm.Event) {
		if e != nil {
			say("%s %s [%d,%d)", as, e.Code, e.From, e.To)
		}
	}
	switch step := step.(type) {
	case Open:
		say("open %d@%d, epoch %d, %d records", step.Source, step.Target, step.Progress.SourceEpoch, step.Progress.Records)
		if len(step.Segments) > 0 {
			say("segments %v", step.Segments)
		}
		if step.Guarded {
			say("guarded")
		}
		if step.Unreplicated {
			say("unreplicated")
		}
		event("event", step.Event)
	case Commit:
		m, p := step.Mapping, step.Progress
		say("commit %d of generation %d, %s %v", m.Version, m.Generation, m.Phase, m.Segments)
		say("producer %d/%d from %d on", m.ProducerID, m.ProducerEpoch, m.SequenceZero)
		say("at %d@%d, epoch %d, %d records", p.Source, p.Target, p.SourceEpoch, p.Records)
		event("event", step.Event)
		event("tells", step.Tell)
	case Halt:
		side := map[bool]string{true: "source", false: "target"}[step.Fault.Source]
		say("halt: %s, %s [%d,%d)", step.Fault.Code, side, step.Fault.Range.From, step.Fault.Range.To)
	case Wait:
		say("wait %v: %s", step.For, step.Code)
		event("event", step.Event)
	case Restart:
		say("restart: %s, %s", step.Fault.Kind, step.Fault.Code)
	default:
		say("%s", describe(step))
	}
	return strings.Join(out, "; ")
}

// ruling is a situation and what is decided about it. Of the stream ten records
// are copied; answers are those of a healthy world, but for its own.
type ruling struct {
	name    string
	fault   *Fault
	change  func(*Situation)
	answers map[Need]func(*Situation)
	want    string
}

func (r ruling) check(t *testing.T) {
	t.Helper()
	at := []int{1, 0, 0, 0}
	s := stock("", at)
	s.Fault = r.fault
	if r.change != nil {
		r.change(&s)
	}
	for range 20 {
		step := Next(s)
		g, ok := step.(Gather)
		if !ok {
			if got := tell(step); got != r.want {
				t.Errorf("%s:\n%s, want\n%s", r.name, got, r.want)
			}
			return
		}
		if f := r.answers[g.What]; f != nil {
			f(&s)
		} else {
			answer(&s, g, at)
		}
	}
	t.Errorf("%s: asks for ever", r.name)
}

func faulty(kind Kind) *Fault {
	f := Faulty(kind, "its-code", "why")
	return &f
}

// log is a reading of the target: our last record stands before ours, the log
// ends at end.
func log(ours, end int64) func(*Situation) {
	return func(s *Situation) {
		s.Log = &TargetLog{High: end, Observed: Observed{LogEnd: end, Producer: &Producer{LastSequence: int32(ours - 1), LastTimestamp: young}}}
	}
}

const opened = "open 10@10, epoch 3, 10 records; guarded"

// TestFaults are the situations after a fault that the table does not tell
// apart.
func TestFaults(t *testing.T) {
	at := func(r Range, kind Kind) *Fault { f := AtSource(kind, "its-code", r.From, r.To, "why"); return &f }
	of := func(f *Fault, change func(*Fault)) *Fault { change(f); return f }
	owner := func(o Ownership) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedOwner: func(s *Situation) { s.Owner = o }}
	}
	attempts := func(n int) func(*Situation) { return func(s *Situation) { s.Memory.Attempts = n } }
	source := func(first, end int64) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedSource: func(s *Situation) { s.Source = &SourceLog{First: first, End: end} }}
	}
	otherSource := map[Need]func(*Situation){NeedPlaces: func(s *Situation) { s.Places = &Places{Source: fsm.TopicID{9}} }}
	for _, r := range []ruling{
		{"again and again", faulty(Retry), attempts(4), nil, "wait 320ms: its-code"},
		{"again for ever", faulty(Retry), attempts(400), nil, "wait 5s: its-code"},
		{"unsure for the third time", faulty(Unsure), attempts(quickRetries), owner(OwnerConfirmed), opened},
		{"unsure for the fourth time", faulty(Unsure), attempts(quickRetries + 1), owner(OwnerConfirmed), "wait 40ms: its-code"},
		{"perhaps written, and no leader", of(faulty(Unsure), func(f *Fault) { f.Perhaps = true }), nil, owner(OwnerUnknown), "wait until nobody else can own it"},
		{"sequence refused, and no leader", of(faulty(Unsure), func(f *Fault) { f.Code = fsm.CodeStarting }), nil, owner(OwnerUnknown), "wait until nobody else can own it"},
		{"cut off, nothing in question", faulty(Unsure), nil, owner(OwnerUnknown), "wait 40ms: waiting"},
		{"perhaps written, and lost", of(faulty(Unsure), func(f *Fault) { f.Perhaps = true }), nil, owner(OwnerLost), "end here: another node owns it"},

		{"too large, for the twentieth time, each a smaller one", faulty(TooLarge), attempts(20), nil, opened},

		{"misplaced, and it was nothing", faulty(Misplaced), nil, nil, opened},
		{"misplaced, two of them", faulty(Misplaced), func(s *Situation) {
			s.Memory.Misplaced = []Misplacement{{Batch{Target: 10, Count: 2}, 13}, {Batch{Target: 12, Count: 5}, 20}}
		}, nil, "halt: foreign-writer, target [10,25)"},

		{"diverged behind what is copied", of(at(Range{10, -1}, Diverged), func(f *Fault) { f.Epoch = 3 }), nil, nil, "open 10@10, epoch -1, 10 records; guarded"},
		{"diverged in what is copied", of(at(Range{8, -1}, Diverged), func(f *Fault) { f.Epoch = 3 }), nil, nil, "halt: source-truncated, source [8,10)"},
		{"diverged, and the last record's epoch is gone", of(at(Range{12, -1}, Diverged), func(f *Fault) { f.Epoch = 2 }), nil, nil, "halt: source-truncated, source [9,10)"},

		{"out of range: retention", faulty(OutOfRange), nil, source(15, 20), "halt: position-lost, source [10,15)"},
		{"out of range: retention of all, the end is not behind", faulty(OutOfRange), nil, source(10, 10), opened},
		{"out of range: the log is shorter", faulty(OutOfRange), nil, source(0, 8), "halt: source-truncated, source [8,10)"},
		{"out of range of another topic", faulty(OutOfRange), nil, otherSource, "halt: source-recreated, source [0,10)"},

		{"a gap", at(Range{10, 12}, Gap), nil, nil,
			"commit 2 of generation 1, translated [{0 0} {12 10}]; producer 7/1 from 10 on; at 12@10, epoch -1, 10 records; event left-dense [10,12)"},
		{"a gap inside a batch", at(Range{10, 10}, Gap), nil, nil,
			"commit 2 of generation 1, translated [{0 0}]; producer 7/1 from 10 on; at 10@10, epoch 3, 10 records; event left-dense [10,10)"},
		{"a gap before a segment that is ahead, for the target lost what stood before that", at(Range{10, 12}, Gap), func(s *Situation) {
			s.Task.Mapping.Segments = append(s.Task.Mapping.Segments, fsm.Segment{Source: 19, Target: 15})
		}, nil, "commit 2 of generation 1, translated [{0 0} {12 10}]; producer 7/1 from 10 on; at 12@10, epoch -1, 10 records; event left-dense [10,12)"},
		{"a gap behind what is not acknowledged", at(Range{11, 12}, Gap), nil, nil, opened},
		{"a gap where offsets are to be identical", at(Range{10, 12}, Gap), func(s *Situation) { s.Spec.Offsets = fsm.OffsetsIdentical }, nil,
			"halt: identity-lost, source [10,12)"},
		{"a gap and the last producer epoch", at(Range{10, 12}, Gap), func(s *Situation) { s.Task.Mapping.ProducerEpoch = lastEpoch }, nil,
			"commit 2 of generation 1, translated [{0 0} {12 10}]; producer 8/0 from 10 on; at 12@10, epoch -1, 10 records; event left-dense [10,12)"},

		{"forgotten", faulty(Forgotten), nil, nil,
			"commit 2 of generation 1, dense [{0 0}]; producer 7/1 from 10 on; at 10@10, epoch -1, 10 records; event producer-epoch-raised [10,10)"},
		{"forgotten, and records are lost", faulty(Forgotten), nil, map[Need]func(*Situation){NeedLog: log(8, 8)},
			"commit 2 of generation 1, dense [{0 0}]; producer 7/1 from 8 on; at 8@8, epoch -1, 10 records; event producer-epoch-raised [8,8); tells target-lost-acked [8,10)"},
		{"forgotten, and others write", faulty(Forgotten), nil, map[Need]func(*Situation){NeedLog: log(10, 12)}, "halt: foreign-writer, target [10,12)"},
		{"forgotten, the state is ahead of the log", faulty(Forgotten), nil, map[Need]func(*Situation){NeedLog: log(15, 12)},
			"commit 2 of generation 1, dense [{0 0}]; producer 7/1 from 12 on; at 12@12, epoch -1, 10 records; event producer-epoch-raised [12,12)"},
		{"forgotten, translated, and the log ends where nothing is known", faulty(Forgotten), func(s *Situation) {
			s.Task.Mapping.Phase = fsm.PhaseTranslated
		}, map[Need]func(*Situation){NeedLog: log(15, 12), NeedAlignment: func(s *Situation) { s.Aligned = &Alignment{Source: 11, Repeats: 1} }},
			"halt: position-unknown, target [11,12)"},
		{"forgotten, translated, and where it ends is found", faulty(Forgotten), func(s *Situation) {
			s.Task.Mapping.Phase = fsm.PhaseTranslated
		}, map[Need]func(*Situation){NeedLog: log(15, 12), NeedAlignment: func(s *Situation) {
			s.Aligned = &Alignment{Source: 14, Segments: []fsm.Segment{{Source: 13, Target: 11}}}
		}}, "commit 2 of generation 1, translated [{0 0} {13 11}]; producer 7/1 from 12 on; at 14@12, epoch -1, 10 records; event producer-epoch-raised [12,12)"},
		{"forgotten, translated: segments that are not committed yet go with it", faulty(Forgotten), func(s *Situation) {
			s.Task.Mapping.Phase = fsm.PhaseTranslated
			s.Task.Mapping.Segments = []fsm.Segment{{Source: 0, Target: 0}, {Source: 7, Target: 5}}
			s.Memory.Last.Source = 12
			s.Memory.Unsaved = []fsm.Segment{{Source: 7, Target: 5}, {Source: 9, Target: 7}, {Source: 11, Target: 8}}
		}, nil,
			"commit 2 of generation 1, translated [{0 0} {7 5} {9 7} {11 8}]; producer 7/1 from 10 on; at 12@10, epoch -1, 10 records; event producer-epoch-raised [10,10)"},
	} {
		r.check(t)
	}
}

// TestFailures: what a Gather that fails makes of a situation.
func TestFailures(t *testing.T) {
	gone := func(source bool) *Fault { f := faulty(TopicChanged); f.Source = source; return f }
	for _, r := range []ruling{
		{"nothing was the matter", nil, func(s *Situation) { s.Failed = faulty(Unsure) }, nil, "restart: unsure, its-code"},
		{"after a fault", faulty(Unsure), func(s *Situation) { s.Failed = faulty(Retry) }, nil, "wait 40ms: its-code"},
		{"the topic is gone", faulty(TopicChanged), func(s *Situation) { s.Failed = gone(true) }, nil, "wait 40ms: unreachable"},
		{"the other one", faulty(TopicChanged), func(s *Situation) { s.Failed = gone(false) }, nil, "wait 40ms: unreachable"},
		{"the target topic of a stream that never began is not there yet", faulty(TopicChanged), func(s *Situation) {
			s.Failed, s.Memory.Attempts, s.Task.Mapping = gone(false), goneTries, nil
		}, nil, "wait 5s: starting"},
		{"its source topic is gone", faulty(TopicChanged), func(s *Situation) {
			s.Failed, s.Memory.Attempts, s.Task.Mapping = gone(true), goneTries, nil
		}, nil, "halt: source-deleted, source [-1,-1)"},
		{"it stays so", faulty(TopicChanged), func(s *Situation) { s.Failed, s.Memory.Attempts = gone(true), goneTries }, nil, "halt: source-deleted, source [-1,-1)"},
		{"the other one stays so", faulty(TopicChanged), func(s *Situation) { s.Failed, s.Memory.Attempts = gone(false), goneTries }, nil, "halt: target-deleted, target [-1,-1)"},
		{"stopped by it, and still gone", nil, func(s *Situation) { s.Failed, s.Task.Stop = gone(true), &fsm.Stop{Code: fsm.CodeSourceDeleted} }, nil,
			"wait 5s: source-deleted"},
		{"stopped, and ordered to go on", nil, func(s *Situation) {
			s.Failed, s.Task.Stop, s.Task.Order = faulty(Retry), &fsm.Stop{Code: fsm.CodePositionLost}, fsm.OrderContinue
		}, nil, "wait 2s: position-lost"},
	} {
		r.check(t)
	}
}

// TestTopicThatWasMissing: one that stopped its stream is looked for again, and
// so is what an order rests on.
func TestTopicThatWasMissing(t *testing.T) {
	stopped := func(code fsm.Code, o fsm.Order) func(*Situation) {
		return func(s *Situation) { s.Task.Stop, s.Task.Order = &fsm.Stop{Code: code, From: -1, To: -1}, o }
	}
	recreated := func(source, target byte) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedPlaces: func(s *Situation) {
			s.Places = &Places{Source: fsm.TopicID{source}, Target: fsm.TopicID{target}}
		}, NeedLog: func(s *Situation) { s.Log = &TargetLog{} }}
	}
	begins := func(s *Situation) { s.Task.Mapping = nil }
	both := func(a, b func(*Situation)) func(*Situation) { return func(s *Situation) { a(s); b(s) } }
	for _, r := range []ruling{
		{"looked a moment ago", nil, both(stopped(fsm.CodeSourceDeleted, ""), func(s *Situation) { s.Memory.Looked = s.Now - goneLook + 1 }), nil, "wait 1ms: source-deleted"},
		{"looked before the clock was put back", nil, both(stopped(fsm.CodeSourceDeleted, ""), func(s *Situation) { s.Memory.Looked = s.Now + 3_600_000 }), nil, "lift the stop"},
		{"there again", nil, stopped(fsm.CodeSourceDeleted, ""), nil, "lift the stop"},
		{"there again, before it began", nil, both(stopped(fsm.CodeTargetDeleted, ""), begins), nil, "lift the stop"},
		{"another one at the source", nil, stopped(fsm.CodeSourceDeleted, ""), recreated(1, 0), "halt: source-recreated, source [0,10)"},
		{"another one at the target", nil, stopped(fsm.CodeTargetDeleted, ""), recreated(0, 1), "halt: target-recreated, target [0,10)"},
		{"continue, the same one", nil, stopped(fsm.CodeTargetDeleted, fsm.OrderContinue), nil, "lift the stop"},
		{"continue, another one at the source", nil, stopped(fsm.CodeSourceDeleted, fsm.OrderContinue), recreated(1, 0),
			"commit 2 of generation 2, dense [{0 0}]; producer 7/1 from 0 on; at 0@0, epoch -1, 0 records; event new-segment [-1,-1)"},
		{"continue, another one at the target", nil, stopped(fsm.CodeTargetDeleted, fsm.OrderContinue), recreated(0, 1),
			"commit 2 of generation 2, dense [{10 0}]; producer 7/1 from 0 on; at 10@0, epoch -1, 0 records; event new-segment [-1,-1)"},
		{"continue past a batch, of a source topic that was made again since", nil, stopped(fsm.CodeRecordTooLarge, fsm.OrderContinue), recreated(1, 0), "halt: source-recreated, source [0,10)"},
		{"continue past a batch, to a target topic that was made again since", nil, stopped(fsm.CodeRecordTooLarge, fsm.OrderContinue), recreated(0, 1), "halt: target-recreated, target [0,10)"},
		{"continue past a new target, both are new", nil, stopped(fsm.CodeTargetRecreated, fsm.OrderContinue), recreated(1, 1), "halt: source-recreated, source [0,10)"},
		{"recopy, another one at the target", nil, stopped(fsm.CodeTargetDeleted, fsm.OrderRecopy), recreated(0, 1),
			"commit 2 of generation 2, dense [{0 0}]; producer 7/1 from 0 on; at 0@0, epoch -1, 0 records; event recopied [0,-1)"},
	} {
		r.check(t)
	}
}

// TestComparesFromTheEndOfTheEpoch: what stands before it is the same.
func TestComparesFromTheEndOfTheEpoch(t *testing.T) {
	for end, want := range map[int64]int64{12: 12, 3: 5} { // the stream's start is 5
		s := stock("", []int{1, 0, 0, 0})
		s.Task.Mapping.Segments[0] = fsm.Segment{Source: 5, Target: 5}
		s.Task.Mapping.SequenceZero = 5
		s.Places, s.EpochEnd = &Places{}, &end
		log(9, 14)(&s)
		g, ok := Next(s).(Gather)
		if !ok || g.What != NeedDifference || g.From != want || g.At.Source != 14 || g.At.Target != 14 {
			t.Errorf("epoch ended at %d: %+v", end, Next(s))
		}
	}
}

// TestBegins are the first mappings of a stream. A takeover never makes one:
// the start that is committed holds, whatever the source begins with by then.
func TestBegins(t *testing.T) {
	fresh := func(change func(*Situation)) func(*Situation) {
		return func(s *Situation) {
			*s = stock("", []int{0, 0, 0, 0})
			s.Task.Start = 4
			if change != nil {
				change(s)
			}
		}
	}
	needs := func(n Need, f func(*Situation)) map[Need]func(*Situation) { return map[Need]func(*Situation){n: f} }
	holds := func(from, to int64) map[Need]func(*Situation) {
		return needs(NeedLog, func(s *Situation) { s.Log = &TargetLog{Observed: Observed{LogStart: from, LogEnd: to}} })
	}
	first := func(phase string, source, target int64) string {
		return fmt.Sprintf("commit 1 of generation 1, %s [{%d %d}]; producer 7/0 from %d on; at %d@%d, epoch -1, 0 records", phase, source, target, target, source, target)
	}
	for _, r := range []ruling{
		{"at the start that was resolved", nil, fresh(nil), nil, first("dense", 4, 0)},
		{"at the log start", nil, fresh(func(s *Situation) { s.Task.Start = -1 }), needs(NeedSource, func(s *Situation) { s.Source = &SourceLog{First: 6, End: 9} }), first("dense", 6, 0)},
		{"in an emptied target", nil, fresh(nil), holds(9, 9), first("dense", 4, 9)},
		{"translated from the first on", nil, fresh(func(s *Situation) { s.Spec.Offsets = fsm.OffsetsTranslated }), nil, first("translated", 4, 0)},
		{"in a target that is not empty", nil, fresh(nil), holds(2, 9), "halt: not-empty, target [2,9)"},
		{"in a target that others share", nil, fresh(func(s *Situation) { s.Spec.Writers = fsm.WritersShared }), holds(2, 9), first("dense", 4, 9)},
		{"identical", nil, fresh(func(s *Situation) { s.Spec.Offsets = fsm.OffsetsIdentical }), holds(4, 4), first("dense", 4, 4)},
		{"identical, and it cannot be", nil, fresh(func(s *Situation) { s.Spec.Offsets = fsm.OffsetsIdentical }), nil, "halt: identity-lost, target [0,4)"},
		{"begun, nothing written yet", nil, func(s *Situation) {
			s.Task.Start, s.Task.Mapping.Segments, s.Task.Mapping.SequenceZero = -1, []fsm.Segment{{Source: 4, Target: 0}}, 0
			s.Task.Progress = fsm.Progress{Source: 4, SourceEpoch: -1}
			s.Memory.Last = s.Task.Progress
			s.Source = &SourceLog{First: 6, End: 100} // retention went on
		}, holds(0, 0), "open 4@0, epoch -1, 0 records"},
	} {
		r.check(t)
	}
}

// TestAdopts: progress that comes in after the stream began is taken over, but
// not that of another mapping or from behind.
func TestAdopts(t *testing.T) {
	at := func(source, target int64) fsm.Progress { return fsm.Progress{Source: source, Target: target} }
	for _, c := range []struct {
		name    string
		version uint32
		last    fsm.Progress
		facts   fsm.Progress
		want    fsm.Progress
	}{
		{"further", 3, at(10, 10), at(12, 12), at(12, 12)},
		{"of a later mapping", 2, at(10, 10), at(12, 12), at(12, 12)},
		{"of an earlier one", 4, at(10, 10), at(12, 12), at(10, 10)},
		{"behind", 3, at(10, 10), at(8, 8), at(10, 10)},
		{"further at the target only", 3, at(10, 10), at(8, 12), at(10, 10)},
	} {
		task := &fsm.Copy{Mapping: &fsm.Mapping{Version: 3}, Progress: c.facts}
		if got := (Memory{Version: c.version, Last: c.last}).adopted(task); got.Last != c.want || got.Last == c.facts && got.Version != 3 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestWords: a fault reads well as an error, and every kind, owner and need has
// a name of its own.
func TestWords(t *testing.T) {
	if got := AtSource(Blocked, fsm.CodeCorruptBatch, 3, 5, "bad").Error(); got != "corrupt-batch [3, 5): bad" {
		t.Error(got)
	}
	if got := Faulty(Retry, fsm.CodeUnreachable, "gone").Error(); got != "unreachable: gone" {
		t.Error(got)
	}
	if f := NotReplicated(true, 3, 5); f.Kind != Retry || !f.Source || f.Range != (Range{3, 5}) || !strings.Contains(f.Message, "source") {
		t.Errorf("%+v", f)
	}
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.String())
	}
	for o := OwnerUnasked; o <= OwnerUnknown; o++ {
		names = append(names, o.String())
	}
	for n := NeedPlaces; n <= NeedOurs; n++ {
		names = append(names, n.String())
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(Kinds())+int(OwnerUnknown)+1+int(NeedOurs)+1 {
		t.Errorf("names twice in %v", names)
	}
	for n := range 20 {
		if d := Backoff(n); d < 20*time.Millisecond || d > 5*time.Second || n > 0 && d < Backoff(n-1) {
			t.Errorf("Backoff(%d) = %v", n, d)
		}
	}
}
