package recovery

import (
	"math"
	"testing"

	"sluice/fsm"
)

// TestDerive has each branch once. The mapping is identical from 0, or from
// 100 with a producer epoch that begins at 150, unless a case says otherwise.
func TestDerive(t *testing.T) {
	plain := dense(0, fsm.Segment{})
	raised := dense(150, fsm.Segment{Source: 100, Target: 100})
	raised.ProducerEpoch = 3
	far := dense(0, fsm.Segment{})
	translated := dense(0, fsm.Segment{})
	translated.Phase = fsm.PhaseTranslated
	state := func(epoch int16, last int32) *Producer {
		return &Producer{Epoch: epoch, LastSequence: last, LastTimestamp: 5}
	}
	tail := func(epoch int16, base int64, seq, count int32) *Tail {
		return &Tail{ProducerID: 7, Epoch: epoch, BaseOffset: base, BaseSequence: seq, Count: count, LastOffset: base + int64(count) - 1, MaxTimestamp: 5}
	}
	foreignTail := func(base, end int64) *Tail { return &Tail{ProducerID: 9, BaseOffset: base, LastOffset: end - 1} }
	at := func(source, target int64) fsm.Progress { return fsm.Progress{Source: source, Target: target} }
	none := at(-1, -1)

	type want struct {
		outcome        Outcome
		source, from   int64
		to, ours, time int64
	}
	found := func(source, time int64) want { return want{Found, source, -1, -1, -1, time} }
	foreign := func(from, to, ours int64) want { return want{Foreign, 0, from, to, ours, -2} }
	for _, c := range []struct {
		name string
		m    *fsm.Mapping
		p    fsm.Progress
		o    Observed
		want want
	}{
		{"nothing written yet", plain, none, Observed{LogEnd: 0}, found(0, -1)},
		{"state, as the checkpoint", plain, at(10, 10), Observed{LogEnd: 10, Producer: state(0, 9)}, found(10, 5)},
		{"state, beyond the checkpoint", plain, at(10, 10), Observed{LogEnd: 40, Producer: state(0, 39)}, found(40, 5)},
		{"state, sequence at its end", far, at(5, 5), Observed{LogEnd: 1 << 31, Producer: state(0, math.MaxInt32)}, found(1<<31, 5)},
		{"state, sequence wrapped", far, at(5, 5), Observed{LogEnd: 3<<31 + 6, Producer: state(0, 5)}, found(3<<31+6, 5)},
		{"acknowledged records lost", plain, at(40, 40), Observed{LogEnd: 30, Producer: state(0, 29)}, want{LostAcked, 30, 30, 40, -1, 5}},
		{"all of them lost", plain, at(40, 40), Observed{LogEnd: 0}, want{LostAcked, 0, 0, 40, -1, -1}},
		{"the start itself lost", raised, at(120, 120), Observed{LogEnd: 90}, want{Truncated, 0, 90, 100, -1, -1}},
		{"foreign records behind ours", plain, at(10, 10), Observed{LogEnd: 25, Producer: state(0, 19)}, foreign(20, 25, 20)},
		{"foreign records behind a repeat of ours", plain, at(15, 15), Observed{LogEnd: 25, Producer: state(0, 9)}, foreign(15, 25, 15)},
		{"the log ends before records that are said to be foreign", plain, at(30, 30), Observed{LogEnd: 25, Producer: state(0, 9)}, foreign(10, 25, 10)},
		{"state ahead of the log", plain, at(10, 10), Observed{LogEnd: 15, Producer: state(0, 19)}, want{RaiseEpoch, 0, -1, -1, -1, 5}},
		{"an epoch of ours that we do not know", plain, at(10, 10), Observed{LogEnd: 15, Producer: state(1, 4)}, foreign(-1, 15, -1)},
		{"raised, nothing written in it", raised, at(150, 150), Observed{LogEnd: 150, Producer: state(2, 49)}, found(150, -1)},
		{"raised, and the log lost its place", raised, at(150, 150), Observed{LogEnd: 140, Producer: state(2, 39)}, want{RaiseEpoch, 0, -1, -1, -1, 5}},
		{"raised, and the old epoch wrote on", raised, at(150, 150), Observed{LogEnd: 155, Producer: state(2, 54)}, foreign(150, 155, 150)},
		{"raised and written", raised, at(150, 150), Observed{LogEnd: 155, Producer: state(3, 4)}, found(155, 5)},
		{"no state, tail not read", plain, at(10, 10), Observed{LogEnd: 20}, want{NeedTail, 0, -1, -1, -1, -1}},
		{"no state, tail ours", plain, at(10, 10), Observed{LogEnd: 20, Tail: tail(0, 15, 15, 5)}, found(20, 5)},
		{"no state, tail foreign", plain, at(10, 10), Observed{LogEnd: 20, Tail: foreignTail(18, 20)}, foreign(10, 20, -1)},
		{"no state, tail foreign, end before the checkpoint", plain, at(30, 30), Observed{LogEnd: 20, Tail: foreignTail(18, 20)}, foreign(20, 20, -1)},
		{"no state, tail of ours with another sequence", plain, at(10, 10), Observed{LogEnd: 20, Tail: tail(0, 15, 16, 5)}, foreign(10, 20, -1)},
		{"no state, tail of another epoch", plain, at(10, 10), Observed{LogEnd: 20, Tail: tail(1, 15, 15, 5)}, foreign(10, 20, -1)},
		{"no state, tail ends before the log", plain, at(10, 10), Observed{LogEnd: 20, Tail: tail(0, 14, 14, 5)}, foreign(10, 20, -1)},
		{"no state, tail ours but transactional", plain, at(10, 10), Observed{LogEnd: 20, Tail: func() *Tail { t := tail(0, 15, 15, 5); t.Transactional = true; return t }()}, foreign(10, 20, -1)},
		{"no state, start behind others' records", dense(20, fsm.Segment{Source: 5, Target: 20}), none, Observed{LogEnd: 20, Tail: foreignTail(18, 20)}, found(5, -1)},
		{"no state, raised here, tail of the old epoch", raised, at(120, 120), Observed{LogEnd: 150, Tail: tail(2, 140, 40, 10)}, found(150, -1)},
		{"no state, raised here behind foreign records", raised, at(150, 150), Observed{LogEnd: 150, Tail: foreignTail(140, 150)}, found(150, -1)},
		{"no state, raised behind foreign records, all written since lost", raised, at(180, 180), Observed{LogEnd: 150, Tail: foreignTail(140, 150)}, want{LostAcked, 150, 150, 180, -1, -1}},
		{"no state, foreign records in the place of lost ones", raised, at(150, 150), Observed{LogEnd: 140, Tail: foreignTail(130, 140)}, foreign(140, 140, -1)},
		{"no state, the log ends behind others' records at the start", raised, at(150, 150), Observed{LogEnd: 100, Tail: foreignTail(90, 100)}, want{RaiseEpoch, 0, -1, -1, -1, -1}},
		{"over a gap behind the checkpoint", dense(0, fsm.Segment{}, fsm.Segment{Source: 70, Target: 60}), at(50, 50), Observed{LogEnd: 65, Producer: state(0, 64)}, found(75, 5)},
		{"behind others' records, which the checkpoint is before", gapped(), at(75, 65), Observed{LogEnd: 90, Producer: state(0, 89)}, found(95, 5)},
		{"the log ends among others' records", gapped(), at(90, 85), Observed{LogEnd: 82, Producer: state(0, 79)}, want{Unknown, 0, 82, 85, -1, -1}},
		{"no state, raised, and the log lost its place", raised, at(150, 150), Observed{LogEnd: 140, Tail: tail(2, 130, 30, 10)}, want{RaiseEpoch, 0, -1, -1, -1, -1}},
		{"emptied, ends at the checkpoint", plain, at(20, 20), Observed{LogStart: 20, LogEnd: 20}, found(20, -1)},
		{"emptied, ends where the epoch begins", raised, none, Observed{LogStart: 150, LogEnd: 150}, found(150, -1)},
		{"emptied, before the epoch", raised, none, Observed{LogStart: 140, LogEnd: 140}, want{RaiseEpoch, 0, -1, -1, -1, -1}},
		{"emptied, ends elsewhere", plain, at(20, 20), Observed{LogStart: 30, LogEnd: 30}, foreign(20, 30, -1)},
		{"translated, as the checkpoint", translated, at(90, 20), Observed{LogEnd: 20, Producer: state(0, 19)}, found(90, 5)},
		{"translated, beyond it", translated, at(90, 20), Observed{LogEnd: 25, Producer: state(0, 24)}, want{Unknown, 0, 20, 25, -1, 5}},
		{"translated, never checkpointed, nothing written", translated, none, Observed{LogEnd: 0}, found(0, -1)},
	} {
		got := Derive(c.m, c.p, c.o, nil)
		w := c.want
		if got.Outcome != w.outcome || got.Source != w.source || got.From != w.from || got.To != w.to || got.Ours != w.ours || got.Target != c.o.LogEnd {
			t.Errorf("%s: %+v, want %+v", c.name, got, w)
		}
		if w.time != -2 && got.LastTime != w.time {
			t.Errorf("%s: LastTime %d, want %d", c.name, got.LastTime, w.time)
		}
	}
}

