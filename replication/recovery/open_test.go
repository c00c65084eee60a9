package recovery

import (
	"testing"

	"sluice/fsm"
)

// TestOpens are the ways to a pipe.
func TestOpens(t *testing.T) {
	needs := func(n Need, f func(*Situation)) map[Need]func(*Situation) { return map[Need]func(*Situation){n: f} }
	beyond := log(14, 14) // the checkpoint is at 10
	end := func(at int64) func(*Situation) { return func(s *Situation) { s.EpochEnd = &at } }
	differs := func(at int64) func(*Situation) { return func(s *Situation) { s.Difference = &at } }
	forgot := func(s *Situation) {
		s.Log = &TargetLog{High: 10, Observed: Observed{LogEnd: 10, Tail: &Tail{ProducerID: 7, BaseOffset: 8, BaseSequence: 8, Count: 2, LastOffset: 9, MaxTimestamp: old}}}
	}
	translated := func(s *Situation) { s.Task.Mapping.Phase = fsm.PhaseTranslated }
	found := func(a Alignment) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedLog: beyond, NeedAlignment: func(s *Situation) { s.Aligned = &a }}
	}
	for _, r := range []ruling{
		{"the source is another topic", nil, nil, needs(NeedPlaces, func(s *Situation) { s.Places = &Places{Source: fsm.TopicID{9}} }),
			"halt: source-recreated, source [0,10)"},
		{"the target is", nil, nil, needs(NeedPlaces, func(s *Situation) { s.Places = &Places{Target: fsm.TopicID{9}} }), "halt: target-recreated, target [0,10)"},
		{"others wrote", nil, nil, needs(NeedLog, log(10, 12)), "halt: foreign-writer, target [10,12)"},
		{"the log ends before the stream", nil, func(s *Situation) { s.Task.Mapping.Segments[0] = fsm.Segment{Source: 20, Target: 20} }, nil, "halt: target-truncated, target [10,20)"},
		{"acknowledged records are lost", nil, nil, needs(NeedLog, log(8, 8)), "open 8@8, epoch -1, 8 records; guarded; event target-lost-acked [8,10)"},
		{"a sequence is due that is ahead", nil, nil, needs(NeedLog, log(12, 10)), "restart: forgotten, producer-epoch-raised"},
		{"the tail could not be read", nil, nil, needs(NeedLog, func(s *Situation) { s.Log = &TargetLog{Observed: Observed{LogEnd: 10}} }), "restart: retry, starting"},
		{"translated, nothing of the checkpoint's is behind", nil, translated, found(Alignment{Source: 19, Segments: []fsm.Segment{{Source: 15, Target: 12}}}),
			"open 19@14, epoch -1, 14 records; segments [{15 12}]; guarded"},
		{"translated, not all can be told", nil, translated, found(Alignment{Source: 15, Repeats: 2}), "halt: position-unknown, target [12,14)"},
		{"translated, not replicated yet", nil, translated, needs(NeedLog, func(s *Situation) { beyond(s); s.Log.High = 13 }), "restart: retry, waiting"},
		{"translated, the target lost what was acknowledged", faulty(Forgotten), func(s *Situation) {
			translated(s)
			s.Task.Mapping.Segments = []fsm.Segment{{Source: 0, Target: 0}, {Source: 7, Target: 5}, {Source: 11, Target: 9}}
		}, map[Need]func(*Situation){NeedLog: log(8, 8), NeedAlignment: func(s *Situation) { s.Aligned = &Alignment{Source: 10, Segments: nil} }},
			"commit 2 of generation 1, translated [{0 0} {7 5}]; producer 7/1 from 8 on; at 10@8, epoch -1, 10 records; event producer-epoch-raised [8,8); tells target-lost-acked [8,10)"},
		{"translated, the target lost it, found when it is opened", nil, translated, map[Need]func(*Situation){NeedLog: log(8, 8), NeedAlignment: func(s *Situation) { s.Aligned = &Alignment{Source: 8} }},
			"restart: forgotten, producer-epoch-raised"},
		{"translated, the target lost more than the last segments", faulty(Forgotten), func(s *Situation) {
			translated(s)
			s.Task.Mapping.Segments = []fsm.Segment{{Source: 0, Target: 0}, {Source: 11, Target: 9}}
			s.Memory.Unacked = []Batch{{Target: 6, Count: 2, Next: 9}}
		}, needs(NeedLog, log(8, 8)),
			"commit 2 of generation 1, translated [{0 0} {9 8}]; producer 7/1 from 8 on; at 9@8, epoch -1, 10 records; event producer-epoch-raised [8,8); tells target-lost-acked [8,10)"},
		{"translated, the checkpoint is behind a gap", nil, func(s *Situation) {
			translated(s)
			s.Memory.Last.Source = 13
			s.Task.Progress.Source = 13
		}, found(Alignment{Source: 17}), "open 17@14, epoch -1, 14 records; segments [{13 10}]; guarded"},
		{"translated, the checkpoint is behind a gap, and others wrote there", nil, func(s *Situation) {
			translated(s)
			s.Memory.Last.Source = 13
			s.Task.Progress.Source = 13
		}, found(Alignment{Source: 16, Segments: []fsm.Segment{{Source: 13, Target: 11}}}), "open 16@14, epoch -1, 14 records; segments [{13 11}]; guarded"},
		{"translated, it came", nil, func(s *Situation) {
			translated(s)
			s.Task.Progress = fsm.Progress{Source: 17, Target: 14, SourceEpoch: 4, Records: 14}
		}, needs(NeedLog, beyond), "open 17@14, epoch 4, 14 records; guarded"},
		{"translated, it was sent here, with its segments", nil, func(s *Situation) {
			translated(s)
			s.Memory.Unacked = []Batch{
				{Target: 10, Count: 2, Next: 13, Segments: []fsm.Segment{{Source: 11, Target: 10}}},
				{Target: 12, Count: 2, Next: 17, Segments: []fsm.Segment{{Source: 15, Target: 12}}},
				{Target: 14, Count: 1, Next: 19, Segments: []fsm.Segment{{Source: 18, Target: 14}}},
			}
		}, needs(NeedLog, beyond), "open 17@14, epoch -1, 14 records; segments [{11 10} {15 12}]; guarded"},
		{"a gap, and an old request was appended while it was waited for", func() *Fault { f := AtSource(Gap, "its-code", 10, 12, "why"); return &f }(), func(s *Situation) {
			s.Memory.OldRequests = true
		}, needs(NeedLog, log(11, 11)), "open 11@11, epoch -1, 11 records; guarded"},
		{"forgotten, not refused", nil, nil, needs(NeedLog, forgot), "open 10@10, epoch 3, 10 records"},
		{"forgotten, and refused here", nil, func(s *Situation) { s.Memory.Refused = 10 }, needs(NeedLog, forgot), "restart: forgotten, producer-epoch-raised"},
		{"forgotten, and refused before", nil, func(s *Situation) { s.Memory.Refused = 6 }, needs(NeedLog, forgot), "open 10@10, epoch 3, 10 records"},
		{"forgotten, sequence 0 is due", nil, func(s *Situation) {
			s.Memory.Refused, s.Task.Mapping.SequenceZero = 10, 10
		}, needs(NeedLog, forgot), "open 10@10, epoch 3, 10 records"},
		{"the end is not replicated", nil, nil, needs(NeedLog, func(s *Situation) { log(10, 10)(s); s.Log.High = 9 }), opened + "; unreplicated"},

		{"beyond the checkpoint, same epoch", nil, nil, map[Need]func(*Situation){NeedLog: beyond, NeedEpochEnd: end(14)}, "open 14@14, epoch 3, 14 records; guarded"},
		{"beyond it, epoch unknown here", nil, func(s *Situation) { s.Memory.Last.SourceEpoch = -1 }, needs(NeedLog, beyond), "open 14@14, epoch -1, 14 records; guarded"},
		{"beyond it, epoch unknown there", nil, nil, map[Need]func(*Situation){NeedLog: beyond, NeedEpochEnd: end(-1)}, "open 14@14, epoch -1, 14 records; guarded"},
		{"an election at the source, nothing differs", nil, nil, map[Need]func(*Situation){NeedLog: beyond, NeedEpochEnd: end(12)}, "open 14@14, epoch -1, 14 records; guarded"},
		{"an election at the source, records differ", nil, nil, map[Need]func(*Situation){NeedLog: beyond, NeedEpochEnd: end(12), NeedDifference: differs(13)},
			"halt: source-truncated, source [13,14)"},
		{"an election at the source, the target cannot be read so far", nil, nil,
			map[Need]func(*Situation){NeedLog: func(s *Situation) { beyond(s); s.Log.High = 13 }, NeedEpochEnd: end(12)}, "restart: retry, waiting"},
	} {
		r.check(t)
	}
}
