package streams

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/replication/offsets"
	copying "sluice/replication/stream"
	"sluice/test/faults"
	"sluice/test/rig"
)

// bothWrite: the owner is cut off and goes on writing while its successor
// does the same. It falls behind, loses a race, waits, and ends when it hears
// that another node owns the stream.
func bothWrite(t *testing.T, l *lab) {
	s := l.stream(t)
	r1 := s.own(t, 1)
	s.warm(t, r1)
	// Brokers know five batches of a producer again: one of the two may be so much
	// behind the other, and both go on.
	stop := s.load(t, 50*time.Millisecond)
	r1.Cut(true)
	r2 := s.own(t, 2)
	both := r1.stream.Measure().Source + 100
	rig.Wait(t, "both write", func() error {
		m1, m2 := r1.stream.Measure(), r2.stream.Measure()
		if m1.Source > both && m2.Source > both {
			return nil
		}
		return fmt.Errorf("up to %d: the predecessor at %d (%s: %s), the successor at %d (%s: %s)", both, m1.Source, m1.State, m1.Message, m2.Source, m2.State, m2.Message)
	})
	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: r1.name, Do: faults.Hold})
	chosen(t, f, 1)
	behind := r1.stream.Measure().Source + 100
	rig.Until(t, 30*time.Second, "the successor goes on", func() bool { return r2.stream.Measure().Source > behind })
	f.Release()
	r1.state(t, fsm.CodeWaiting)
	if m := r1.stream.Measure().Message; !strings.Contains(m, "another node may write to the target partition") {
		t.Errorf("the predecessor says %q", m)
	}
	stop()
	s.copied(t)
	r1.Cut(false)
	r1.over(t)
	if evs := s.Events(fsm.CodeLostRace); len(evs) != 1 || evs[0].Node != r1.name {
		t.Errorf("events of a lost race: %+v", evs)
	}
	s.produce(t, 10)
	s.copied(t)
}

// cutOffAlone: an owner that cannot ask anybody loses an answer, and nobody
// took over: it goes on when the target has stood still for a while although
// the source has more.
func cutOffAlone(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.ownWith(t, 1, func(c *copying.Config) { c.StandStill = 3 * time.Second })
	s.warm(t, r)
	r.Cut(true)
	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnResponse, APIs: []int16{faults.Produce}, ClientPrefix: r.name, Count: 1, Do: faults.CloseClient})
	s.produce(t, 10)
	chosen(t, f, 1)
	r.state(t, fsm.CodeWaiting)
	s.produce(t, 10)
	s.copied(t)
	r.goesOn(t)
}

// oneUntilTheFirstAck: a stream that begins anew sends one batch and waits,
// however many it has and however long its connection has been there: the
// answer proves that the position was right. Then it has five in flight,
// whether new ones come in or not.
func oneUntilTheFirstAck(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	r.stream.Drain()
	r.over(t)
	s.apart(t, 8)
	n := count(l, r.name)
	rule := faults.Rule{Side: faults.OnResponse, APIs: []int16{faults.Produce}, ClientPrefix: r.name, Count: 1, Do: faults.Hold}
	f := l.dstProxy.AddRule(rule)
	second := l.dstProxy.AddRule(rule)
	r.stream = s.Own(t, r.Runner, r.name)[0]
	chosen(t, f, 1)
	until := time.Now().Add(500 * time.Millisecond)
	rig.Until(t, 10*time.Second, "half a second", func() bool {
		if n.fault.Chosen() > 1 {
			t.Fatal("a second request before the first was answered")
		}
		return time.Now().After(until)
	})
	f.Release()
	chosen(t, second, 1)
	chosen(t, n.fault, 1+5)
	second.Release()
	s.acked(t, r)
	s.copied(t)
}

// idleOwnerLeaves: an owner that has nothing to do, and so loses no race, ends
// when its facts say that another node owns the stream.
func idleOwnerLeaves(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	s.Do(t, &fsm.Assign{Items: []fsm.Assignment{{Task: s.task().ID, Turn: s.task().Turn, To: s.node(2)}}})
	r.over(t)
	if evs := s.Events(fsm.CodeLostRace); len(evs) > 0 {
		t.Errorf("a race that was none: %+v", evs)
	}
}

// mute: a source broker can be dialled and ends every fetch. It is asked ever
// mute: a source broker can be dialled and ends every fetch. It is asked ever
// more seldom, and the stream says that it cannot be reached.
func mute(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	f := l.srcProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Fetch}, ClientPrefix: r.name, Do: faults.CloseClient})
	began := time.Now()
	chosen(t, f, 12)
	if took := time.Since(began); took < time.Second {
		t.Errorf("12 fetches that failed in %v: no back-off", took)
	}
	r.state(t, fsm.CodeUnreachable)
	s.produce(t, 5)
	f.Release()
	s.copied(t)
}

// foreignWriter: another producer's record stands where ours should. The
// stream stops and names what stands elsewhere; told to go on, it copies
// behind it, each record once.
func foreignWriter(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	foreign := &kgo.Record{Topic: s.topic, Value: []byte("foreign")}
	if err := s.Target.ProduceSync(context.Background(), foreign).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s.produce(t, 1)
	rig.Until(t, 30*time.Second, "it stops", func() bool { return s.task().Copy.Stop != nil })
	if st := s.task().Copy.Stop; st.Code != fsm.CodeForeignWriter || st.From != 3 || st.To != 5 || !st.Target {
		t.Errorf("stopped by %+v, want foreign-writer [3, 5) of the target", st)
	}
	s.produce(t, 5)
	s.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderContinue})
	got := s.Read(t, l.dst.Direct(), s.topic, 0, s.made+1, 60*time.Second)
	got = append(got[:3:3], got[4:]...)
	for i, r := range got {
		if want := fmt.Sprintf("value %d", i); string(r.Value) != want {
			t.Fatalf("%q at %d, want %q", r.Value, r.Offset, want)
		}
		// The mapping knows where each stands, that which was moved too.
		if at, ok := offsets.Target(s.task().Copy.Mapping, int64(i)); !ok || at != r.Offset {
			t.Errorf("source offset %d stands at %d by the mapping, and at %d", i, at, r.Offset)
		}
	}
}
