package fsm

import (
	"reflect"
	"testing"
)

func TestAssign(t *testing.T) {
	one := func(a Assignment) *Assign { return &Assign{Items: []Assignment{a}, At: 9} }
	asked := func(d *driver) { d.must(one(Assignment{Task: task0, Turn: 1, To: "b", Handover: true})) }
	is := func(id TaskID, owner, next string, turn uint64) func(*testing.T, *View) {
		return func(t *testing.T, v *View) {
			if n := v.Task(id); n.Owner != owner || n.Next != next || n.Turn != turn || (n.Next != "") != (n.NextAt == 9) {
				t.Errorf("%+v, want owner %q, next %q, turn %d", n, owner, next, turn)
			}
		}
	}
	run(t, []row{
		{name: "unowned", command: one(Assignment{Task: task1, To: "b"}), check: func(t *testing.T, v *View) {
			is(task1, "b", "", 1)(t, v)
			if v.Task(task1).Since != v.Index || len(v.LinkEvents(linkL).Events) != 0 {
				t.Error("a first owner is no takeover")
			}
		}},
		{name: "forced", command: one(Assignment{Task: task0, Turn: 1, To: "b"}), check: func(t *testing.T, v *View) {
			is(task0, "b", "", 2)(t, v)
			wantLast(t, v, linkL, CodeTakeover, "n2 took over 1 task from n1")
			if v.Task(task0).Copy.Mapping == nil {
				t.Error("the mapping is lost")
			}
		}},
		{name: "several takeovers are one event", command: &Assign{Items: []Assignment{{Task: task0, Turn: 1, To: "b"}, {Task: taskSync, Turn: 1, To: "b"}}}, check: func(t *testing.T, v *View) {
			wantLast(t, v, linkL, CodeTakeover, "n2 took over 2 tasks from n1")
		}},
		{name: "old turn", command: one(Assignment{Task: task0, Turn: 0, To: "b"}), check: is(task0, "a", "", 1)},
		{name: "no such node", command: one(Assignment{Task: task0, Turn: 1, To: "z"}), check: is(task0, "a", "", 1)},
		{name: "no such task", command: one(Assignment{Task: 99, To: "b"})},
		{name: "handover", command: one(Assignment{Task: task0, Turn: 1, To: "b", Handover: true}), check: is(task0, "a", "b", 1)},
		{name: "handover of an unowned task", command: one(Assignment{Task: task1, To: "b", Handover: true}), check: is(task1, "b", "", 1)},
		{name: "handover keeps when it was asked for", before: asked, command: &Assign{Items: []Assignment{{Task: task0, Turn: 1, To: "b", Handover: true}}, At: 50}, check: is(task0, "a", "b", 1)},
		{name: "called back", before: asked, command: one(Assignment{Task: task0, Turn: 1, To: "a", Handover: true}), check: is(task0, "a", "", 1)},
		{name: "forced while asked", before: asked, command: one(Assignment{Task: task0, Turn: 1, To: "b"}), check: is(task0, "b", "", 2)},
		{name: "released", before: asked, command: &ProgressBatch{Node: "a", Items: []ProgressItem{{Task: task0, Turn: 1, Version: 1, Progress: Progress{Source: 150, Target: 90}, Release: true}}}, check: func(t *testing.T, v *View) {
			is(task0, "b", "", 2)(t, v)
			if p := v.Task(task0).Copy.Progress; p.Source != 150 || v.Task(task0).Since != v.Index {
				t.Errorf("the last position is lost: %+v", v.Task(task0))
			}
		}},
		{name: "released to nobody", command: &ProgressBatch{Node: "a", Items: []ProgressItem{{Task: task0, Turn: 1, Release: true}}}, check: is(task0, "", "", 2)},
	})
}

