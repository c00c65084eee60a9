package operation

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

// leader is one node that thinks it leads. What it knows may be old; what it
// remembers is lost when it crashes.
type leader struct {
	view    *fsm.View
	carried map[string]uint64
	tried   *Try
	skew    int64 // of its clock
}

// world is the facts, what nodes really run, and the target.
type world struct {
	*facts
	r       *rapid.T
	views   []*fsm.View
	carried map[string]uint64
	claim   bool
	clock   int64
}

func (w *world) flip(label string) bool { return rapid.Bool().Draw(w.r, label) }

func (w *world) commit(c fsm.Command) {
	w.try(c)
	w.views = append(w.views, w.view())
}

// turn lets a leader decide once.
func (w *world) turn(l *leader, mayCrash bool) {
	o := l.view.Operation(1)
	if o == nil {
		return
	}
	a := Next(l.view, o, Seen{Node: "n", Now: w.clock + l.skew, Carried: l.carried, Tried: l.tried})
	switch {
	case a.Act:
		for _, node := range []string{"a", "b"} {
			if link := w.view().Link(1); link != nil && w.carried[node] < link.Revision {
				w.r.Fatalf("%s is released while %s may still copy", link.Spec.Name, node)
			}
		}
		l.tried = &Try{Step: o.Step}
		if mayCrash && w.flip("target is down") {
			l.tried.Err = "down"
		} else {
			w.claim = false
		}
	case a.Command != nil:
		if mayCrash && w.flip("crash before it is committed") {
			break
		}
		w.commit(a.Command)
	}
	if mayCrash && rapid.IntRange(0, 3).Draw(w.r, "crash") == 0 {
		l.tried = nil
	}
}

// learn brings a leader's knowledge forward, perhaps not to what holds now.
func (w *world) learn(l *leader) {
	last := len(w.views) - 1
	for i, v := range w.views {
		if v == l.view {
			l.view = w.views[rapid.IntRange(i, last).Draw(w.r, "view")]
			break
		}
	}
	for _, node := range []string{"a", "b"} {
		if w.flip("report of " + node) {
			l.carried[node] = w.carried[node]
		}
	}
}

// TestPropertyAnyLeadersGiveTheSameFacts: leaders that know old facts, lose
// their memory between any two steps and act beside one another end a link as
// one leader alone does, and nothing is given up while it is still copied.
func TestPropertyAnyLeadersGiveTheSameFacts(t *testing.T) {
	alone := newFacts(t, 2)
	alone.delete()
	for o := alone.view().Operation(1); o.State == fsm.OperationRunning; o = alone.view().Operation(1) {
		alone.do(Next(alone.view(), o, Seen{Now: now, Carried: alone.everywhere(), Tried: &Try{Step: o.Step}}).Command)
	}
	rapid.Check(t, func(r *rapid.T) {
		w := &world{facts: newFacts(t, 2), r: r, carried: map[string]uint64{}, claim: true, clock: now}
		w.views = []*fsm.View{w.view()}
		w.delete()
		w.views = append(w.views, w.view())
		leaders := []*leader{}
		for range 3 {
			leaders = append(leaders, &leader{view: w.views[0], carried: map[string]uint64{}, skew: rapid.Int64Range(-40_000, 40_000).Draw(r, "skew")})
		}
		for range rapid.IntRange(0, 60).Draw(r, "turns") {
			w.clock += rapid.Int64Range(0, 15_000).Draw(r, "time")
			if w.flip("a node carries out") {
				w.carried[rapid.SampledFrom([]string{"a", "b"}).Draw(r, "node")] = w.view().Index
			}
			l := leaders[rapid.IntRange(0, len(leaders)-1).Draw(r, "leader")]
			w.learn(l)
			w.turn(l, true)
		}
		w.carried = w.everywhere()
		last := leaders[0]
		for i := 0; w.view().Operation(1).State == fsm.OperationRunning; i++ {
			if i == 20 {
				r.Fatalf("%+v does not end", w.view().Operation(1))
			}
			last.view, last.carried = w.view(), w.carried
			w.turn(last, false)
		}
		w.check(alone.view())
	})
}

// check compares what is left with what one leader alone leaves.
func (w *world) check(want *fsm.View) {
	got := w.view()
	o := got.Operation(1)
	left := strings.Contains(o.Message, "claim still stands")
	if o.State != fsm.OperationDone || o.Step != fsm.StepPurging || o.Finished == 0 || w.claim && !left {
		w.r.Fatalf("%+v, claimed %v", o, w.claim)
	}
	if len(got.Links) != 0 || got.TaskCount() != 0 || len(got.Spent) != len(want.Spent) || got.Spent[0] != want.Spent[0] {
		w.r.Fatalf("links %v, %d tasks, spent %v; want %v", got.Links, got.TaskCount(), got.Spent, want.Spent)
	}
	order := map[fsm.Step]int{fsm.StepStopping: 1, fsm.StepReleasing: 2, fsm.StepPurging: 3}
	at := 0
	for _, v := range w.views {
		o := v.Operation(1)
		if o == nil {
			continue
		}
		if order[o.Step] < at || v.Link(1) == nil && o.Step != fsm.StepPurging {
			w.r.Fatalf("%s at index %d, after step %d; link %v", o.Step, v.Index, at, v.Link(1))
		}
		at = order[o.Step]
	}
}
