package recovery

import (
	"cmp"
	"testing"

	"sluice/fsm"
)

// TestFilled are the ways of a stream whose gaps are filled. Ten offsets of both
// sides are done, of which two were filled: eight records have the sequences 0 to
// 7, under producer epoch 1 from offset 0 on.
func TestFilled(t *testing.T) {
	change := func(f func(*Situation)) func(*Situation) {
		return func(s *Situation) {
			s.Task.Mapping.Filled, s.Task.Mapping.ProducerEpoch, s.Gaps.Fills = true, 1, true
			s.Memory.OldRequests = false
			if f != nil {
				f(s)
			}
		}
	}
	ours := func(last int64, sequence int32) *Tail {
		return &Tail{ProducerID: 7, Epoch: 1, BaseOffset: last, BaseSequence: sequence, Count: 1, LastOffset: last, MaxTimestamp: young}
	}
	// world is a target that ended at before, and after the fence at end; its leader's
	// state is of a last sequence, -1: none.
	type world struct {
		before, end int64
		start       int64
		last        int32
		data        LastData
		ahead       int64
		kept        int64 // end of the checkpoint's leader epoch, 0: not known
		owner       Ownership
	}
	of := func(w world) map[Need]func(*Situation) {
		if w.owner == OwnerUnasked {
			w.owner = OwnerConfirmed
		}
		return map[Need]func(*Situation){
			NeedFence: func(s *Situation) {
				s.Memory.Fenced(w.before)
				s.Gaps.Fenced, s.Log, s.Owner = true, nil, OwnerUnasked
			},
			NeedLog: func(s *Situation) {
				s.Log = &TargetLog{High: w.end, Observed: Observed{LogStart: w.start, LogEnd: w.end}}
				if !s.Gaps.Fenced {
					s.Log.LogEnd = w.before
				}
				if w.last >= 0 {
					s.Log.Producer = &Producer{Epoch: 1, LastSequence: w.last, LastTimestamp: young}
				}
			},
			NeedKept:  func(s *Situation) { s.Gaps.Kept = new(cmp.Or(w.kept, int64(-1))) },
			NeedData:  func(s *Situation) { s.Gaps.Data = &w.data },
			NeedAhead: func(s *Situation) { s.Gaps.Ahead = &Ahead{Offset: w.ahead} },
			NeedOwner: func(s *Situation) { s.Owner = w.owner },
			NeedOldRequests: func(s *Situation) {
				s.Waited, s.Memory.OldRequests, s.Log, s.Gaps = true, false, nil, Gaps{Fills: true}
			},
		}
	}
	gap := func(to int64) *Fault {
		f := AtSource(Gap, fsm.CodeTranslated, 10, to, "why")
		f.Transaction = true
		return &f
	}
	dense := func(f func(*Situation)) func(*Situation) {
		return func(s *Situation) {
			s.Gaps.Fills = true
			if f != nil {
				f(s)
			}
		}
	}
	for _, r := range []ruling{
		{"the first gap", gap(12), dense(nil), of(world{before: 10, end: 10, last: 9}),
			"commit 2 of generation 1, dense [{0 0}]; producer 7/1 from 10 on; at 10@10, epoch 3, 10 records; event gaps-filled [10,12)"},
		{"the first gap, offsets have to be identical", gap(12), dense(func(s *Situation) { s.Spec.Offsets = fsm.OffsetsIdentical }), of(world{before: 10, end: 10, last: 9}),
			"commit 2 of generation 1, dense [{0 0}]; producer 7/1 from 10 on; at 10@10, epoch 3, 10 records; event gaps-filled [10,12)"},
		{"the first gap, not to be filled", gap(12), nil, nil,
			"commit 2 of generation 1, translated [{0 0} {12 10}]; producer 7/1 from 10 on; at 12@10, epoch -1, 10 records; event left-dense [10,12)"},
		{"a gap gives back what a marker took", gap(12), change(func(s *Situation) { s.Task.Mapping.Bump = 1 }), of(world{before: 10, end: 10, last: 7}),
			"commit 2 of generation 1, dense [{0 0} {11 10}]; producer 7/2 from 10 on; at 11@10, epoch -1, 10 records; event offset-bump [10,10)"},
		{"a gap gives back what a marker took, and the link says translate by now", gap(12), change(func(s *Situation) { s.Task.Mapping.Bump, s.Gaps.Fills = 1, false }), of(world{before: 10, end: 10, last: 7}),
			"commit 2 of generation 1, dense [{0 0} {11 10}]; producer 7/2 from 10 on; at 11@10, epoch -1, 10 records; event offset-bump [10,10)"},
		{"compaction made it", func() *Fault { f := gap(12); f.Transaction = false; return f }(), change(nil), of(world{before: 10, end: 10, last: 7}),
			"commit 2 of generation 1, translated [{0 0} {12 10}]; producer 7/2 from 10 on; at 12@10, epoch -1, 10 records; event left-dense [10,12)"},

		{"nothing is behind the checkpoint", nil, change(nil), of(world{before: 10, end: 10, last: 7}), opened},
		{"records are", nil, change(nil), of(world{before: 13, end: 13, last: 10, data: LastData{Ours: ours(12, 10)}}), "open 13@13, epoch -1, 13 records; guarded"},
		{"records, and filler of a gap that goes on", nil, change(nil), of(world{before: 15, end: 15, last: 10, data: LastData{Ours: ours(12, 10)}, ahead: 16}), "open 15@15, epoch -1, 15 records; guarded"},
		{"a marker is written twice", nil, change(nil), of(world{before: 15, end: 15, last: 10, data: LastData{Ours: ours(12, 10)}, ahead: 14}),
			"commit 2 of generation 1, dense [{0 0} {14 15}]; producer 7/2 from 15 on; at 14@15, epoch -1, 10 records; event offset-bump [15,15)"},
		{"the fence itself has added a marker too many", nil, change(nil), of(world{before: 10, end: 11, last: 7, ahead: 10}),
			"commit 2 of generation 1, dense [{0 0} {10 11}]; producer 7/2 from 11 on; at 10@11, epoch -1, 10 records; event offset-bump [11,11)"},
		{"the fence before this one has written over what is lost", nil, change(func(s *Situation) { s.Memory.Fenced(8) }), of(world{before: 10, end: 10, last: 5, data: LastData{Ours: ours(7, 5)}, ahead: 10}), "restart: forgotten, producer-epoch-raised"},
		{"filler has grown over what is lost", nil, change(func(s *Situation) { s.Memory.Last.TargetEpoch = 4 }), of(world{before: 10, end: 10, last: 5, data: LastData{Ours: ours(7, 5)}, kept: 8, ahead: 10}), "restart: forgotten, producer-epoch-raised"},
		{"the leader changed, and nothing is lost", nil, change(func(s *Situation) { s.Memory.Last.TargetEpoch = 4 }), of(world{before: 12, end: 12, last: 7, kept: 10, ahead: 13}), "open 12@12, epoch -1, 12 records; guarded"},
		{"retention took all that stood behind the checkpoint, records perhaps", nil, change(func(s *Situation) { s.Memory.Attempts = unknownTries }),
			of(world{start: 15, before: 15, end: 15, last: 12, ahead: 10}), "halt: position-unknown, target [10,15)"},
		{"retention took it, and the source has nothing there", nil, change(nil), of(world{start: 15, before: 15, end: 15, last: 12, ahead: 15}), "open 15@15, epoch -1, 15 records; guarded"},
		{"records of a later producer epoch, which the broker forgot", nil, change(nil), of(world{before: 13, end: 13, last: -1, data: LastData{Ours: &Tail{ProducerID: 7, Epoch: 2, BaseOffset: 12, LastOffset: 12, Count: 1}}}),
			"halt: foreign-writer, target [-1,13)"},
		{"a cleaner took records of our last batch", nil, change(nil), of(world{before: 13, end: 13, last: 10, data: LastData{Ours: &Tail{ProducerID: 7, Epoch: 1, BaseOffset: 10, BaseSequence: 8, LastOffset: 12, MaxTimestamp: young}}}),
			"open 13@13, epoch -1, 13 records; guarded"},
		{"others wrote", nil, change(nil), of(world{before: 13, end: 13, last: 7, data: LastData{Other: &Tail{ProducerID: 9, BaseOffset: 11}}}), "halt: foreign-writer, target [11,13)"},
		{"acknowledged records are lost", nil, change(nil), of(world{before: 8, end: 8, last: 5, data: LastData{Ours: ours(7, 5)}}), "restart: forgotten, producer-epoch-raised"},
		{"acknowledged records are lost, and the fence has written over them", nil, change(nil), of(world{before: 8, end: 10, last: 5, data: LastData{Ours: ours(7, 5)}, ahead: 8}),
			"commit 2 of generation 1, dense [{0 0} {8 10}]; producer 7/2 from 10 on; at 8@10, epoch -1, 10 records; event offset-bump [10,10); tells target-lost-acked [8,10)"},
		{"the broker forgot us", nil, change(nil), of(world{before: 10, end: 10, last: -1}), "restart: forgotten, producer-epoch-raised"},
		{"the broker forgot us, our last batch is there", nil, change(nil), of(world{before: 10, end: 10, last: -1, data: LastData{Ours: ours(8, 7)}}), opened},
		{"the producer epoch has written nothing", nil, change(func(s *Situation) { s.Task.Mapping.SequenceZero = 10 }), of(world{before: 10, end: 10, last: -1}), "open 10@10, epoch 3, 10 records"},
		{"it is another's by now", nil, change(nil), of(world{before: 10, end: 10, last: 7, owner: OwnerLost}), "end here: another node owns it"},
		{"no leader can be asked", nil, change(nil), of(world{before: 10, end: 10, last: 7, owner: OwnerUnknown}), "wait 40ms: waiting"},

		{"a position that is not known is gone on past", nil, change(stopped(fsm.CodePositionUnknown, fsm.OrderContinue, nil)), of(world{before: 10, end: 10, last: 7}),
			"commit 2 of generation 1, translated [{0 0} {10 10}]; producer 7/2 from 10 on; at 10@10, epoch -1, 10 records; event new-segment [10,12)"},
		{"a batch is gone on past, and the target lost records from before it", nil, change(stopped(fsm.CodeCorruptBatch, fsm.OrderContinue, func(s *Situation) {
			s.Task.Mapping.Bump, s.Task.Mapping.Segments = 1, []fsm.Segment{{Source: 0, Target: 0}, {Source: 8, Target: 9}}
			s.Memory.Last.Source = 9
		})), of(world{before: 8, end: 8, last: 5, data: LastData{Ours: ours(7, 5)}}),
			"commit 2 of generation 1, dense [{0 0}]; producer 7/2 from 8 on; at 8@8, epoch -1, 10 records; event producer-epoch-raised [8,8); tells target-lost-acked [8,10)"},
	} {
		r.check(t)
	}
}
