package streams

import (
	"testing"
	"time"

	"sluice/fsm"
	"sluice/test/faults"
	"sluice/test/rig"
)

// highWatermarkHeld stops the follower: records are appended, and neither
// acknowledged nor shown to consumers. Old records of one stream are taken
// over in this state, those of another lose their owner's answers; young ones
// of a third are taken over, and must not be checkpointed.
func highWatermarkHeld(t *testing.T, l *lab) {
	replicated := []int32{0, 1}
	old := [2]*stream{l.streamOn(t, -1, replicated), l.streamOn(t, -1, replicated)}
	young := l.streamOn(t, -1, replicated)
	var r [3]*runner
	for i, s := range []*stream{old[0], old[1], young} {
		if s != young {
			s.time = time.Now().Add(-threeDays)
		}
		r[i] = s.own(t, 1)
		s.warm(t, r[i])
	}
	if err := l.dst.PauseBroker(1); err != nil {
		t.Fatal(err)
	}
	// What asks the stopped broker for metadata is sent away, instead of
	// waiting until it gives up.
	away := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, Brokers: []int{1}, Do: faults.CloseBoth, How: faults.RST})
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			away.Release()
			if err := l.dst.ResumeBroker(1); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer resume()

	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: young.node(1), Do: faults.Delay})
	for _, s := range []*stream{old[0], old[1], young} {
		s.apart(t, 4)
	}
	r[0].state(t, fsm.CodeWaiting) // its request timed out
	old[0].forgotten(t)
	chosen(t, f, 4)
	r[0].Close()
	r[2].Close()
	old[0].own(t, 2)
	next := young.own(t, 2)
	old[1].forgotten(t)
	next.goesOn(t)
	held := func() {
		next.Checkpoint(t, next.Runner)
		if p := young.task().Copy.Progress; p.Target > 3 {
			t.Fatalf("the checkpoint %+v is ahead of the high watermark, 3", p)
		}
	}
	until := time.Now().Add(3 * time.Second)
	rig.Until(t, 10*time.Second, "it waits", func() bool { held(); return time.Now().After(until) })
	resume()
	for _, s := range []*stream{old[0], old[1], young} {
		s.produce(t, 4)
		s.copied(t)
	}
	rig.Until(t, 30*time.Second, "progress may be checkpointed", func() bool {
		next.Checkpoint(t, next.Runner)
		return young.task().Copy.Progress.Target == int64(young.made)
	})
}