// What the process itself sent settles a translated stream, and never a dense
// one: its mapping knows better behind a gap.
func TestDeriveByWhatWasSent(t *testing.T) {
	known := func(target int64) (int64, bool) { return 77, target == 25 }
	m := dense(0, fsm.Segment{})
	o := Observed{LogEnd: 25, Producer: &Producer{LastSequence: 24}}
	if got := Derive(m, fsm.Progress{Source: 20, Target: 20}, o, known); got.Source != 25 {
		t.Errorf("dense: %+v", got)
	}
	m.Phase = fsm.PhaseTranslated
	if got := Derive(m, fsm.Progress{Source: 90, Target: 20}, o, known); got.Outcome != Found || got.Source != 77 {
		t.Errorf("translated: %+v", got)
	}
}

func dense(zero int64, segs ...fsm.Segment) *fsm.Mapping {
	return &fsm.Mapping{Version: 1, Generation: 1, Phase: fsm.PhaseDense, ProducerID: 7, SequenceZero: zero, Segments: segs}
}

// gapped: source 60 to 69 are skipped at target 60; another writer's records
// stand at target 80 to 84.
func gapped() *fsm.Mapping {
	return dense(0, fsm.Segment{Source: 0, Target: 0}, fsm.Segment{Source: 70, Target: 60}, fsm.Segment{Source: 90, Target: 85})
}
