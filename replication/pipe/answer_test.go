package pipe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// TestAcknowledged books what stands where it should, and ends the pipe at
// what does not: behind that nothing more is sent, and every batch in flight is
// told.
func TestAcknowledged(t *testing.T) {
	p := filled(t, 8)
	pop(t, p)
	records, bytes := p.Acknowledged(0, at().Add(time.Second))
	want := fsm.Progress{Source: 1, SourceEpoch: 4, Target: 1, TargetEpoch: 5, Records: 1, At: at().Add(time.Second).UnixMilli()}
	if r := p.Result(); r.Progress != want || records != 1 || bytes == 0 {
		t.Errorf("progress %+v with %d records of %d bytes, want %+v", r.Progress, records, bytes, want)
	}
	if st := p.Status(); st.Time != wall || !st.Moved.Equal(at().Add(time.Second)) || st.Bytes != int64(bytes) || st.Stable != 1000 || st.High != 1001 {
		t.Errorf("status %+v", st)
	}
	if n := flight(t, p); n != Window {
		t.Fatal(n)
	}
	p.Acknowledged(1, at())
	if records, _ = p.Acknowledged(7, at()); records != 0 {
		t.Errorf("%d records count although they stand elsewhere", records)
	}
	sound(t, p)
	if p.Life() != Ended || p.Over() || p.Sendable() {
		t.Errorf("%s, over %v, sendable %v", p.Life(), p.Over(), p.Sendable())
	}
	p.Acknowledged(8, at())
	p.Acknowledged(9, at())
	p.Acknowledged(10, at())
	r := p.Result()
	if !p.Over() || r.Fault.Kind != recovery.Misplaced || r.Fault.Code != fsm.CodeForeignWriter || r.Fault.Range != (recovery.Range{From: 2, To: 7}) {
		t.Errorf("over %v, fault %+v", p.Over(), r.Fault)
	}
	var stand []string
	for _, m := range r.Misplaced {
		stand = append(stand, fmt.Sprintf("%d at %d", m.Target, m.At))
	}
	if want := []string{"2 at 7", "3 at 8", "4 at 9", "5 at 10"}; !slices.Equal(stand, want) {
		t.Errorf("misplaced %v, want %v", stand, want)
	}
	if r.Progress.Target != 2 || r.Progress.Source != 2 {
		t.Errorf("progress %+v", r.Progress)
	}
}

// TestALaterAnswerVouchesForWhatStandsBefore: a broker may answer a batch by a
// time-out and the next one, which stands behind it, well.
func TestALaterAnswerVouchesForWhatStandsBefore(t *testing.T) {
	p := begin(mapping(fsm.PhaseTranslated, seg(0, 0)), 0, 0)
	take(p, &counted{}, encoded(t, aged(0, 0), aged(2, 0), aged(3, 0), aged(5, 0), aged(7, 0)))
	pop(t, p)
	p.Acknowledged(0, at())
	flight(t, p)
	p.Refused(recovery.Fault{Kind: recovery.Unsure, Range: recovery.None(), Perhaps: true})
	p.Acknowledged(2, at())
	p.Acknowledged(3, at())
	p.Refused(recovery.Fault{Kind: recovery.Unsure, Range: recovery.None(), Perhaps: true})
	sound(t, p)
	r := p.Result()
	if r.Progress.Source != 6 || r.Progress.Target != 4 || r.Progress.Records != 4 {
		t.Errorf("progress %+v", r.Progress)
	}
	if want := []fsm.Segment{seg(2, 1), seg(5, 3)}; !slices.Equal(r.Segments, want) {
		t.Errorf("segments %v, want %v", r.Segments, want)
	}
	if n := len(r.Unacked); n == 0 || r.Unacked[n-1].Next != 8 || !slices.Equal(r.Unacked[n-1].Segments, []fsm.Segment{seg(7, 4)}) {
		t.Errorf("not acknowledged: %+v", r.Unacked)
	}
}

// TestRefused: the first fault counts, but a later loss of certainty is not
// hidden by it. What is refused for good names the batch.
func TestRefused(t *testing.T) {
	retry := recovery.Fault{Kind: recovery.Retry, Code: fsm.CodeNotEnoughReplicas, Range: recovery.None(), Message: "not enough"}
	blocked := recovery.Fault{Kind: recovery.Blocked, Code: fsm.CodeRecordTooLarge, Range: recovery.None(), Message: "too large"}
	unsure := recovery.Fault{Kind: recovery.Unsure, Range: recovery.None(), Perhaps: true}
	named := recovery.AtTarget(recovery.Blocked, fsm.CodeForeignWriter, 5, 9, "named already")
	of := func(f recovery.Fault, change func(*recovery.Fault)) recovery.Fault { change(&f); return f }
	for _, c := range []struct {
		name   string
		faults []recovery.Fault
		want   recovery.Fault
	}{
		{"one", []recovery.Fault{retry}, retry},
		{"blocked", []recovery.Fault{blocked}, of(blocked, func(f *recovery.Fault) { f.Source, f.Range = true, recovery.Range{From: 1, To: 2} })},
		{"blocked, and its range is known", []recovery.Fault{named}, named},
		{"the first counts", []recovery.Fault{retry, blocked}, retry},
		{"certainty lost later", []recovery.Fault{retry, unsure}, of(retry, func(f *recovery.Fault) { f.Perhaps = true })},
		{"certainty lost first", []recovery.Fault{unsure, retry}, unsure},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := filled(t, 9)
			pop(t, p)
			p.Acknowledged(0, at())
			flight(t, p)
			for _, f := range c.faults {
				p.Refused(f)
				sound(t, p)
			}
			r := p.Result()
			if r.Fault != c.want || !r.InFlight || p.Over() || p.Sendable() {
				t.Errorf("fault %+v, want %+v; in flight %v, over %v, sendable %v", r.Fault, c.want, r.InFlight, p.Over(), p.Sendable())
			}
			if len(r.Unacked) != len(c.faults) || r.Unacked[0].Target != 1 || r.Unacked[0].Next != 2 {
				t.Errorf("not acknowledged: %+v", r.Unacked)
			}
		})
	}
}

