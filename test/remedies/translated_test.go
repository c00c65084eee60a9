package remedies

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/test/load"
	"sluice/test/rig"
)

func translatedCases() []testCase {
	return []testCase{
		{"dense, then a transaction", firstTransaction},
		{"open transaction", openTransaction},
		{"translated, drained hand-over", drained},
		{"translated, undrained takeover", undrained},
		{"translated, undrained takeover behind an aborted transaction", undrainedAborted},
		{"translated, undrained takeover of what is gone, continue", undrainedGone},
		{"translated, undrained takeover of what is gone, recopy", undrainedRecopy},
		{"translated, position lost, continue", translatedLost},
		{"translated, record too large, policy continue", translatedTooLarge},
		{"translated, segments outlive a mapping change", segmentsKept},
	}
}

// transaction produces n records in one transaction. Its marker takes a
// source offset.
func (w *world) transaction(t *testing.T, n int, commit bool) {
	t.Helper()
	w.begin(t, n, commit)()
}

// begin produces n records in a transaction, which end commits or aborts.
func (w *world) begin(t *testing.T, n int, commit bool) (end func()) {
	t.Helper()
	cl, err := w.lab.src.DirectClient(kgo.TransactionalID(w.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	before := w.sourceEnd(t)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for range n {
		r := w.record(time.Now(), 0)
		if !commit {
			w.made-- // it does not count
			r.Value = []byte("aborted")
		}
		if err := cl.ProduceSync(within(t, timeout), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		last := w.sourceEnd(t)
		if err := cl.EndTransaction(within(t, timeout), kgo.TransactionEndTry(commit)); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		// The marker is written after the answer.
		rig.Until(t, timeout, "the marker", func() bool { return w.sourceEnd(t) > max(before+int64(n), last) })
	}
}

func (w *world) sourceEnd(t *testing.T) int64 {
	t.Helper()
	return rig.EndOf(t, w.Source, w.topic, 0)
}

// mixed is a stream that left dense at source offset 7: five plain records, a
// transaction of two, its marker, an aborted one of two, and three plain ones.
func (l *lab) mixed(t *testing.T) (*world, *runner) {
	t.Helper()
	w, r := l.copied5(t, link{})
	w.transaction(t, 2, true)
	w.transaction(t, 2, false)
	w.produce(t, 3)
	w.holds(t, 0, [2]int{0, 10})
	w.acked(t, r, 14)
	return w, r
}

func firstTransaction(t *testing.T, l *lab) {
	w, r := l.mixed(t)
	w.event(t, fsm.CodeTranslated, 7, 8)
	w.othersGoOn(t)
	r.Checkpoint(t, r.Runner)
	want := []fsm.Segment{{Source: 0, Target: 0}, {Source: 8, Target: 7}, {Source: 11, Target: 7}}
	m := w.task().Copy.Mapping
	if m.Phase != fsm.PhaseTranslated || len(m.Segments) < 2 || m.Segments[0] != want[0] || m.Segments[len(m.Segments)-1] != want[2] {
		t.Errorf("mapping %+v", m)
	}
	w.same(t, load.Options{IgnoreOffsets: true})
	// A topic that ends in a marker is copied to its end.
	w.transaction(t, 1, false)
	w.acked(t, r, 16)
	if m := r.streams[w.topic].Measure(); m.LagRecords != 0 {
		t.Errorf("lag of %d records", m.LagRecords)
	}
	r.Checkpoint(t, r.Runner)
	if p := w.task().Copy.Progress; p.Source != 16 || p.Target != 10 {
		t.Errorf("progress %+v", p)
	}
}

// openTransaction: what stands behind it cannot be copied, and the stream says
// who holds it back. It stops nothing.
func openTransaction(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	end := w.begin(t, 2, true)
	w.produce(t, 3)
	w.state(t, r, fsm.CodeOpenTransaction)
	w.event(t, fsm.CodeOpenTransaction, 5, -1)
	if !w.says(r, "producer id") || r.streams[w.topic].Measure().LagRecords != 0 {
		t.Errorf("measurement %+v", r.streams[w.topic].Measure())
	}
	if end := w.End(t, w.topic, 0); end != 5 {
		t.Errorf("the target ends at %d", end)
	}
	w.othersGoOn(t)
	end()
	w.holds(t, 0, [2]int{0, 10})
	w.state(t, r, fsm.CodeIdle)
	w.same(t, load.Options{IgnoreOffsets: true})
}

// handOver drains the runner's streams and commits what they copied.
func (w *world) handOver(t *testing.T, r *runner) {
	t.Helper()
	for _, s := range r.all {
		s.Drain()
	}
	for _, s := range r.all {
		select {
		case <-s.Done():
		case <-time.After(timeout):
			t.Fatal("not drained")
		}
	}
	r.Checkpoint(t, r.Runner)
}

func drained(t *testing.T, l *lab) {
	w, r := l.mixed(t)
	w.handOver(t, r)
	r = w.own(t, 2)
	w.transaction(t, 3, true)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 15})
	w.handOver(t, r)
	w.own(t, 3) // idle: nothing more to copy
	w.produce(t, 1)
	w.holds(t, 0, [2]int{0, 16})
	w.none(t, fsm.CodePositionUnknown)
	w.same(t, load.Options{IgnoreOffsets: true})
}

// died is a translated stream whose owner dies with five records copied
// beyond the checkpoint.
func (l *lab) died(t *testing.T) *world {
	t.Helper()
	w, r := l.mixed(t)
	r.Checkpoint(t, r.Runner)
	w.produce(t, 5)
	w.acked(t, r, 19)
	r.Close()
	return w
}

// undrained: what the dead owner copied beyond the checkpoint is found in both
// logs, and the stream goes on behind it, time and again.
func undrained(t *testing.T, l *lab) {
	w := l.died(t)
	w.own(t, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 17})
	w.none(t, fsm.CodePositionUnknown)
	w.same(t, load.Options{IgnoreOffsets: true})
}

