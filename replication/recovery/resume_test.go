package recovery

import (
	"testing"

	"sluice/fsm"
)

// stopped makes the stream of a ruling one that has stopped with the code,
// about [10, 12), and was told what to do.
func stopped(code fsm.Code, o fsm.Order, change func(*Situation)) func(*Situation) {
	return func(s *Situation) {
		s.Task.Stop, s.Task.Order = &fsm.Stop{Code: code, From: 10, To: 12, Message: "why"}, o
		if change != nil {
			change(s)
		}
	}
}

// TestOrders: what a stopped stream does without an order is its link's
// policy, as far as the code lets it.
func TestOrders(t *testing.T) {
	for _, c := range []struct {
		code            fsm.Code
		order           fsm.Order
		onLoss, offsets string
		want            fsm.Order
	}{
		{fsm.CodePositionLost, "", fsm.OnLossHalt, fsm.OffsetsAuto, ""},
		{fsm.CodePositionLost, "", fsm.OnLossContinue, fsm.OffsetsAuto, fsm.OrderContinue},
		{fsm.CodePositionLost, "", fsm.OnLossContinue, fsm.OffsetsIdentical, ""},
		{fsm.CodePositionLost, fsm.OrderContinue, fsm.OnLossHalt, fsm.OffsetsIdentical, fsm.OrderContinue},
		{fsm.CodePositionLost, fsm.OrderRecopy, fsm.OnLossContinue, fsm.OffsetsAuto, fsm.OrderRecopy},
		{fsm.CodePositionLost, "", fsm.OnLossRecopy, fsm.OffsetsIdentical, fsm.OrderRecopy},
		{fsm.CodePositionUnknown, "", fsm.OnLossContinue, fsm.OffsetsAuto, ""},
		{fsm.CodePositionUnknown, "", fsm.OnLossRecopy, fsm.OffsetsAuto, ""},
		{fsm.CodeNotEmpty, "", fsm.OnLossRecopy, fsm.OffsetsAuto, ""},
	} {
		got := order(&fsm.Copy{Stop: &fsm.Stop{Code: c.code}, Order: c.order}, &fsm.LinkSpec{OnLoss: c.onLoss, Offsets: c.offsets})
		if got != c.want {
			t.Errorf("%s, order %q, onLoss %s, offsets %s: %q, want %q", c.code, c.order, c.onLoss, c.offsets, got, c.want)
		}
	}
	ruling{"no order", nil, stopped(fsm.CodePositionLost, "", nil), nil, "wait 5s: position-lost"}.check(t)
	ruling{"an order to try again is none to a stream that still stands", nil, stopped(fsm.CodePositionLost, fsm.OrderRetry, nil), nil, "wait 5s: position-lost"}.check(t)
}