func TestMappingPut(t *testing.T) {
	next := mapping1
	next.Version, next.Segments = 2, []Segment{{100, 40}, {200, 130}}
	put := func(change func(*MappingPut)) *MappingPut {
		c := &MappingPut{Task: task0, Turn: 1, Mapping: next, Progress: Progress{Source: 200, Target: 130}}
		change(c)
		return c
	}
	run(t, []row{
		{name: "next version", command: put(func(*MappingPut) {}), twice: true, check: func(t *testing.T, v *View) {
			if n := v.Task(task0); !reflect.DeepEqual(*n.Copy.Mapping, next) || n.Copy.Progress.Source != 200 {
				t.Errorf("%+v", n)
			}
		}},
		{name: "same version", command: put(func(c *MappingPut) { c.Mapping.Version = 1 }), refused: RefusedTurn, message: "version 1"},
		{name: "version skipped", command: put(func(c *MappingPut) { c.Mapping.Version = 3 }), refused: RefusedTurn},
		{name: "old turn", command: put(func(c *MappingPut) { c.Turn = 0 }), refused: RefusedTurn, message: "turn is 1"},
		{name: "no task", command: put(func(c *MappingPut) { c.Task = 99 }), refused: RefusedNotFound},
		{name: "a task that copies nothing", command: put(func(c *MappingPut) { c.Task = taskSync }), refused: RefusedInvalid, message: "copies nothing"},
		{name: "no segment", command: put(func(c *MappingPut) { c.Mapping.Segments = nil }), refused: RefusedInvalid},
		{name: "segments go back", command: put(func(c *MappingPut) { c.Mapping.Segments = []Segment{{100, 40}, {90, 50}} }), refused: RefusedInvalid, message: "ascending"},
		{name: "lifts stop and order", before: func(d *driver) {
			d.stopped()
			d.must(&TaskOrder{Link: linkL, Order: OrderContinue, Partition: -1})
		}, command: put(func(c *MappingPut) { c.Event = &Event{Code: CodeNewSegment, Message: "skipped", From: 100, To: 200} }), twice: true, check: func(t *testing.T, v *View) {
			if n := v.Task(task0); n.Copy.Stop != nil || n.Copy.Order != "" || n.Copy.Attempt != 1 {
				t.Errorf("%+v", n)
			}
			wantLast(t, v, linkL, CodeNewSegment, "skipped")
			if e := v.LinkEvents(linkL).Events[0]; e.Task != task0 || e.Topic != "orders" || e.Node != "n1" {
				t.Errorf("event %+v", e)
			}
		}},
	})
}

func TestProgress(t *testing.T) {
	batch := func(node string, it ProgressItem) *ProgressBatch {
		return &ProgressBatch{Node: node, At: 10, Items: []ProgressItem{{Task: 99}, it}}
	}
	moved := Progress{Source: 150, SourceEpoch: 3, Target: 90, TargetEpoch: 4, Records: 50, At: 9}
	source := func(want int64, segments ...Segment) func(*testing.T, *View) {
		return func(t *testing.T, v *View) {
			n := v.Task(task0)
			if n.Copy.Progress.Source != want || want == 150 && n.Copy.Progress != moved || !reflect.DeepEqual(n.Copy.Mapping.Segments, append([]Segment{{100, 40}}, segments...)) {
				t.Errorf("%+v %+v, want source %d, segments %v", n.Copy.Progress, n.Copy.Mapping, want, segments)
			}
		}
	}
	item := ProgressItem{Task: task0, Turn: 1, Version: 1, Progress: moved}
	segments := []Segment{{100, 41}, {120, 60}, {110, 70}, {130, 60}}
	with := func(change func(*ProgressItem)) ProgressItem { it := item; change(&it); return it }
	run(t, []row{
		{name: "of the owner", command: batch("a", item), check: source(150)},
		{name: "of another node", command: batch("b", item), check: source(100)},
		{name: "of another turn", command: batch("a", with(func(it *ProgressItem) { it.Turn = 2 })), check: source(100)},
		{name: "in another mapping", command: batch("a", with(func(it *ProgressItem) { it.Version = 2 })), check: source(100)},
		{name: "segments of a dense stream are truth already", command: batch("a", with(func(it *ProgressItem) { it.Segments = segments })), check: source(150)},
		{name: "segments of a translated stream", before: (*driver).translated, command: batch("a", with(func(it *ProgressItem) { it.Version, it.Segments = 2, segments })), check: source(150, Segment{120, 60}, Segment{130, 60})},
	})
}

