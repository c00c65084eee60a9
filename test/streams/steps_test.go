package streams

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/test/faults"
	"sluice/test/rig"
	"sluice/test/wait"
)

// step is a moment at which an owner is killed: before or after its nth
// command is applied, or its nth produce request reaches the broker.
type step struct {
	request bool
	nth     int
	after   bool
}

func (s step) String() string {
	what, when := "command", "before"
	if s.request {
		what = "request"
	}
	if s.after {
		when = "after"
	}
	return fmt.Sprintf("%s %s %d", when, what, s.nth)
}

// steps are those of a mapping change: so many commands, then two requests.
func steps(commands int) []step {
	var all []step
	for n := 1; n <= commands; n++ {
		all = append(all, step{nth: n}, step{nth: n, after: true})
	}
	for n := 1; n <= 2; n++ {
		all = append(all, step{request: true, nth: n}, step{request: true, nth: n, after: true})
	}
	return all
}

// killAt starts node 1 with the stream and kills it at the step. With act the
// stream is warm first, and the step is one of what act brings about. Nothing
// of the node reaches anybody afterwards.
func (s *stream) killAt(t *testing.T, at step, act func()) {
	t.Helper()
	var r *runner
	if act != nil {
		r = s.own(t, 1)
		s.warm(t, r)
	}
	hold := faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: s.node(1), Do: faults.Hold}
	reached := make(chan struct{})
	tries := make(chan struct{}, 1) // the node tries a command again that was kept out
	var f *faults.Fault
	if at.request {
		hold.First = at.nth
		if at.after {
			hold.Side = faults.OnResponse
		}
		f = s.lab.dstProxy.AddRule(hold)
	} else { // behind the command no request goes out before the node is dead
		s.Before(killer(at, func() { f = s.lab.dstProxy.AddRule(hold); close(reached) }, tries))
	}
	if r == nil {
		r = s.own(t, 1)
	} else {
		act()
	}
	if at.request {
		chosen(t, f, 1)
	} else {
		select {
		case <-reached:
		case <-time.After(wait.Patience):
			t.Fatalf("%v was never reached", at)
		}
		if !at.after { // what is not committed, nothing may rest on
			rig.Until(t, 30*time.Second, "a second try", func() bool { return len(tries) > 0 || f.Chosen() > 0 })
			if f.Chosen() > 0 {
				t.Fatal("a batch was sent before its mapping was committed")
			}
		}
	}
	r.Close()
	s.lab.dstProxy.CloseClients(r.name, faults.RST)
	s.Before(nil)
}

const describeProducers int16 = 61

var errDead = errors.New("the node is dead")

// killer lets mapping changes through up to the step, and nothing after it.
func killer(at step, reached func(), tries chan<- struct{}) func(fsm.Command) error {
	n := 0
	return func(c fsm.Command) error {
		switch c.(type) {
		case *fsm.LinkProducer, *fsm.MappingPut:
		default:
			return nil
		}
		n++
		if n == at.nth {
			reached()
		} else if n > at.nth {
			select {
			case tries <- struct{}{}:
			default:
			}
		}
		if n < at.nth || n == at.nth && at.after {
			return nil
		}
		return errDead
	}
}

// mappingChanges kills the owner between each two steps of every kind of
// mapping change; its successor ends at the position that was resolved first.
func mappingChanges(t *testing.T, l *lab) {
	for _, c := range []struct {
		name     string
		commands int
		run      func(*testing.T, *lab, step)
	}{
		{"new partition", 2, newPartition},
		{"latest on a moving source", 2, latest},
		{"head trimmed meanwhile", 2, trimmed},
		{"first control batch", 1, controlBatch},
		{"raised producer epoch", 1, raisedEpoch},
	} {
		for _, at := range steps(c.commands) {
			t.Run(fmt.Sprintf("%s, killed %v", c.name, at), func(t *testing.T) { t.Parallel(); c.run(t, l, at) })
		}
	}
}

func newPartition(t *testing.T, l *lab, at step) {
	s := l.stream(t)
	s.apart(t, 5)
	s.killAt(t, at, nil)
	s.own(t, 2)
	s.produce(t, 5)
	s.copied(t)
}

func latest(t *testing.T, l *lab, at step) {
	s := l.streamAt(t, 4)
	s.apart(t, 7) // the source moved on before anybody began
	s.killAt(t, at, nil)
	s.produce(t, 5)
	s.own(t, 2)
	s.produce(t, 5)
	s.holds(t, 0, [2]int{4, s.made})
}