// TestEndGivesMemoryBack, when a batch is answered or will never be sent.
func TestEndGivesMemoryBack(t *testing.T) {
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 0, 0)
	memory := &counted{}
	take(p, memory, encoded(t, aged(0, 0), aged(1, 0), aged(2, 0)))
	pop(t, p)
	size := p.NextSize()
	if size == 0 || p.Held() != 2*size || memory.held != 3 {
		t.Errorf("next of %d bytes, %d held, memory %d times", size, p.Held(), memory.held)
	}
	p.End(recovery.Faulty(recovery.Retry, fsm.CodeHandover, "stopped"))
	if memory.held != 1 || p.Held() != 0 || p.NextSize() != 0 || p.Over() {
		t.Errorf("ended: memory %d times, %d held, next of %d bytes, over %v", memory.held, p.Held(), p.NextSize(), p.Over())
	}
	p.Acknowledged(0, at())
	if memory.held != 0 || !p.Over() {
		t.Errorf("answered: memory %d times, over %v", memory.held, p.Over())
	}
	sound(t, p)
}

// TestUnanswered measures how long the oldest batch has been in flight.
func TestUnanswered(t *testing.T) {
	p := filled(t, 3)
	if d := p.Unanswered(at().Add(time.Hour)); d != 0 {
		t.Errorf("nothing is in flight: %v", d)
	}
	pop(t, p)
	if d := p.Unanswered(at().Add(time.Minute)); d != time.Minute {
		t.Errorf("%v", d)
	}
	p.Acknowledged(0, at())
	if d := p.Unanswered(at().Add(time.Hour)); d != 0 {
		t.Errorf("answered: %v", d)
	}
}

// TestRemember is what a stream knows once its pipe has ended.
func TestRemember(t *testing.T) {
	base := recovery.Memory{Version: 3, Last: fsm.Progress{Source: 10, Target: 10, Records: 10}, Unsaved: []fsm.Segment{seg(0, 0)}, Refused: 4, Attempts: 6}
	at10 := fsm.Progress{Source: 10, Target: 10, Records: 10}
	for _, c := range []struct {
		name        string
		r           Result
		attempts    int
		refused     int64
		oldRequests bool
	}{
		{"nothing was acknowledged", Result{Progress: at10}, 6, -1, false},
		{"something was", Result{Progress: fsm.Progress{Source: 12, Target: 12, Records: 12}}, 0, -1, false},
		{"a log that lost its end, copied again", Result{Progress: fsm.Progress{Source: 9, Target: 9, Records: 11}}, 0, -1, false},
		{"the sequence was refused", Result{Progress: at10, Fault: recovery.Fault{Refused: true}}, 6, 10, false},
		{"perhaps written", Result{Progress: at10, Fault: recovery.Fault{Perhaps: true}}, 6, -1, true},
		{"in flight", Result{Progress: at10, InFlight: true}, 6, -1, true},
	} {
		c.r.Segments = []fsm.Segment{seg(5, 4)}
		c.r.Unacked, c.r.Misplaced = []recovery.Batch{{Target: 10}}, []recovery.Misplacement{{At: 3}}
		got := c.r.Remember(base)
		if got.Attempts != c.attempts || got.Refused != c.refused || got.OldRequests != c.oldRequests || got.Last != c.r.Progress || got.Version != 3 {
			t.Errorf("%s: %+v", c.name, got)
		}
		if !slices.Equal(got.Unsaved, []fsm.Segment{seg(0, 0), seg(5, 4)}) || len(base.Unsaved) != 1 || len(got.Unacked) != 1 || len(got.Misplaced) != 1 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	old := base
	old.OldRequests = true
	if r := (&Result{Progress: at10}); !r.Remember(old).OldRequests {
		t.Error("earlier requests are forgotten without a wait")
	}
}

// TestPopLeavesTheBytes: a batch in flight stays as it was handed out, until
// it is answered.
func TestPopLeavesTheBytes(t *testing.T) {
	p := filled(t, 4)
	if v := p.Next(at(), wall, never); v != Ready {
		t.Fatal(v)
	}
	b := p.Pop(at())
	before := string(b)
	p.Take(&Arrival{Records: encoded(t, data(4, 9)), Memory: &counted{}}, rewrite.NewRebuilder())
	p.Next(at(), wall, always)
	p.Reconnected()
	p.Expires(1)
	p.End(recovery.Faulty(recovery.Retry, fsm.CodeHandover, "stopped"))
	if string(b) != before {
		t.Error("a batch in flight has changed")
	}
}

// TestWords: every state and verdict has a name of its own.
func TestWords(t *testing.T) {
	names := []string{
		Taking.String(), Finishing.String(), Ended.String(), Probing.String(), Streaming.String(), Guarded.String(), Unguarded.String(),
		Nothing.String(), Ready.String(), Look.String(), Hold.String(),
	}
	slices.Sort(names)
	if n := len(names); len(slices.Compact(names)) != n {
		t.Errorf("names twice in %v", names)
	}
}
