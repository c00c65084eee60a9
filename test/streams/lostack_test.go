package streams

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/rig"
	"sluice/test/wait"
)

// TestWritePath holds what needs one ordinary broker a side.
func TestWritePath(t *testing.T) {
	t.Parallel()
	// A killed broker comes back once its session has timed out.
	l := start(t, kafkalab.Config{}, kafkalab.Config{Overrides: map[string]string{"broker.session.timeout.ms": "2000"}})
	t.Run("together", func(t *testing.T) {
		for name, how := range map[string]faults.Close{"FIN": faults.FIN, "RST": faults.RST} {
			for nth := 1; nth <= 5; nth++ {
				t.Run(fmt.Sprintf("lost ack %d of 5 by %s", nth, name), func(t *testing.T) { t.Parallel(); lostAck(t, l, nth, how) })
			}
		}
		t.Run("takeover while the predecessor goes on", func(t *testing.T) { t.Parallel(); bothWrite(t, l) })
		t.Run("cut off and alone", func(t *testing.T) { t.Parallel(); cutOffAlone(t, l) })
		t.Run("an idle owner leaves", func(t *testing.T) { t.Parallel(); idleOwnerLeaves(t, l) })
		t.Run("source broker answers nothing", func(t *testing.T) { t.Parallel(); mute(t, l) })
		t.Run("one until the first ack", func(t *testing.T) { t.Parallel(); oneUntilTheFirstAck(t, l) })
		t.Run("foreign writer", func(t *testing.T) { t.Parallel(); foreignWriter(t, l) })
		t.Run("control batch behind a backlog", func(t *testing.T) { t.Parallel(); controlBehindBacklog(t, l) })
		t.Run("stale mapping", func(t *testing.T) { t.Parallel(); staleMapping(t, l) })
		t.Run("lag is seen anew", func(t *testing.T) { t.Parallel(); lagAnew(t, l) })
		t.Run("under a quota", func(t *testing.T) { t.Parallel(); underQuota(t, l) })
		t.Run("strange timestamps", func(t *testing.T) { t.Parallel(); strangeTimes(t, l) })
		mappingChanges(t, l)
		t.Run("lost request", func(t *testing.T) { t.Parallel(); lostRequest(t, l) })
		t.Run("held over the owner's death", func(t *testing.T) { t.Parallel(); heldOverDeath(t, l, false) })
		t.Run("held until the successor has gone on", func(t *testing.T) { t.Parallel(); heldOverDeath(t, l, true) })
	})
	for range claim.Rounds(1, 3) {
		t.Run("target killed", func(t *testing.T) { targetKilled(t, l) })
	}
}

// fiveInFlight produces until five produce requests of the node have reached
// the broker and none is answered.
func fiveInFlight(t *testing.T, s *stream, hold *faults.Fault, n *counted) {
	t.Helper()
	s.apart(t, 8)
	chosen(t, hold, 1)
	rig.Until(t, 30*time.Second, "five in flight", func() bool { return n.fault.Chosen() >= n.before+5 })
}

// counted counts a node's produce requests by a rule that delays by nothing.
type counted struct {
	fault  *faults.Fault
	before int
}

func count(l *lab, node string) *counted {
	return &counted{fault: l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: node, Do: faults.Delay, Delay: 0})}
}

// lostAck: with five in flight the nth answer is lost with its connection.
func lostAck(t *testing.T, l *lab, nth int, how faults.Close) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	n := count(l, r.name)
	rule := faults.Rule{Side: faults.OnResponse, APIs: []int16{faults.Produce}, ClientPrefix: r.name}
	if nth > 1 { // the first is held until all five are in flight
		cut := rule
		cut.First, cut.Count, cut.Do, cut.How = nth, 1, faults.CloseClient, how
		f := l.dstProxy.AddRule(cut)
		rule.Count, rule.Do = 1, faults.Hold
		hold := l.dstProxy.AddRule(rule)
		fiveInFlight(t, s, hold, n)
		hold.Release()
		chosen(t, f, 1)
	} else {
		rule.Count, rule.Do = 1, faults.Hold
		fiveInFlight(t, s, l.dstProxy.AddRule(rule), n)
		l.dstProxy.CloseClients(r.name, how)
	}
	s.produce(t, 8)
	s.copied(t)
}

// lostRequest: the second of five never reaches the broker.
func lostRequest(t *testing.T, l *lab) {
	s := l.stream(t)
	r := s.own(t, 1)
	s.warm(t, r)
	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: r.name, First: 2, Count: 1, Do: faults.CloseBoth, How: faults.RST})
	s.produce(t, 16)
	chosen(t, f, 1)
	s.copied(t)
}

// heldOverDeath: a request of a dead owner reaches the broker when its
// successor is about to start, or has copied everything.
func heldOverDeath(t *testing.T, l *lab, late bool) {
	s := l.stream(t)
	r1 := s.own(t, 1)
	s.warm(t, r1)
	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: r1.name, Do: faults.Hold})
	s.produce(t, 12)
	chosen(t, f, 1)
	r1.Close()
	before := l.dstProxy.Counts(faults.Produce).Requests
	s.own(t, 2)
	if late {
		s.produce(t, 12)
		s.copied(t)
	}
	f.Release()
	ctx, cancel := context.WithTimeout(context.Background(), wait.Patience)
	defer cancel()
	if err := l.dstProxy.Wait(ctx, func() bool { return l.dstProxy.Counts(faults.Produce).Requests > before }); err != nil {
		t.Fatal(err)
	}
	s.produce(t, 12)
	s.copied(t)
}

// targetKilled: the target dies by SIGKILL, where one stream has one request
// open, another two and another three, and comes back. A stream that was at rest
// is at rest again, and knows that nothing is behind.
func targetKilled(t *testing.T, l *lab) {
	resting := l.stream(t)
	rests := resting.own(t, 1)
	resting.warm(t, rests)
	var all []*stream
	var holds []*faults.Fault
	for open := 1; open <= 3; open++ {
		s := l.stream(t)
		r := s.own(t, 1)
		s.warm(t, r)
		n := count(l, r.name)
		holds = append(holds, l.dstProxy.AddRule(faults.Rule{Side: faults.OnResponse, APIs: []int16{faults.Produce}, ClientPrefix: r.name, Do: faults.Hold}))
		for i := 1; i <= open; i++ {
			s.produce(t, 1)
			chosen(t, n.fault, i)
		}
		all = append(all, s)
	}
	do(t, l.dst.KillBroker(0))
	for i, s := range all {
		holds[i].Release()
		s.produce(t, 8)
	}
	do(t, l.dst.StartBroker(t.Context(), 0))
	for _, s := range all {
		s.copied(t)
	}
	rests.nothingBehind(t)
}
