package remedies

import (
	"testing"

	"sluice/fsm"
	"sluice/test/load"
	"sluice/test/rig"
)

func beginCases() []testCase {
	return []testCase{
		{"not empty, retry", notEmptyRetry},
		{"not empty, continue", notEmptyContinue},
		{"not empty, recopy", notEmptyRecopy},
		{"trimmed head", trimmedHead},
		{"latest", latest},
		{"identical refuses a shift", identicalShift},
		{"identical refuses a gap", identicalGap},
		{"translated is never dense", neverDense},
		{"loop", loop},
		{"loop on the same names", sameNames},
	}
}

// notEmpty is a target that holds two records when the link comes, although
// its policy is to go on.
func (l *lab) notEmpty(t *testing.T, spec fsm.LinkSpec) (*world, *runner) {
	t.Helper()
	spec.OnLoss = fsm.OnLossContinue
	w := l.world(t, link{spec: spec})
	w.foreign(t, 2)
	w.produce(t, 3)
	r := w.own(t, 1)
	w.stopped(t, notEmptyStop())
	return w, r
}

func notEmptyStop() fsm.Stop {
	return fsm.Stop{Code: fsm.CodeNotEmpty, From: 0, To: 2, Target: true}
}

func notEmptyRetry(t *testing.T, l *lab) {
	w, _ := l.notEmpty(t, fsm.LinkSpec{})
	w.retryStops(t, notEmptyStop())
	trim(t, l.dst, w.topic, 2)
	w.order(t, fsm.OrderRetry)
	w.holds(t, 2, [2]int{0, 3})
	w.produce(t, 2)
	w.holds(t, 2, [2]int{0, 5})
	w.same(t, shifted(2))
}

func notEmptyContinue(t *testing.T, l *lab) {
	w, _ := l.notEmpty(t, fsm.LinkSpec{})
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{-2, 0}, [2]int{0, 3})
	w.event(t, fsm.CodeNewSegment, 0, 2)
	w.own(t, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{-2, 0}, [2]int{0, 5})
	w.same(t, shifted(2))
}

func notEmptyRecopy(t *testing.T, l *lab) {
	w, r := l.notEmpty(t, fsm.LinkSpec{})
	w.order(t, fsm.OrderRecopy)
	w.waits(t, r)
	w.recreate(t, true)
	w.holds(t, 0, [2]int{0, 3})
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.goesOnIdentically(t)
}

func trimmedHead(t *testing.T, l *lab) {
	w := l.world(t, link{})
	w.produce(t, 10)
	trim(t, l.src, w.topic, 4)
	w.own(t, 1)
	w.holds(t, 0, [2]int{4, 10})
	w.produce(t, 3)
	w.holds(t, 0, [2]int{4, 13})
	w.same(t, shifted(-4))
	w.othersGoOn(t)
}

func latest(t *testing.T, l *lab) {
	w := l.world(t, link{start: 6})
	w.produce(t, 9) // it moved on before the stream began
	w.own(t, 1)
	w.holds(t, 0, [2]int{6, 9})
	w.own(t, 2)
	w.produce(t, 3)
	w.holds(t, 0, [2]int{6, 12})
	w.same(t, shiftedFrom(-6, 6))
}

// identicalShift: the source's head is trimmed, so that identical offsets
// cannot be had; an operator may go on without.
func identicalShift(t *testing.T, l *lab) {
	w := l.world(t, link{spec: fsm.LinkSpec{Offsets: fsm.OffsetsIdentical, OnLoss: fsm.OnLossContinue}})
	w.produce(t, 6)
	trim(t, l.src, w.topic, 4)
	r := w.own(t, 1)
	stop := fsm.Stop{Code: fsm.CodeIdentityLost, From: 0, To: 4, Target: true}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderRecopy)
	w.waits(t, r)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{4, 6})
	w.produce(t, 3)
	w.holds(t, 0, [2]int{4, 9})
	w.same(t, shifted(-4))
}

