package work

import "testing"

func TestReturningNodeIsFilledALittleAtATime(t *testing.T) {
	w, in := three(t)
	in.Dead = []string{"b"}
	w.settle(in)
	in.Dead = nil
	open := MaxOpen(24)
	plan := Plan(w.view(), in)
	if len(plan) != open {
		t.Fatalf("%d handovers, want %d", len(plan), open)
	}
	w.apply(plan)
	w.wantPlan(in) // as many are open as may be
	w.release()
	w.settle(in)
	w.wantOwned(map[string]int{"a": 8, "b": 8, "c": 8})
}

// TestReturningNodeIsFilledInFewRounds: where each round of handovers takes two
// seconds, as with thousands of tasks, it has its share within 20.
func TestReturningNodeIsFilledInFewRounds(t *testing.T) {
	for _, tasks := range []int{3, 30, 100, 159, 400, 2500, 12_000} {
		w := newWorld(t).node("a", "").node("b", "").node("c", "").kafka("us", "").kafka("eu", "")
		w.link("l", "us", "eu", tasks-1)
		in := w.inputs()
		in.Dead = []string{"b"}
		w.settle(in)
		in.Dead = nil
		rounds := 0
		for plan := Plan(w.view(), in); len(plan) > 0; plan = Plan(w.view(), in) {
			w.apply(plan)
			w.release()
			rounds++
		}
		if rounds > 8 || w.owned()["b"] < tasks/4 {
			t.Errorf("%d tasks: %d of them came back in %d rounds", tasks, w.owned()["b"], rounds)
		}
	}
}

// TestSlowHandoversDoNotHoldUpOthers: what hangs waits for its own end, the rest
// moves.
func TestSlowHandoversDoNotHoldUpOthers(t *testing.T) {
	w, in := three(t)
	w.link("m", "us", "eu", 99)
	in.Dead = []string{"b"}
	w.settle(in)
	in.Dead = nil
	first := Plan(w.view(), in)
	w.apply(first)
	w.wantPlan(in)
	in.Now += slowHandover.Milliseconds() + 1
	w.now = in.Now
	second := Plan(w.view(), in)
	if len(first) != MaxOpen(124) || len(second) != len(first) {
		t.Errorf("%d handovers, and %d more while those hang", len(first), len(second))
	}
	w.apply(second)
	w.wantPlan(in)
}
