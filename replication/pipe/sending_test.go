package pipe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// aged is a batch of one record of this age in ms.
func aged(offset, age int64) oracle.Source {
	s := data(offset, offset+1)
	s.Entries[0].Timestamp = wall - age
	return s
}

// TestNext judges the next batch in each situation that the rules tell apart.
// The producer is forgotten after an hour, of which a quarter is kept clear.
func TestNext(t *testing.T) {
	const (
		fresh = int64(0)
		edge  = expiration - expiration/4 // the first age that is not guarded
		none  = int64(-1)                 // no batch yet
	)
	long := LookAfter + 1
	for _, c := range []struct {
		name        string
		predecessor int64 // age in ms of the last batch in the log
		next        int64 // of the batch to be sent
		guarded     bool  // the route that it begins on
		silent      time.Duration
		leased      bool
		old         bool // requests may still be appended
		verdict     Verdict
		route       Route
	}{
		{"young behind young", fresh, fresh, true, 0, false, false, Ready, Guarded},
		{"young behind young, just young enough", edge - 1, edge - 1, true, 0, false, false, Ready, Guarded},
		{"young behind old", edge, fresh, true, 0, false, false, Ready, Unguarded},
		{"old behind young", fresh, edge, true, 0, false, false, Ready, Unguarded},
		{"old behind old", edge, edge, false, 0, false, false, Ready, Unguarded},
		{"the first batch ever", none, fresh, false, 0, false, false, Ready, Unguarded},
		{"young behind young, begun unguarded", fresh, fresh, false, 0, false, false, Ready, Guarded},
		{"silent for as long as may be", fresh, fresh, true, LookAfter, false, false, Ready, Guarded},
		{"silent for longer", fresh, fresh, true, long, false, false, Look, Guarded},
		{"silent for longer, under a lease", fresh, fresh, true, long, true, false, Ready, Guarded},
		{"silent for longer, begun unguarded", fresh, fresh, false, long, false, false, Look, Unguarded},
		{"unguarded, silent for longer: the lease is asked before the write", edge, edge, false, long, false, false, Ready, Unguarded},
		{"guarded, earlier requests", fresh, fresh, true, 0, false, true, Ready, Guarded},
		{"turns unguarded, earlier requests", fresh, edge, true, 0, false, true, Nothing, Guarded},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := wall - c.predecessor
			if c.predecessor == none {
				last = -1
			}
			p := New(Start{
				Mapping: mapping(fsm.PhaseDense, seg(0, 0)), Position: recovery.Position{LastTime: last}, Expiration: expiration,
				Guarded: c.guarded, OldRequests: c.old, Seen: at(),
			})
			take(p, &counted{}, encoded(t, aged(0, c.next)))
			asked := false
			got := p.Next(at().Add(c.silent), wall, func() bool { asked = true; return c.leased })
			if got != c.verdict || p.Route() != c.route {
				t.Errorf("%s on the %s route, want %s on the %s one", got, p.Route(), c.verdict, c.route)
			}
			if want := c.silent > LookAfter && c.route == Guarded || c.verdict == Look; asked != want {
				t.Errorf("asked for a lease: %v", asked)
			}
			if ended := p.Life() == Ended; ended != (c.verdict == Nothing) {
				t.Errorf("it is %s", p.Life())
			} else if f := p.Result().Fault; ended && f.Kind != recovery.OldRequest {
				t.Errorf("fault %+v", f)
			}
			sound(t, p)
		})
	}
}

// filled is a guarded pipe with n batches of one young record.
func filled(t testing.TB, n int64) *Pipe {
	t.Helper()
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 0, 0)
	var batches []oracle.Source
	for o := range n {
		batches = append(batches, aged(o, 0))
	}
	take(p, &counted{}, encoded(t, batches...))
	return p
}

// flight is how many batches go before the pipe wants an answer.
func flight(t testing.TB, p *Pipe) int {
	t.Helper()
	n := 0
	for ; p.Next(at(), wall, never) == Ready; n++ {
		p.Pop(at())
		sound(t, p)
	}
	return n
}