// TestContinues goes on past what stopped a stream.
func TestContinues(t *testing.T) {
	needs := func(n Need, f func(*Situation)) map[Need]func(*Situation) { return map[Need]func(*Situation){n: f} }
	source := func(first, end int64) map[Need]func(*Situation) {
		return needs(NeedSource, func(s *Situation) { s.Source = &SourceLog{First: first, End: end} })
	}
	skip := func(code fsm.Code) func(*Situation) { return stopped(code, fsm.OrderContinue, nil) }
	const raised, event = "producer 7/1 from 10 on; at ", "epoch -1, 10 records; event new-segment [10,12)"
	translated := func(s *Situation) { s.Task.Mapping.Phase = fsm.PhaseTranslated }
	aligned := func(log func(*Situation), a Alignment) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedLog: log, NeedAlignment: func(s *Situation) { s.Aligned = &a }}
	}
	for _, r := range []ruling{
		{"position lost", nil, skip(fsm.CodePositionLost), source(15, 20), "commit 2 of generation 1, dense [{0 0} {15 10}]; " + raised + "15@10, " + event},
		{"a batch that is too large", nil, skip(fsm.CodeRecordTooLarge), nil, "commit 2 of generation 1, dense [{0 0} {12 10}]; " + raised + "12@10, " + event},
		{"the source's log diverged before where it begins by now", nil, skip(fsm.CodeSourceTruncated), source(11, 20),
			"commit 2 of generation 2, dense [{11 10}]; producer 7/1 from 10 on; at 11@10, epoch -1, 0 records; event new-segment [10,12)"},
		{"the source's log ends before it diverged", nil, skip(fsm.CodeSourceTruncated), source(2, 7),
			"commit 2 of generation 2, dense [{7 10}]; producer 7/1 from 10 on; at 7@10, epoch -1, 0 records; event new-segment [10,12)"},
		{"identity lost beyond the checkpoint", nil, skip(fsm.CodeIdentityLost), nil, "commit 2 of generation 1, translated [{0 0} {10 10}]; " + raised + "10@10, " + event},
		{"the target lost records from before the stop", nil, skip(fsm.CodeCorruptBatch), needs(NeedLog, log(8, 8)),
			"commit 2 of generation 1, dense [{0 0}]; producer 7/0 from 0 on; at 8@8, epoch -1, 10 records; event target-lost-acked [8,10)"},
		{"the target lost records, and the stop is before them", nil, stopped(fsm.CodeCorruptBatch, fsm.OrderContinue, func(s *Situation) {
			s.Task.Stop.From, s.Task.Stop.To = 7, 9
		}), needs(NeedLog, log(8, 8)), "commit 2 of generation 1, dense [{0 0} {9 8}]; producer 7/1 from 8 on; at 9@8, epoch -1, 10 records; event new-segment [7,9)"},
		{"others wrote meanwhile", nil, skip(fsm.CodeCorruptBatch), needs(NeedLog, log(10, 13)), "halt: foreign-writer, target [10,13)"},
		{"the target lost what the epoch before wrote", nil, skip(fsm.CodeCorruptBatch), needs(NeedLog, log(12, 10)),
			"commit 2 of generation 1, dense [{0 0}]; producer 7/1 from 10 on; at 10@10, epoch -1, 10 records; event producer-epoch-raised [10,10)"},
		{"the target's tail could not be read", nil, skip(fsm.CodeCorruptBatch), needs(NeedLog, func(s *Situation) { s.Log = &TargetLog{Observed: Observed{LogEnd: 10}} }),
			"wait 2s: corrupt-batch"},
		{"where the last producer epoch is spent", nil, stopped(fsm.CodePositionLost, fsm.OrderContinue, func(s *Situation) {
			s.Task.Mapping.ProducerEpoch, s.Task.Mapping.SequenceZero = lastEpoch, 10
		}), nil,
			"commit 2 of generation 1, dense [{0 0} {10 10}]; producer 8/0 from 10 on; at 10@10, " + event},
		{"begins behind others' records", nil, func(s *Situation) {
			*s = stock("", []int{0, 0, 0, 0})
			s.Task.Start = 6
			s.Task.Stop, s.Task.Order = &fsm.Stop{Code: fsm.CodeNotEmpty}, fsm.OrderContinue
		}, needs(NeedLog, func(s *Situation) { s.Log = &TargetLog{Observed: Observed{LogStart: 3, LogEnd: 9}} }),
			"commit 1 of generation 1, dense [{6 9}]; producer 7/0 from 9 on; at 6@9, epoch -1, 0 records; event new-segment [3,9)"},
		{"translated, and ours stand between others'", nil, stopped(fsm.CodeForeignWriter, fsm.OrderContinue, translated), aligned(log(12, 15), Alignment{Source: 13, Segments: []fsm.Segment{{Source: 12, Target: 14}}}),
			"commit 2 of generation 1, translated [{0 0} {12 14} {13 15}]; producer 7/1 from 15 on; at 13@15, " + event},
		{"translated, and not all can be told", nil, stopped(fsm.CodeForeignWriter, fsm.OrderContinue, translated), aligned(log(12, 15), Alignment{Source: 12, Repeats: 1}), "wait 2s: foreign-writer"},
		{"translated, and some may be repeated", nil, stopped(fsm.CodePositionUnknown, fsm.OrderContinue, translated), aligned(log(15, 15), Alignment{Source: 14, Repeats: 2, Segments: []fsm.Segment{{Source: 12, Target: 11}}}),
			"commit 2 of generation 1, translated [{0 0} {12 11} {14 15}]; producer 7/1 from 15 on; at 14@15, " + event},
		{"translated, a batch that is too large behind what is known", nil, stopped(fsm.CodeRecordTooLarge, fsm.OrderContinue, func(s *Situation) {
			translated(s)
			s.Task.Stop.From, s.Task.Stop.To = 17, 18
		}), aligned(log(15, 15), Alignment{Source: 17, Segments: []fsm.Segment{{Source: 12, Target: 11}}}),
			"commit 2 of generation 1, translated [{0 0} {12 11} {18 15}]; producer 7/1 from 15 on; at 18@15, epoch -1, 10 records; event new-segment [17,18)"},
		{"position lost, and more was copied than is known", nil, skip(fsm.CodePositionLost), map[Need]func(*Situation){
			NeedLog: log(12, 12), NeedSource: func(s *Situation) { s.Source = &SourceLog{First: 11, End: 20} },
		}, "commit 2 of generation 1, dense [{0 0} {12 12}]; producer 7/1 from 12 on; at 12@12, " + event},
		{"translated, position lost, and more was copied than is known", nil, stopped(fsm.CodePositionLost, fsm.OrderContinue, translated), map[Need]func(*Situation){
			NeedLog: log(12, 12), NeedSource: func(s *Situation) { s.Source = &SourceLog{First: 14, End: 20} },
			NeedAlignment: func(s *Situation) {
				s.Aligned = &Alignment{Source: 16, Segments: []fsm.Segment{{Source: 14, Target: 10}}}
			},
		}, "commit 2 of generation 1, translated [{0 0} {14 10} {16 12}]; producer 7/1 from 12 on; at 16@12, " + event},
	} {
		r.check(t)
	}
}

