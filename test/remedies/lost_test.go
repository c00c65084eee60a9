package remedies

import (
	"testing"

	"sluice/fsm"
	"sluice/test/rig"
)

func lostCases() []testCase {
	return []testCase{
		{"position lost, continue", positionLost},
		{"position lost, policy continue", positionLostPolicy},
		{"position lost, policy continue, identical", positionLostIdentical},
		{"position lost, policy recopy", positionLostRecopy},
		{"position lost while copying", positionLostCopying},
		{"retention past the checkpoint only", checkpointOvertaken},
	}
}

// overtaken copies five records, stops, and comes back when retention has
// taken 5 to 8 and left 9 to 14.
func (l *lab) overtaken(t *testing.T, spec fsm.LinkSpec) (*world, *runner) {
	t.Helper()
	w, r := l.copied5(t, link{spec: spec})
	r.Checkpoint(t, r.Runner)
	r.Close()
	w.produce(t, 10)
	trim(t, l.src, w.topic, 9)
	return w, w.own(t, 2)
}

func positionLost(t *testing.T, l *lab) {
	w, _ := l.overtaken(t, fsm.LinkSpec{})
	stop := fsm.Stop{Code: fsm.CodePositionLost, From: 5, To: 9}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderContinue)
	w.behindTheGap(t)
}

// behindTheGap checks a stream that went on past source offsets 5 to 8.
func (w *world) behindTheGap(t *testing.T) {
	t.Helper()
	w.holds(t, 0, [2]int{0, 5}, [2]int{9, 15})
	w.event(t, fsm.CodeNewSegment, 5, 9)
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, 5}, [2]int{9, 18})
	w.same(t, shiftedFrom(-4, 9))
	m := w.task().Copy.Mapping
	if m.Phase != fsm.PhaseDense || m.Generation != 1 || len(m.Segments) != 2 || m.Segments[1] != (fsm.Segment{Source: 9, Target: 5}) {
		t.Errorf("mapping %+v", m)
	}
	// The gap is a fact: the next owner counts on behind it.
	w.own(t, 3)
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, 5}, [2]int{9, 21})
}

func positionLostPolicy(t *testing.T, l *lab) {
	w, _ := l.overtaken(t, fsm.LinkSpec{OnLoss: fsm.OnLossContinue})
	w.event(t, fsm.CodePositionLost, 5, 9)
	w.behindTheGap(t)
	w.othersGoOn(t)
}

// positionLostIdentical: going on would change offsets, which this link
// forbids; only an operator may order it.
func positionLostIdentical(t *testing.T, l *lab) {
	w, _ := l.overtaken(t, fsm.LinkSpec{OnLoss: fsm.OnLossContinue, Offsets: fsm.OffsetsIdentical})
	stop := fsm.Stop{Code: fsm.CodePositionLost, From: 5, To: 9}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.none(t, fsm.CodeNewSegment)
	w.order(t, fsm.OrderContinue)
	w.behindTheGap(t)
}

// positionLostRecopy: the target is emptied by DeleteRecords, its log start
// stays: a constant shift from the source's log start on.
func positionLostRecopy(t *testing.T, l *lab) {
	w, r := l.overtaken(t, fsm.LinkSpec{OnLoss: fsm.OnLossRecopy})
	w.stopped(t, fsm.Stop{Code: fsm.CodePositionLost, From: 5, To: 9})
	w.waits(t, r)
	trim(t, l.dst, w.topic, 5)
	w.holds(t, 5, [2]int{9, 15})
	w.event(t, fsm.CodeRecopied, 9, -1)
	w.produce(t, 3)
	w.holds(t, 5, [2]int{9, 18})
	w.same(t, shifted(-4))
	if m := w.task().Copy.Mapping; m.Generation != 2 || m.Phase != fsm.PhaseDense {
		t.Errorf("mapping %+v", m)
	}
}

// positionLostCopying: the position is lost while the stream is held up at
// the target, with batches in flight and more waiting.
func positionLostCopying(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	hold := l.holdProduce(r)
	w.produce(t, 10)
	chosen(t, hold, 1)
	trim(t, l.src, w.topic, 15)
	hold.Release()
	w.produce(t, 3)
	// What was fetched before it was deleted may have been copied or not, but
	// all of that is named which was not.
	rig.Until(t, timeout, "stopped or copied", func() bool { return w.task().Copy.Stop != nil || w.End(t, w.topic, 0) == 18 })
	if stop := w.task().Copy.Stop; stop != nil {
		w.stopped(t, fsm.Stop{Code: fsm.CodePositionLost, From: w.End(t, w.topic, 0), To: 15})
		from := int(stop.From)
		w.order(t, fsm.OrderContinue)
		w.holds(t, 0, [2]int{0, from}, [2]int{15, 18})
		return
	}
	w.holds(t, 0, [2]int{0, 18})
}

// checkpointOvertaken: the target has what retention took from the source.
func checkpointOvertaken(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	r.Checkpoint(t, r.Runner)
	w.produce(t, 7)
	w.acked(t, r, 12)
	r.Close()
	trim(t, l.src, w.topic, 9)
	if p := w.task().Copy.Progress; p.Source != 5 {
		t.Fatalf("checkpoint %+v", p)
	}
	w.produce(t, 3)
	w.own(t, 2)
	w.holds(t, 0, [2]int{0, 15})
	w.none(t, fsm.CodePositionLost, fsm.CodeNewSegment, fsm.CodeTargetLostAcked)
	w.same(t, identical())
}