// TestWindow: one batch in flight until the first is acknowledged, then five;
// one again on a new connection.
func TestWindow(t *testing.T) {
	p := filled(t, 20)
	if n := flight(t, p); n != 1 {
		t.Fatalf("%d batches go before anything is acknowledged", n)
	}
	p.Acknowledged(0, at())
	if n := flight(t, p); n != Window {
		t.Fatalf("%d go then", n)
	}
	if v := p.Next(at(), wall, never); v != Nothing {
		t.Errorf("with all places taken: %s", v)
	}
	p.Acknowledged(1, at())
	if n := flight(t, p); n != 1 {
		t.Errorf("%d go when one is acknowledged", n)
	}
	for base := int64(2); base < 7; base++ {
		p.Acknowledged(base, at())
	}
	p.Reconnected()
	sound(t, p)
	if n := flight(t, p); n != 1 {
		t.Errorf("%d go first on a new connection", n)
	}
	p.Acknowledged(7, at())
	if n := flight(t, p); n != Window {
		t.Errorf("%d go then", n)
	}
}

// TestUnguardedGoesAlone: whatever was acknowledged.
func TestUnguardedGoesAlone(t *testing.T) {
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 0, 0)
	take(p, &counted{}, encoded(t, aged(0, 2*expiration), aged(1, 2*expiration), aged(2, 2*expiration)))
	for base := range int64(3) {
		if n := flight(t, p); n != 1 || p.Route() != Unguarded {
			t.Fatalf("%d batches go on the %s route", n, p.Route())
		}
		p.Acknowledged(base, at())
		sound(t, p)
	}
}

// TestTurns: the route changes only when nothing is in flight, and the first
// batch on another route goes alone.
func TestTurns(t *testing.T) {
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 0, 0)
	batches := []oracle.Source{aged(0, 0), aged(1, 0), aged(2, 0), aged(3, 2*expiration)}
	for o := int64(4); o < 9; o++ {
		batches = append(batches, aged(o, 0))
	}
	take(p, &counted{}, encoded(t, batches...))
	step := func(what string, n int, route Route, v Verdict) {
		t.Helper()
		if got := flight(t, p); got != n || p.Route() != route {
			t.Errorf("%s: %d batches go on the %s route, want %d on the %s one", what, got, p.Route(), n, route)
		}
		if got := p.Next(at(), wall, never); got != v {
			t.Errorf("%s: %s, want %s", what, got, v)
		}
	}
	step("the first", 1, Guarded, Nothing)
	p.Acknowledged(0, at())
	step("two more before an old one", 2, Guarded, Hold)
	p.Acknowledged(1, at())
	step("one is not acknowledged", 0, Guarded, Hold)
	p.Acknowledged(2, at())
	step("the old one", 1, Unguarded, Nothing)
	p.Acknowledged(3, at())
	step("a young one behind it", 1, Unguarded, Nothing)
	p.Acknowledged(4, at())
	step("a young one behind that", 1, Guarded, Nothing)
	p.Acknowledged(5, at())
	step("and the others", 3, Guarded, Nothing)
}

// TestLooks: nothing is sent until the target was looked at, once all that is
// in flight is answered; an answer counts as a look.
func TestLooks(t *testing.T) {
	later := at().Add(2 * LookAfter)
	p := filled(t, 9)
	if v := p.Next(later, wall, never); v != Look {
		t.Fatalf("%s", v)
	}
	if v := p.Next(later, wall, never); v != Hold {
		t.Errorf("while it is looked: %s", v)
	}
	p.Looked(later, nil)
	if v := p.Next(later, wall, never); v != Ready {
		t.Errorf("looked: %s", v)
	}
	p.Pop(later)
	p.Acknowledged(0, later.Add(2*LookAfter))
	later = later.Add(3 * LookAfter)
	if v := p.Next(later, wall, never); v != Ready {
		t.Errorf("answered half a look ago: %s", v)
	}
	p.Pop(later)
	later = later.Add(2 * LookAfter)
	if v := p.Next(later, wall, never); v != Hold {
		t.Errorf("with one in flight: %s", v)
	}
	p.Acknowledged(1, later)
	later = later.Add(2 * LookAfter)
	if v := p.Next(later, wall, never); v != Look {
		t.Errorf("%s", v)
	}
	fault := recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the target is not as it was left")
	p.Looked(later, &fault)
	if p.Life() != Ended || p.Result().Fault != fault {
		t.Errorf("%s with %+v", p.Life(), p.Result().Fault)
	}
	sound(t, p)
}

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