// undrainedAborted: markers and an aborted transaction lie in what the dead owner
// copied, and segments for them are made.
func undrainedAborted(t *testing.T, l *lab) {
	w, r := l.mixed(t) // source offset 14 is next, at target offset 10
	r.Checkpoint(t, r.Runner)
	w.produce(t, 1)
	w.transaction(t, 2, false)
	w.transaction(t, 2, true) // offsets 18 and 19
	w.produce(t, 1)           // offset 21
	w.acked(t, r, 22)
	r.Close()
	r = w.own(t, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 16})
	w.none(t, fsm.CodePositionUnknown)
	w.same(t, load.Options{IgnoreOffsets: true})
	w.acked(t, r, 24)
	r.Checkpoint(t, r.Runner)
	m := w.task().Copy.Mapping
	for _, seg := range []fsm.Segment{{Source: 18, Target: 11}, {Source: 21, Target: 13}} {
		if !slices.Contains(m.Segments, seg) {
			t.Errorf("segment %+v is not known: %+v", seg, m.Segments)
		}
	}
}

// gone is a translated stream whose owner died, and what it copied beyond the
// checkpoint is gone from the target.
func (l *lab) gone(t *testing.T) (*world, fsm.Stop) {
	t.Helper()
	w := l.died(t)
	trim(t, l.dst, w.topic, 15)
	w.own(t, 2)
	stop := fsm.Stop{Code: fsm.CodePositionUnknown, From: 10, To: 15, Target: true}
	w.stopped(t, stop)
	return w, stop
}

// undrainedGone: going on from the checkpoint copies again what is named.
func undrainedGone(t *testing.T, l *lab) {
	w, stop := l.gone(t)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 15, [2]int{10, 15})
	w.event(t, fsm.CodeNewSegment, 10, 15)
	w.produce(t, 2)
	w.holds(t, 15, [2]int{10, 17})
}

func undrainedRecopy(t *testing.T, l *lab) {
	w, _ := l.gone(t)
	w.order(t, fsm.OrderRecopy)
	w.holds(t, 15, [2]int{0, 15})
	w.event(t, fsm.CodeRecopied, 0, -1)
	w.produce(t, 2)
	w.holds(t, 15, [2]int{0, 17})
	w.same(t, load.Options{IgnoreOffsets: true})
}

// translatedLost: retention overtakes a stream of many segments.
func translatedLost(t *testing.T, l *lab) {
	w, r := l.mixed(t)
	w.handOver(t, r)
	w.produce(t, 5) // source offsets 14 to 18
	trim(t, l.src, w.topic, 17)
	w.own(t, 2)
	stop := fsm.Stop{Code: fsm.CodePositionLost, From: 14, To: 17}
	w.stopped(t, stop)
	w.retryStops(t, stop)
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 10}, [2]int{13, 15})
	w.event(t, fsm.CodeNewSegment, 14, 17)
	w.transaction(t, 2, true)
	w.produce(t, 1)
	w.holds(t, 0, [2]int{0, 10}, [2]int{13, 18})
	w.same(t, shiftedFrom(-8, 22)) // the last one stands behind markers
}

// translatedTooLarge: the record behind a marker is too large.
func translatedTooLarge(t *testing.T, l *lab) {
	w := l.world(t, link{spec: fsm.LinkSpec{OnLoss: fsm.OnLossContinue}})
	w.produce(t, 2)
	configure(t, l.dst, w.topic, "max.message.bytes", "4000")
	r := w.own(t, 1)
	w.transaction(t, 2, true) // its marker is at offset 4
	w.send(t, w.record(time.Now(), 8000))
	w.transaction(t, 2, true)
	w.produce(t, 1)
	w.holds(t, 0, [2]int{0, 4}, [2]int{5, 8})
	w.event(t, fsm.CodeRecordTooLarge, 5, 6)
	w.event(t, fsm.CodeNewSegment, 5, 6)
	w.othersGoOn(t)
	w.handOver(t, r)
	w.own(t, 2)
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, 4}, [2]int{5, 10})
}

// segmentsKept: segments that no checkpoint holds yet, handed in or not, are
// in the next mapping, so that every offset can be translated afterwards.
func segmentsKept(t *testing.T, l *lab) {
	w, r := l.mixed(t) // a segment of its own from source offset 11 on
	r.Report()         // handed in, and never committed
	w.transaction(t, 2, true)
	w.produce(t, 1) // source offset 17, behind the marker
	w.acked(t, r, 18)
	configure(t, l.dst, w.topic, "max.message.bytes", "4000")
	w.send(t, w.record(time.Now(), 8000))
	w.produce(t, 2)
	w.stopped(t, fsm.Stop{Code: fsm.CodeRecordTooLarge, From: 18, To: 19})
	w.order(t, fsm.OrderContinue)
	w.holds(t, 0, [2]int{0, 13}, [2]int{14, 16})
	want := []fsm.Segment{{Source: 0, Target: 0}, {Source: 8, Target: 7}, {Source: 11, Target: 7}, {Source: 17, Target: 12}, {Source: 19, Target: 13}}
	m := w.task().Copy.Mapping
	for _, seg := range want {
		if !slices.Contains(m.Segments, seg) {
			t.Errorf("segment %+v is lost: %+v", seg, m.Segments)
		}
	}
}
