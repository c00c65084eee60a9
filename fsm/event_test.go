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

// level3 is the fixture at the feature level from which some events last.
func level3(t *testing.T) *driver {
	d := fixture(t)
	d.must(&FeatureRaise{Level: featureLasting})
	return d
}

// TestChatterDoesNotPushOutWhatLasts: not a stop, not an act, whatever else
// happens, and the same after a snapshot.
func TestChatterDoesNotPushOutWhatLasts(t *testing.T) {
	d := level3(t)
	d.must(
		&TaskStop{Task: task0, Turn: 1, Stop: Stop{Code: CodePositionLost, From: 5, To: 9}, Event: &Event{Code: CodePositionLost, From: 5, To: 9, First: 1, Last: 1}},
		&LinkState{Link: linkL, State: StatePaused, Act: &Act{Who: "ops", Client: "10.0.0.1:5", Node: "n1", Did: []Deed{{Link: "l", Text: "pause link l"}}, At: 2}, At: 2},
	)
	for i := range EventRing + 5 {
		d.must(&EventsAdd{Events: []Event{{Link: linkL, Code: CodeTakeover, Message: fmt.Sprint(i), From: -1, To: -1, First: 3, Last: 3}}})
	}
	for _, v := range []*View{d.s.View(), reread(t, d.s.View()).View()} {
		ring := v.LinkEvents(linkL)
		if len(ring.Events) != EventRing || ring.Dropped != 5 || len(ring.Lasting) != 2 || ring.LastingDropped != 0 {
			t.Fatalf("%d events, %d dropped; %d lasting, %d dropped", len(ring.Events), ring.Dropped, len(ring.Lasting), ring.LastingDropped)
		}
		stop, act := ring.Lasting[0], ring.Lasting[1]
		if stop.Code != CodePositionLost || act.Code != CodeOperatorAct || act.Who != "ops" || act.Client != "10.0.0.1:5" || act.Node != "n1" || act.Message != "pause link l" || act.First != 2 {
			t.Errorf("%+v\n%+v", stop, act)
		}
	}
	for i := range LastingRing + 5 {
		d.must(&EventsAdd{Events: []Event{{Link: linkL, Code: CodePositionLost, From: int64(i), To: int64(i) + 1}}})
	}
	if ring := d.s.View().LinkEvents(linkL); len(ring.Lasting) != LastingRing || ring.LastingDropped != 7 {
		t.Errorf("%d lasting, %d dropped", len(ring.Lasting), ring.LastingDropped)
	}
}

// TestManyTopicsAreOneEvent: thousands that are added, or ended, within a while.
func TestManyTopicsAreOneEvent(t *testing.T) {
	d := level3(t)
	for i := range 3000 {
		e := Event{Link: linkL, Topic: fmt.Sprint("t", i), Part: -1, Node: "n1", Code: CodeTopicAdded, Message: "12 partitions", From: -1, To: -1, First: int64(i), Last: int64(i)}
		d.must(&EventsAdd{Events: []Event{e}})
	}
	evs := d.s.View().LinkEvents(linkL).Events
	if len(evs) != 1 || evs[0].Count != 3000 || evs[0].Topic != "" || evs[0].Message != "3000 topics, the last one t2999: 12 partitions" || evs[0].First != 0 || evs[0].Last != 2999 {
		t.Fatalf("%d events, the first %+v", len(evs), evs[0])
	}
	later := Event{Link: linkL, Topic: "late", Part: -1, Node: "n1", Code: CodeTopicAdded, From: -1, To: -1, First: 100_000, Last: 100_000}
	d.must(&EventsAdd{Events: []Event{later}})
	if evs := d.s.View().LinkEvents(linkL).Events; len(evs) != 2 || evs[1].Topic != "late" {
		t.Errorf("one that comes much later: %d events", len(evs))
	}
}

// TestEventsOutliveTheirLink: the last ones of each, of the links that were
// deleted last.
func TestEventsOutliveTheirLink(t *testing.T) {
	d := level3(t)
	for i := range pastLinks + 5 {
		name := fmt.Sprint("past", i)
		d.must(&Objects{Links: []LinkPut{{Spec: linkSpec(name)}}})
		id := d.s.View().LinkNamed(name).ID
		for j := range pastEvents + 3 {
			d.must(&EventsAdd{Events: []Event{{Link: id, Code: CodePositionLost, From: int64(j), To: int64(j + 1)}}})
		}
		d.must(&Objects{DeleteLinks: []string{name}}, &LinkPurge{Link: id})
		d.must(&EventsAdd{Events: []Event{{Link: id, Code: CodeTakeover, Message: "late", From: -1}}})
	}
	kept := 0
	for _, r := range reread(t, d.s.View()).View().Events {
		if r.Name == "" {
			continue
		}
		kept++
		if len(r.Lasting) != pastEvents || r.LastingDropped != 3 || len(r.Events) != 1 || r.Name == "past0" {
			t.Errorf("%s: %d lasting, %d dropped, %d others", r.Name, len(r.Lasting), r.LastingDropped, len(r.Events))
		}
	}
	if kept != pastLinks {
		t.Errorf("events of %d deleted links", kept)
	}
}

// TestARefusedActIsNoEvent: nothing was changed.
func TestARefusedActIsNoEvent(t *testing.T) {
	d := level3(t)
	d.do(&LinkState{Link: 99, State: StatePaused, Act: &Act{Did: []Deed{{Text: "x"}}}})
	for _, r := range d.s.View().Events {
		if len(r.Lasting) > 0 {
			t.Errorf("%+v", r.Lasting[0])
		}
	}
}
