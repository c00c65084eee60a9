package remedies

import (
	"testing"

	"sluice/fsm"
	"sluice/test/rig"
)

func adoptedCases() []testCase {
	return []testCase{
		{"adopted, it copied on", adoptedLater},
		{"adopted, it left dense", adoptedTranslated},
		{"adopted, of an unknown stream", adoptedUnknown},
		{"adopted, nothing is left in the target", adoptedEmpty},
	}
}

// adopted makes the link another Sluice cluster's, which begins with facts of
// before, while the lost one's owner still runs, cut off from every leader; own
// takes its streams over.
func (w *world) adopted(t *testing.T, lost *runner, before *fsm.View) {
	t.Helper()
	producer := w.View().Link(1).ProducerID
	lost.Cut(true)
	w.produce(t, 2) // it may copy them, or the new owner
	w.Succeed(t, before)
	w.Do(t, &fsm.LinkAdopt{Link: 1, From: w.View().Link(1).Held, ProducerID: producer, At: 1})
	w.own(t, 2)
}

// onceEach checks that all that was produced is there once, before and after the
// new owner has gone on. The lost owner ends before that: until the new one has
// written its first record, the target would take the next from either.
func (w *world) onceEach(t *testing.T, lost *runner) {
	t.Helper()
	rig.Until(t, timeout, "the new owner has found its place", func() bool { return !w.task().Copy.Unsure })
	w.holds(t, 0, [2]int{0, w.made})
	lost.Close()
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, w.made})
	if m := w.task().Copy.Mapping; m.ProducerEpoch == 0 {
		t.Errorf("mapping %+v", m)
	}
	w.none(t, fsm.CodeForeignWriter, fsm.CodeTargetLostAcked)
}

func adoptedLater(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	before := w.View()
	w.produce(t, 4)
	w.acked(t, r, 9)
	w.adopted(t, r, before)
	w.onceEach(t, r)
	w.goesOnIdentically(t)
}

func adoptedTranslated(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	before := w.View()
	w.produce(t, 2)
	w.transaction(t, 2, true)
	w.produce(t, 2)
	w.acked(t, r, 12) // with the transaction's marker
	w.adopted(t, r, before)
	w.onceEach(t, r)
	if phase := w.task().Copy.Mapping.Phase; phase != fsm.PhaseTranslated {
		t.Errorf("it is %s", phase)
	}
}

func adoptedUnknown(t *testing.T, l *lab) {
	w := l.world(t, link{})
	before := w.View()
	w.produce(t, 5)
	r := w.own(t, 1)
	w.acked(t, r, 5)
	w.adopted(t, r, before)
	w.onceEach(t, r)
	w.goesOnIdentically(t)
}

func adoptedEmpty(t *testing.T, l *lab) {
	w := l.world(t, link{})
	before := w.View()
	w.produce(t, 5)
	r := w.own(t, 1)
	w.acked(t, r, 5)
	r.Close()
	trim(t, l.dst, w.topic, 5)
	w.Succeed(t, before)
	w.Do(t, &fsm.LinkAdopt{Link: 1, From: w.View().Link(1).Held, ProducerID: -1, At: 1})
	w.own(t, 2)
	w.stopped(t, fsm.Stop{Code: fsm.CodePositionUnknown, From: 5, To: 5, Target: true})
}