// TestContinuesBehindForeignRecords: how many of ours are in the log, and
// where, tell the sequences. Those that others moved get segments of their
// own; without these they would be read as standing where the mapping had
// them.
func TestContinuesBehindForeignRecords(t *testing.T) {
	ours := func(batches ...Batch) func(*Situation) {
		return func(s *Situation) { s.Ours = append([]Batch{}, batches...) }
	}
	answers := func(f, g func(*Situation)) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedLog: f, NeedOurs: g}
	}
	stateless := func(end int64) func(*Situation) {
		return func(s *Situation) {
			s.Log = &TargetLog{High: end, Observed: Observed{LogEnd: end, Tail: &Tail{ProducerID: 99, BaseOffset: end - 1, LastOffset: end - 1}}}
		}
	}
	foreign := func(change func(*Situation)) func(*Situation) {
		return stopped(fsm.CodeForeignWriter, fsm.OrderContinue, change)
	}
	none := func(s *Situation) {
		s.Memory.Last, s.Task.Progress = fsm.Progress{Source: -1, Target: -1}, fsm.Progress{Source: -1, Target: -1}
	}
	const raised, event = "producer 7/1 from ", ", epoch -1, 10 records; event new-segment [10,12)"
	for _, r := range []ruling{
		{"all of ours stand before", nil, foreign(nil), answers(log(10, 13), nil), "commit 2 of generation 1, dense [{0 0} {10 13}]; " + raised + "13 on; at 10@13" + event},
		{"some between them", nil, foreign(nil), answers(log(14, 19), ours(Batch{Sequence: 10, Target: 10, Count: 2}, Batch{Sequence: 12, Target: 15, Count: 2})),
			"commit 2 of generation 1, dense [{0 0} {12 15} {14 19}]; " + raised + "19 on; at 14@19" + event},
		{"all of the new ones behind them", nil, foreign(nil), answers(log(12, 15), ours(Batch{Sequence: 10, Target: 13, Count: 2})),
			"commit 2 of generation 1, dense [{0 0} {10 13} {12 15}]; " + raised + "15 on; at 12@15" + event},
		{"a repeat of what is known", nil, foreign(nil), answers(log(12, 17), ours(Batch{Sequence: 8, Target: 12, Count: 2}, Batch{Sequence: 10, Target: 15, Count: 2})),
			"commit 2 of generation 1, dense [{0 0} {10 15} {12 17}]; " + raised + "17 on; at 12@17" + event},
		{"no state, and only others' behind the checkpoint", nil, foreign(nil), answers(stateless(15), ours()),
			"commit 2 of generation 1, dense [{0 0} {10 15}]; " + raised + "15 on; at 10@15" + event},
		{"no state, no checkpoint, and none of ours", nil, foreign(none), answers(stateless(15), ours()), "wait 2s: foreign-writer"},
		{"no state, the log ends before the checkpoint", nil, foreign(nil), answers(stateless(8), ours()), "wait 2s: foreign-writer"},
	} {
		r.check(t)
	}
}

// TestRecopies begins a new generation once the target is empty.
func TestRecopies(t *testing.T) {
	holds := func(from, to int64) map[Need]func(*Situation) {
		return map[Need]func(*Situation){NeedLog: func(s *Situation) { s.Log = &TargetLog{Observed: Observed{LogStart: from, LogEnd: to}} }}
	}
	again := func(change func(*Situation)) func(*Situation) {
		return stopped(fsm.CodeTargetRecreated, fsm.OrderRecopy, change)
	}
	fresh := func(s *Situation) {
		*s = stock("", []int{0, 0, 0, 0})
		s.Task.Start = 4
		s.Task.Stop, s.Task.Order = &fsm.Stop{Code: fsm.CodeNotEmpty}, fsm.OrderRecopy
	}
	const second = "commit 2 of generation 2, "
	for _, r := range []ruling{
		{"emptied", nil, again(nil), holds(9, 9), second + "dense [{0 9}]; producer 7/1 from 9 on; at 0@9, epoch -1, 0 records; event recopied [0,-1)"},
		{"not emptied", nil, again(nil), holds(3, 9), "wait 2s: target-recreated"},
		{"translated before, and dense again", nil, again(func(s *Situation) { s.Task.Mapping.Phase = fsm.PhaseTranslated }), holds(0, 0),
			second + "dense [{0 0}]; producer 7/1 from 0 on; at 0@0, epoch -1, 0 records; event recopied [0,-1)"},
		{"translated by the link", nil, again(func(s *Situation) { s.Spec.Offsets = fsm.OffsetsTranslated }), holds(0, 0),
			second + "translated [{0 0}]; producer 7/1 from 0 on; at 0@0, epoch -1, 0 records; event recopied [0,-1)"},
		{"identical, and it cannot be", nil, again(func(s *Situation) { s.Spec.Offsets = fsm.OffsetsIdentical }), holds(9, 9), "wait 2s: target-recreated"},
		{"a stream that never began", nil, fresh, holds(9, 9), "commit 1 of generation 1, dense [{4 9}]; producer 7/0 from 9 on; at 4@9, epoch -1, 0 records; event recopied [4,-1)"},
	} {
		r.check(t)
	}
}
