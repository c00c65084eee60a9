package fsm

import (
	"fmt"
	"testing"
)

func TestEventsAreFolded(t *testing.T) {
	base := Event{Link: linkL, Task: task0, Topic: "orders", Code: CodeUnreachable, Message: "first", From: -1, To: -1, Node: "n1", First: 10, Last: 10}
	other := func(change func(*Event)) Event { e := base; change(&e); return e }
	for _, c := range []struct {
		name  string
		then  Event
		folds bool
	}{
		{"the same later", other(func(e *Event) { e.First, e.Last, e.Message = 20, 20, "second" }), true},
		{"another code", other(func(e *Event) { e.Code = CodeUnauthorized }), false},
		{"another range", other(func(e *Event) { e.From, e.To = 1, 2 }), false},
		{"another node", other(func(e *Event) { e.Node = "n2" }), false},
		{"another stream", other(func(e *Event) { e.Task, e.Part = task1, 1 }), false},
		{"another link", other(func(e *Event) { e.Link = 0 }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fixture(t)
			d.must(&EventsAdd{Events: []Event{base}})
			old := d.s.View().LinkEvents(linkL)
			d.must(&EventsAdd{Events: []Event{c.then}})
			evs := d.s.View().LinkEvents(linkL).Events
			if folded := len(evs) == 1 && evs[0].Count == 2; folded != c.folds {
				t.Fatalf("folded %v: %+v", folded, evs)
			}
			if c.folds && (evs[0].First != 10 || evs[0].Last != 20 || evs[0].Message != "second") {
				t.Errorf("%+v", evs[0])
			}
			if old.Events[0].Count != 1 || old.Events[0].Message != "first" {
				t.Errorf("an old view's event has changed: %+v", old.Events[0])
			}
		})
	}
}

func TestFoldingLooksBehindOtherStreams(t *testing.T) {
	d := fixture(t)
	for i := range 5 {
		for _, id := range []TaskID{task0, task1} {
			d.must(&EventsAdd{Events: []Event{{Link: linkL, Task: id, Code: CodeUnreachable, First: int64(i), Last: int64(i)}}})
		}
	}
	if evs := d.s.View().LinkEvents(linkL).Events; len(evs) != 2 || evs[0].Count != 5 || evs[1].Count != 5 {
		t.Fatalf("%d events", len(evs))
	}
}

func TestTakeoversFromDifferentNodesAreBothKept(t *testing.T) {
	d := fixture(t)
	d.must(&NodePut{Node: Node{ID: "c", Name: "n3"}}, &Assign{Items: []Assignment{{Task: task1, To: "c"}}},
		&Assign{Items: []Assignment{{Task: task0, Turn: 1, To: "b"}}}, &Assign{Items: []Assignment{{Task: task1, Turn: 1, To: "b"}}})
	if evs := d.s.View().LinkEvents(linkL).Events; len(evs) != 2 {
		t.Fatalf("%d events of two takeovers: %+v", len(evs), evs[0])
	}
}

func TestRingDropsTheOldest(t *testing.T) {
	d := fixture(t)
	const more = 25
	for i := range EventRing + more {
		d.must(&EventsAdd{Events: []Event{{Link: linkL, Task: task0, Code: CodeNewSegment, From: int64(i), To: int64(i + 1), Message: fmt.Sprint(i)}}})
	}
	ring := d.s.View().LinkEvents(linkL)
	if len(ring.Events) != EventRing || ring.Dropped != more {
		t.Fatalf("%d events, %d dropped", len(ring.Events), ring.Dropped)
	}
	for i, e := range ring.Events {
		if e.From != int64(i+more) || i > 0 && e.Seq <= ring.Events[i-1].Seq {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	s := reread(t, d.s.View())
	if got := s.View().LinkEvents(linkL); got.Dropped != more || len(got.Events) != EventRing {
		t.Fatalf("after a snapshot: %d events, %d dropped", len(got.Events), got.Dropped)
	}
}
