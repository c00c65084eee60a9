package pipe

import (
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/test/oracle"
)

// aged is a batch of one record of this age in ms.
func aged(offset, age int64) oracle.Source {
	s := data(offset, offset+1)
	s.Entries[0].Timestamp = wall - age
	return s
}

// TestFillWaitsForLook: the owner is asked for one thing at a time, although a leader
// that confirms the turn meanwhile lets batches go on.
func TestFillWaitsForLook(t *testing.T) {
	m := mapping(fsm.PhaseDense, seg(0, 0))
	m.Filled = true
	p := begin(m, 0, 0)
	take(p, &counted{}, encoded(t, data(0, 1), marker(1, 9, record.MarkerCommit)))
	late := at().Add(LookAfter + 1)
	if v := p.Next(late, wall, never); v != Look {
		t.Fatalf("%s, want a look", v)
	}
	if v := p.Next(late, wall, always); v != Ready {
		t.Fatalf("%s under a lease, want ready", v)
	}
	p.Pop(late)
	p.Acknowledged(0, late)
	if v := p.Next(late, wall, always); v != Hold {
		t.Fatalf("%s while the look is under way, want hold", v)
	}
	p.Looked(late, nil)
	if v := p.Next(late, wall, always); v != Fill {
		t.Fatalf("%s behind the look, want fill", v)
	}
	sound(t, p)
}

// TestFillRefused: a gap that a broker refuses for good is told with its source
// offsets, behind which an operator may go on.
func TestFillRefused(t *testing.T) {
	m := mapping(fsm.PhaseDense, seg(0, 0))
	m.Filled = true
	p := begin(m, 4, 4)
	take(p, &counted{}, encoded(t, marker(4, 9, record.MarkerCommit)))
	if v := p.Next(at(), wall, never); v != Fill {
		t.Fatalf("%s, want fill", v)
	}
	f := recovery.Faulty(recovery.Blocked, fsm.CodeTimestampRefused, "why")
	p.Filled(at(), &f)
	if got := p.Result().Fault; !got.Source || got.Range != (recovery.Range{From: 4, To: 5}) {
		t.Errorf("fault %+v", got)
	}
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
	fault := recovery.Faulty(recovery.Retry, fsm.CodeStarting, "the target's log does not end where this node left it: where the stream stands is worked out anew")
	p.Looked(later, &fault)
	if p.Life() != Ended || p.Result().Fault != fault {
		t.Errorf("%s with %+v", p.Life(), p.Result().Fault)
	}
	sound(t, p)
}

// TestGuardFollowsTheBrokersSetting: a shorter expiration at the target is
// heeded by pipes that are under way.
func TestGuardFollowsTheBrokersSetting(t *testing.T) {
	const hour, now = int64(3600_000), int64(1_000_000_000_000)
	p := New(Start{
		Mapping:  fsm.Mapping{Phase: fsm.PhaseDense, Segments: []fsm.Segment{{}}},
		Position: recovery.Position{LastTime: now - 2*hour}, Expiration: 24 * hour, Guarded: true, Seen: time.Unix(0, 0),
	})
	take(p, &counted{}, encoded(t, oracle.Source{Producer: -1, Entries: []oracle.Entry{{Timestamp: now}}}))
	next := func() Verdict { return p.Next(time.Unix(0, 0), now, func() bool { return true }) }
	if v := next(); v != Ready || p.Route() != Guarded {
		t.Fatalf("%s on the %s route: a predecessor of two hours is guarded for a day", v, p.Route())
	}
	p.Expires(hour)
	if v := next(); v != Ready || p.Route() != Unguarded {
		t.Errorf("%s on the %s route: a predecessor of two hours is not guarded where the broker forgets after one", v, p.Route())
	}
}

// TestTimestampsOfTheFutureGuardAsNow: a broker that stamps records itself forgets
// a producer that was idle for long, whatever its records say.
func TestTimestampsOfTheFutureGuardAsNow(t *testing.T) {
	s := data(10, 12)
	for i := range s.Entries {
		s.Entries[i].Timestamp = wall * 1000 // microseconds
	}
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	take(p, &counted{}, encoded(t, s, single(12, wall+2*expiration)))
	pop(t, p)
	p.Acknowledged(10, at())
	if v := p.Next(at(), wall+expiration/2, always); v != Ready || p.Route() != Guarded {
		t.Errorf("half an hour later it is %s, %s", v, p.Route())
	}
	if v := p.Next(at(), wall+2*expiration, always); v != Ready || p.Route() != Unguarded {
		t.Errorf("two hours later it is %s, %s", v, p.Route())
	}
}

// single is a batch of one record with a timestamp.
func single(offset, timestamp int64) oracle.Source {
	s := data(offset, offset+1)
	s.Entries[0].Timestamp = timestamp
	return s
}