func TestSegmentsAreThinned(t *testing.T) {
	d := fixture(t)
	d.translated()
	it := ProgressItem{Task: task0, Turn: 1, Version: 2}
	for i := range int64(3 * MaxSegments) {
		it.Segments = append(it.Segments, Segment{101 + i, 41 + i/2})
	}
	d.must(&ProgressBatch{Node: "a", Items: []ProgressItem{it}})
	got := d.s.View().Task(task0).Copy.Mapping.Segments
	if len(got) > MaxSegments || len(got) < MaxSegments/2 {
		t.Fatalf("%d segments", len(got))
	}
	if got[0] != (Segment{100, 40}) || got[len(got)-1] != it.Segments[len(it.Segments)-1] || !ascending(got) {
		t.Fatalf("first %v, last %v", got[0], got[len(got)-1])
	}
	for _, s := range got[1:] {
		if s.Target != 41+(s.Source-101)/2 {
			t.Fatalf("%v was never reported", s)
		}
	}
	// The newest are kept whole, for they are asked for most.
	for i := len(got) - MaxSegments/4; i < len(got); i++ {
		if got[i].Source != got[i-1].Source+1 {
			t.Fatalf("a gap in the newest part at %v", got[i])
		}
	}
}

// A mapping that follows keeps where segments may be missing, as far as it has
// them itself. What the command says of that counts for nothing.
func TestThinnedSegmentsAreRemembered(t *testing.T) {
	var long []Segment // all but the newest 128 may have dropped ones behind them
	for i := range int64(newest + 100) {
		long = append(long, Segment{100 + 2*i, 40 + i})
	}
	boundary := long[100].Source
	cut := func(n int, more ...Segment) []Segment { return append(append([]Segment(nil), long[:n]...), more...) }
	for _, c := range []struct {
		name          string
		before, after Phase
		next          []Segment
		want          int64
	}{
		{"nothing is cut off", PhaseTranslated, PhaseTranslated, long, boundary},
		{"it goes on", PhaseTranslated, PhaseTranslated, cut(len(long), Segment{900, 300}), boundary},
		{"some of the newest are cut off", PhaseTranslated, PhaseTranslated, cut(150), boundary},
		{"all of the newest are, and what stands behind is known", PhaseTranslated, PhaseTranslated, cut(50), long[49].Source},
		{"all of the newest are, and it goes on further on", PhaseTranslated, PhaseTranslated, cut(50, Segment{250, 91}), 250},
		{"all but the first", PhaseTranslated, PhaseTranslated, cut(1), 0},
		{"it begins anew", PhaseTranslated, PhaseTranslated, []Segment{{0, 40}}, 0},
		{"it begins anew, dense", PhaseTranslated, PhaseDense, cut(150), 0},
		{"it was dense", PhaseDense, PhaseTranslated, cut(150), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fixture(t)
			m := mapping1
			m.Version, m.Phase, m.Segments, m.Thinned = 2, c.before, long, 7
			next := m
			next.Version, next.Phase, next.Segments = 3, c.after, c.next
			d.must(&FeatureRaise{Level: FeatureLevel}, &MappingPut{Task: task0, Turn: 1, Mapping: m, At: 8}, &MappingPut{Task: task0, Turn: 1, Mapping: next, At: 9})
			if got := d.s.View().Task(task0).Copy.Mapping; got.Thinned != c.want {
				t.Errorf("%d, want %d", got.Thinned, c.want)
			}
		})
	}
}

