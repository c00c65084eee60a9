package remedies

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/rig"
)

func recreatedCases() []testCase {
	return []testCase{
		{"target deleted, recreated, retried, copied again", targetDeleted},
		{"target recreated, continue", targetRecreatedContinue},
		{"target recreated, policy recopy", targetRecreatedPolicy},
		{"source deleted, recreated, continue", sourceRecreated},
		{"source recreated, recopy", sourceRecreatedRecopy},
	}
}

// copied5 is a world whose stream has copied five records.
func (l *lab) copied5(t *testing.T, k link) (*world, *runner) {
	t.Helper()
	return l.copiedOf(t, k, (*world).produce)
}

// copiedApart is copied5 of batches that went to the target one by one.
func (l *lab) copiedApart(t *testing.T) (*world, *runner) {
	t.Helper()
	return l.copiedOf(t, link{}, (*world).apart)
}

func (l *lab) copiedOf(t *testing.T, k link, produce func(*world, *testing.T, int)) (*world, *runner) {
	t.Helper()
	w := l.world(t, k)
	produce(w, t, 5)
	r := w.own(t, 1)
	w.acked(t, r, 5)
	return w, r
}

// recreate deletes a topic and creates it again while the stream has nothing
// to do with it.
func (w *world) recreate(t *testing.T, target bool) {
	t.Helper()
	c := w.lab.src
	if target {
		c = w.lab.dst
	}
	drop(t, c, w.topic)
	create(t, c, w.topic, 1, nil)
}

func targetDeleted(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{})
	drop(t, l.dst, w.topic)
	w.produce(t, 2)
	w.stopped(t, fsm.Stop{Code: fsm.CodeTargetDeleted, From: -1, To: -1, Target: true})
	create(t, l.dst, w.topic, 1, nil)
	stop := fsm.Stop{Code: fsm.CodeTargetRecreated, From: 0, To: 5, Target: true}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderRecopy)
	w.holds(t, 0, [2]int{0, 7})
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.goesOnIdentically(t)
}

// goesOnIdentically produces more and compares both sides.
func (w *world) goesOnIdentically(t *testing.T) {
	t.Helper()
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, w.made})
	w.same(t, identical())
	if m := w.task().Copy.Mapping; m.Phase != fsm.PhaseDense {
		t.Errorf("mapping %+v", m)
	}
}

// targetRecreatedContinue: the new topic holds what was not copied before.
func targetRecreatedContinue(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{})
	w.recreate(t, true)
	w.stopped(t, fsm.Stop{Code: fsm.CodeTargetRecreated, From: 0, To: 5, Target: true})
	w.produce(t, 2)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{5, 7})
	w.event(t, fsm.CodeNewSegment, 0, 5)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{5, 9})
	if m := w.task().Copy.Mapping; m.Generation != 2 {
		t.Errorf("mapping %+v", m)
	}
}

func targetRecreatedPolicy(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{spec: fsm.LinkSpec{OnLoss: fsm.OnLossRecopy}})
	w.recreate(t, true)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 7})
	w.event(t, fsm.CodeTargetRecreated, 0, 5)
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.othersGoOn(t)
	w.goesOnIdentically(t)
}

// sourceRecreated: the new topic's records follow the old one's.
func sourceRecreated(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{})
	drop(t, l.src, w.topic)
	w.stopped(t, fsm.Stop{Code: fsm.CodeSourceDeleted, From: -1, To: -1})
	create(t, l.src, w.topic, 1, nil)
	w.forget(t)
	w.produce(t, 2) // "value 5." stands at source offset 0
	stop := fsm.Stop{Code: fsm.CodeSourceRecreated, From: 0, To: 5}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 7})
	w.event(t, fsm.CodeNewSegment, 0, 5)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 9})
	w.same(t, shifted(5))
}

// forget gives the test's producer a client that never heard of the old topic.
func (w *world) forget(t *testing.T) {
	t.Helper()
	cl, err := w.lab.src.DirectClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	w.Source = cl
}

// sourceRecreatedRecopy: the copy begins anew once the target is recreated;
// emptied only, it would not stay identical, which this link insists on.
func sourceRecreatedRecopy(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{spec: fsm.LinkSpec{OnLoss: fsm.OnLossRecopy, Offsets: fsm.OffsetsIdentical}})
	w.recreate(t, false)
	w.forget(t)
	w.made = 0
	w.produce(t, 3)
	w.stopped(t, fsm.Stop{Code: fsm.CodeSourceRecreated, From: 0, To: 5})
	w.waits(t, r)
	trim(t, l.dst, w.topic, 5)
	rig.Until(t, timeout, "says what identical offsets need", func() bool { return w.says(r, "identical") })
	if w.task().Copy.Stop == nil {
		t.Fatal("it went on with other offsets")
	}
	w.recreate(t, true)
	w.holds(t, 0, [2]int{0, 3})
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.goesOnIdentically(t)
}