// trimmed: the source's head is trimmed before the start is resolved, and
// again before the successor begins.
func trimmed(t *testing.T, l *lab, at step) {
	s := l.stream(t)
	s.apart(t, 12)
	trim(t, l.src, s.topic, 4)
	s.killAt(t, at, nil)
	resolved := s.task().Copy.Mapping != nil
	trim(t, l.src, s.topic, 6)
	written := int(s.End(t, s.topic, 0))
	s.own(t, 2)
	s.produce(t, 5)
	switch {
	case !resolved:
		s.holds(t, 0, [2]int{6, s.made})
	case written >= 2: // they are copied: nothing is lost
		s.holds(t, 0, [2]int{4, s.made})
		if evs := s.Events(fsm.CodePositionLost); len(evs) > 0 {
			t.Errorf("a loss that is none: %+v", evs)
		}
	default:
		from := 4 + written
		rig.Until(t, 30*time.Second, "the loss is named", func() bool { return s.task().Copy.Stop != nil })
		if st := s.task().Copy.Stop; st.Code != fsm.CodePositionLost || st.From != int64(from) || st.To != 6 {
			t.Fatalf("stopped by %+v, want position-lost [%d, 6)", st, from)
		}
		s.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderContinue})
		s.holds(t, 0, [2]int{4, from}, [2]int{6, s.made})
	}
}

// controlBatch: the first transaction marker takes a source offset. A stream
// that left dense and wrote beyond its checkpoint finds its place in both logs.
func controlBatch(t *testing.T, l *lab, at step) {
	s := l.stream(t)
	s.killAt(t, at, func() {
		s.transaction(t, 1)
		s.produce(t, 4)
	})
	s.own(t, 2)
	s.produce(t, 4)
	s.copied(t)
}

// controlBehindBacklog: the first marker comes in one fetch with much that is
// not copied yet, which must not be dropped with it.
func controlBehindBacklog(t *testing.T, l *lab) {
	s := l.stream(t)
	s.produce(t, 50)
	s.transaction(t, 2)
	s.produce(t, 5)
	s.own(t, 1)
	s.copied(t)
	if m := s.task().Copy.Mapping; m.Phase != fsm.PhaseTranslated {
		t.Errorf("mapping %+v", m)
	}
}

// staleMapping: an owner that is cut off knows only the mapping from before
// the marker, by which source and target offsets are equal still. It must not
// go on behind what its successor wrote by the new one.
func staleMapping(t *testing.T, l *lab) {
	s := l.stream(t)
	r1 := s.own(t, 1)
	s.warm(t, r1)
	r1.Cut(true)
	r2 := s.own(t, 2)
	s.transaction(t, 1)
	s.produce(t, 2)
	rig.Until(t, 30*time.Second, "the successor left dense", func() bool { return s.End(t, s.topic, 0) == int64(s.made) })
	// Now the old owner could win the race for the next records.
	f := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{faults.Produce}, ClientPrefix: r2.name, Do: faults.Hold})
	s.produce(t, 5)
	chosen(t, f, 1)
	looks := l.dstProxy.AddRule(faults.Rule{Side: faults.OnRequest, APIs: []int16{describeProducers}, ClientPrefix: r1.name, Do: faults.Delay})
	writes := count(l, r1.name)
	rig.Until(t, 30*time.Second, "it derives where it would go on", func() bool { return looks.Chosen() > 1 || writes.fault.Chosen() > 0 })
	if writes.fault.Chosen() > 0 {
		t.Fatal("the old owner wrote by the old mapping")
	}
	f.Release()
	s.produce(t, 5)
	s.copied(t)
}

// raisedEpoch: the operator emptied the target and ordered to copy again.
func raisedEpoch(t *testing.T, l *lab, at step) {
	s := l.stream(t)
	r := s.own(t, 3)
	s.apart(t, 5)
	s.acked(t, r)
	r.Close()
	trim(t, l.dst, s.topic, 5)
	now := s.task()
	s.Do(t, &fsm.TaskStop{Task: now.ID, Turn: now.Turn, Stop: fsm.Stop{Code: fsm.CodeForeignWriter, From: -1, To: -1}})
	s.Do(t, &fsm.TaskOrder{Link: 1, Order: fsm.OrderRecopy})
	s.killAt(t, at, nil)
	s.own(t, 2)
	s.produce(t, 5)
	s.holds(t, 5, [2]int{0, s.made})
	if m := s.task().Copy.Mapping; m.Generation != 2 || m.ProducerEpoch != 1 {
		t.Errorf("mapping %+v", m)
	}
}
