package remedies

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/test/faults"
	"sluice/test/rig"
)

func foreignCases() []testCase {
	return []testCase{
		{"foreign writer while copying", foreignCopying},
		{"foreign writer while idle", foreignIdle},
		{"foreign writer before a takeover", foreignTakeover},
		{"foreign writer, policy continue", foreignPolicy},
		{"foreign writer, recopy", foreignRecopy},
	}
}

// holdProduce holds the node's next produce request, and so all behind it on
// the connection.
func (l *lab) holdProduce(r *runner) *faults.Fault {
	return l.proxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: r.name, Count: 1, Do: faults.Hold})
}

// foreignCopying: five batches are in flight when another writer appends. The
// event names where each of them stands.
func foreignCopying(t *testing.T, l *lab) {
	w, r := l.copiedApart(t)
	hold := l.holdProduce(r)
	w.apart(t, 8)
	chosen(t, hold, 1)
	w.foreign(t, 2)
	hold.Release()
	rig.Until(t, timeout, "stopped", func() bool { return w.task().Copy.Stop != nil })
	end := w.End(t, w.topic, 0)
	w.stopped(t, fsm.Stop{Code: fsm.CodeForeignWriter, From: 5, To: end, Target: true})
	told := map[string]bool{}
	for _, m := range misplaced().FindAllString(w.task().Copy.Stop.Message, -1) {
		told[m] = true
	}
	if want := int(end) - 7; len(told) != want || want < 2 {
		t.Errorf("%d of %d misplaced batches are told: %s", len(told), want, w.task().Copy.Stop.Message)
	}
	for i := int64(5); i < end-2; i++ {
		if m := fmt.Sprintf("[%d, %d) instead of [%d, %d)", i+2, i+3, i, i+1); !told[m] {
			t.Errorf("not told: %s", m)
		}
	}
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, 13})
	w.event(t, fsm.CodeNewSegment, 5, end)
	w.behindForeign(t)
}

// misplaced matches what is told of one batch.
func misplaced() *regexp.Regexp { return regexp.MustCompile(`\[\d+, \d+\) instead of \[\d+, \d+\)`) }

// behindForeign checks that the stream goes on by counting, for a second
// owner too.
func (w *world) behindForeign(t *testing.T) {
	t.Helper()
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, w.made})
	w.own(t, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, w.made})
	w.same(t, shiftedFrom(2, 5))
}

func foreignIdle(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{})
	w.foreign(t, 2)
	w.produce(t, 1)
	w.stopped(t, fsm.Stop{Code: fsm.CodeForeignWriter, From: 5, To: 8, Target: true})
	if m := w.task().Copy.Stop.Message; !strings.Contains(m, "[7, 8) instead of [5, 6)") {
		t.Errorf("message %q", m)
	}
	w.retryStops(t, fsm.Stop{Code: fsm.CodeForeignWriter, From: 6, To: 8, Target: true})
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, 6})
	w.behindForeign(t)
}

func foreignTakeover(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	r.Close()
	w.foreign(t, 2)
	w.produce(t, 3)
	w.own(t, 2)
	stop := fsm.Stop{Code: fsm.CodeForeignWriter, From: 5, To: 7, Target: true}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, 8})
	w.event(t, fsm.CodeNewSegment, 5, 7)
	w.behindForeign(t)
}

func foreignPolicy(t *testing.T, l *lab) {
	w, _ := l.copied5(t, link{spec: fsm.LinkSpec{OnLoss: fsm.OnLossContinue}})
	w.foreign(t, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 5}, [2]int{-2, 0}, [2]int{5, 7})
	w.othersGoOn(t)
	if evs := w.Events(fsm.CodeForeignWriter); len(evs) != 1 || evs[0].From != 5 {
		t.Errorf("events %+v", evs)
	}
	w.behindForeign(t)
}

func foreignRecopy(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	r.Close()
	w.foreign(t, 2)
	r = w.own(t, 2)
	w.stopped(t, fsm.Stop{Code: fsm.CodeForeignWriter, From: 5, To: 7, Target: true})
	w.order(t, fsm.OrderRecopy)
	w.waits(t, r)
	trim(t, l.dst, w.topic, 7)
	w.holds(t, 7, [2]int{0, 5})
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.produce(t, 2)
	w.holds(t, 7, [2]int{0, 7})
	w.same(t, shifted(7))
}