// identicalGap: the first transaction marker takes an offset.
func identicalGap(t *testing.T, l *lab) {
	w := l.world(t, link{spec: fsm.LinkSpec{Offsets: fsm.OffsetsIdentical, OnLoss: fsm.OnLossContinue}})
	w.produce(t, 2)
	r := w.own(t, 1)
	w.acked(t, r, 2)
	r.Checkpoint(t, r.Runner)
	w.produce(t, 3)
	w.acked(t, r, 5)
	w.transaction(t, 2, true)
	w.produce(t, 2)
	stop := fsm.Stop{Code: fsm.CodeIdentityLost, From: 7, To: 8}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.none(t, fsm.CodeTranslated)
	// Another node carries out the order: what it does not know is in the facts.
	r.Close()
	w.own(t, 2)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 9})
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 11})
	w.same(t, load.Options{IgnoreOffsets: true})
}

func neverDense(t *testing.T, l *lab) {
	for _, empty := range []bool{true, false} {
		w := l.world(t, link{spec: fsm.LinkSpec{Offsets: fsm.OffsetsTranslated}})
		w.produce(t, 4)
		if !empty {
			w.foreign(t, 2)
		}
		r := w.own(t, 1)
		at, before := int64(0), [2]int{}
		if !empty {
			w.stopped(t, notEmptyStop())
			w.order(t, fsm.OrderContinue)
			at, before = 2, [2]int{-2, 0}
		}
		w.holds(t, 0, before, [2]int{0, 4})
		r.Checkpoint(t, r.Runner)
		if m := w.task().Copy.Mapping; m.Phase != fsm.PhaseTranslated {
			t.Errorf("mapping %+v", m)
		}
		w.produce(t, 2)
		w.holds(t, 0, before, [2]int{0, 6})
		w.same(t, shifted(at))
	}
}

// loop: a second link copies the target topic back to the first one's source,
// under another name. What the first one wrote is not copied back; what others
// wrote there is.
func loop(t *testing.T, l *lab) {
	w := l.world(t, link{})
	name := w.topic + "-back"
	create(t, l.src, name, 1, nil)
	w.Do(t, &fsm.Objects{Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "back", Source: "eu", Target: "us", Offsets: fsm.OffsetsAuto}}}})
	w.Do(t, &fsm.StreamsAdd{Link: 2, Streams: []fsm.StreamKey{{Topic: w.topic, TargetTopic: name}}})
	w.produce(t, 5)
	r := w.own(t, 1)
	w.holds(t, 0, [2]int{0, 5})
	w.foreign(t, 2)
	w.produce(t, 1)
	w.stopped(t, fsm.Stop{Code: fsm.CodeForeignWriter, From: 5, To: 8, Target: true})
	w.order(t, fsm.OrderContinue)
	w.produce(t, 1)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, 7})
	rig.Until(t, timeout, "the way back is done", func() bool {
		r.Checkpoint(t, r.Runner)
		return wayBack(w).Copy.Progress.Source == 9
	})
	if b := wayBack(w); b.Copy.Stop != nil || b.Copy.Progress.Records != 2 || b.Copy.Mapping.Phase != fsm.PhaseTranslated {
		t.Errorf("the way back: %+v", b)
	}
	got := w.Read(t, l.src.Direct(), name, 0, 2, timeout)
	if string(got[0].Value) != "foreign" || string(got[1].Value) != "foreign" {
		t.Errorf("copied back: %q and %q", got[0].Value, got[1].Value)
	}
	w.same(t, shiftedFrom(2, 5))
}

// wayBack is the second link's copy task.
func wayBack(w *world) *fsm.Task {
	for task := range w.View().Tasks {
		if task.Link == 2 && task.Kind == fsm.KindCopy {
			return task
		}
	}
	return nil
}

// sameNames would have two links copy one topic in both directions, both sides
// with writers of their own.
func sameNames(t *testing.T, _ *lab) {
	t.Skip("left out: writers: shared begins behind others' records, but their next one stops the stream with foreign-writer; going on needs the fence of translated streams")
}