func TestStopsAndOrders(t *testing.T) {
	stop := Stop{Code: CodeSourceRecreated, From: -1, To: -1, Message: "recreated", At: 3}
	n := func(stopped bool, order Order, attempt uint32) func(*testing.T, *View) {
		return func(t *testing.T, v *View) {
			if n := v.Task(task0); (n.Copy.Stop != nil) != stopped || n.Copy.Order != order || n.Copy.Attempt != attempt {
				t.Errorf("%+v, want stopped %v, order %q, attempt %d", n, stopped, order, attempt)
			}
		}
	}
	order := func(o Order) *TaskOrder { return &TaskOrder{Link: linkL, Topic: "orders", Partition: 0, Order: o} }
	ordered := func(d *driver) { d.stopped(); d.must(order(OrderContinue)) }
	run(t, []row{
		{name: "stop", command: &TaskStop{Task: task0, Turn: 1, Stop: stop, Event: &Event{Code: stop.Code, Message: "m"}}, check: func(t *testing.T, v *View) {
			if got := v.Task(task0).Copy.Stop; *got != stop {
				t.Errorf("%+v", got)
			}
			wantLast(t, v, linkL, stop.Code, "m")
		}},
		{name: "stop of an old turn", command: &TaskStop{Task: task0, Turn: 0, Stop: stop}, refused: RefusedTurn},
		{name: "stop of no task", command: &TaskStop{Task: 99, Stop: stop}, refused: RefusedNotFound},
		{name: "stop again after an order", before: ordered, command: &TaskStop{Task: task0, Turn: 1, Stop: stop}, check: n(true, "", 1)},
		{name: "retry", before: (*driver).stopped, command: order(OrderRetry), check: n(false, "", 1), counts: true},
		{name: "retry instead", before: ordered, command: order(OrderRetry), check: n(false, "", 2), counts: true},
		{name: "retry of what runs", command: order(OrderRetry), check: n(false, "", 1), counts: true},
		{name: "continue", before: (*driver).stopped, command: order(OrderContinue), check: n(true, OrderContinue, 1)},
		{name: "another order", before: ordered, command: order(OrderRecopy), check: n(true, OrderRecopy, 2)},
		{name: "continue what runs", command: order(OrderContinue), refused: RefusedInvalid, message: "nothing to continue"},
		{name: "all of the link", before: (*driver).stopped, command: &TaskOrder{Link: linkL, Partition: 5, Order: OrderRecopy}, check: n(true, OrderRecopy, 1)},
		{name: "all of the topic", before: (*driver).stopped, command: &TaskOrder{Link: linkL, Topic: "orders", Partition: -1, Order: OrderRecopy}, check: n(true, OrderRecopy, 1)},
		{name: "another partition", before: (*driver).stopped, command: &TaskOrder{Link: linkL, Topic: "orders", Partition: 1, Order: OrderRecopy}, refused: RefusedInvalid},
		{name: "no such stream", command: &TaskOrder{Link: linkL, Topic: "x", Partition: -1, Order: OrderRetry}, refused: RefusedNotFound, message: "no such stream"},
		{name: "no such order", before: (*driver).stopped, command: order("forget"), refused: RefusedInvalid, message: "forget"},
		{name: "no such link", command: &TaskOrder{Link: 9, Order: OrderRetry}, refused: RefusedNotFound},
	})
}

func TestEventsAdd(t *testing.T) {
	run(t, []row{
		{name: "kept", command: &EventsAdd{Events: []Event{{Link: linkL, Code: CodeUnauthorized, Message: "m"}, {Link: 9, Code: CodeUnauthorized}, {Code: CodeNodeDead, Message: "n9"}}}, check: func(t *testing.T, v *View) {
			wantLast(t, v, linkL, CodeUnauthorized, "m")
			wantLast(t, v, 0, CodeNodeDead, "n9")
			if len(v.Events) != 2 {
				t.Errorf("a ring for a link that is not there: %+v", v.Events)
			}
		}},
	})
}
