package work

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/fsm"
)

// three is a cluster of three nodes with one link of 23 partitions, settled:
// with its sync task, 8 tasks each.
func three(t testing.TB) (*world, Inputs) {
	w := newWorld(t)
	w.node("a", "").node("b", "").node("c", "")
	w.kafka("us", "").kafka("eu", "")
	w.link("l", "us", "eu", 23)
	in := w.inputs()
	w.settle(in)
	return w, in
}

// owned counts the tasks of each owner.
func (w *world) owned() map[string]int {
	n := map[string]int{}
	for t := range w.view().Tasks {
		n[t.Owner]++
	}
	return n
}

func (w *world) wantOwned(want map[string]int) {
	w.t.Helper()
	if got := w.owned(); !maps.Equal(got, want) {
		w.t.Fatalf("owned %v, want %v", got, want)
	}
}

// first returns the first task of an owner.
func (w *world) first(owner string) *fsm.Task {
	w.t.Helper()
	for t := range w.view().Tasks {
		if t.Owner == owner {
			return t
		}
	}
	w.t.Fatalf("%s owns nothing", owner)
	return nil
}

func (w *world) wantPlan(in Inputs, want ...fsm.Assignment) {
	w.t.Helper()
	if got := Plan(w.view(), in); !reflect.DeepEqual(got, want) {
		w.t.Fatalf("plan\n%+v, want\n%+v", got, want)
	}
}

func TestUnownedTasksAreAssignedInOnePlan(t *testing.T) {
	w := newWorld(t)
	w.node("a", "").node("b", "").node("c", "")
	w.kafka("us", "").kafka("eu", "")
	w.link("l", "us", "eu", 23)
	w.apply(Plan(w.view(), w.inputs()))
	w.wantOwned(map[string]int{"a": 8, "b": 8, "c": 8})
}

func TestHeavyTasksAreSpread(t *testing.T) {
	w := newWorld(t)
	w.node("a", "").node("b", "")
	w.kafka("us", "").kafka("eu", "")
	w.link("l", "us", "eu", 20)
	in := w.inputs()
	in.Rates[2], in.Rates[3] = 10<<20, 10<<20
	w.settle(in)
	if a, b := w.view().Task(2).Owner, w.view().Task(3).Owner; a == b {
		t.Fatalf("both heavy tasks are on %s", a)
	}
}

func TestOnlyTheDeadNodesTasksMove(t *testing.T) {
	w, in := three(t)
	before := map[fsm.TaskID]string{}
	for task := range w.view().Tasks {
		before[task.ID] = task.Owner
	}
	in.Alive, in.Dead = []string{"a", "c"}, []string{"b"}
	plan := Plan(w.view(), in)
	if len(plan) != 8 {
		t.Fatalf("%d assignments for 8 tasks", len(plan))
	}
	for _, a := range plan {
		if before[a.Task] != "b" || a.Handover {
			t.Errorf("%+v of %s: want forced ones of b only", a, before[a.Task])
		}
	}
	w.apply(plan)
	w.wantOwned(map[string]int{"a": 12, "c": 12})
}

func TestRemovedNodesTasksMove(t *testing.T) {
	w, in := three(t)
	w.do(&fsm.NodeRemove{ID: "b"})
	w.apply(Plan(w.view(), in))
	w.wantOwned(map[string]int{"a": 12, "c": 12})
}

func TestDeadWinsOverAlive(t *testing.T) {
	w, in := three(t)
	in.Dead = []string{"b"}
	w.apply(Plan(w.view(), in))
	w.wantOwned(map[string]int{"a": 12, "c": 12})
}

func TestSilentNodeKeepsItsTasksAndGetsNone(t *testing.T) {
	w, in := three(t)
	in.Alive = []string{"a", "c"}
	w.wantPlan(in)
	w.link("m", "us", "eu", 11)
	w.apply(Plan(w.view(), in))
	w.wantOwned(map[string]int{"a": 14, "b": 8, "c": 14})
}

func TestNobodyAliveChangesNothing(t *testing.T) {
	w, in := three(t)
	w.link("m", "us", "eu", 2)
	in.Alive = nil
	w.wantPlan(in)
	in.Dead = []string{"a", "b", "c"}
	w.wantPlan(in)
}

func TestLeavingNodeHandsAllOverAtOnce(t *testing.T) {
	w, in := three(t)
	w.leave("b")
	plan := Plan(w.view(), in)
	if len(plan) != 8 {
		t.Fatalf("%d handovers of 8 tasks", len(plan))
	}
	for _, a := range plan {
		if !a.Handover {
			t.Errorf("%+v: want a handover", a)
		}
	}
	w.apply(plan)
	w.wantOwned(map[string]int{"a": 8, "b": 8, "c": 8})
	w.release()
	w.wantOwned(map[string]int{"a": 12, "c": 12})
	w.wantPlan(in)
}

func TestLastNodeLeavingKeepsItsTasks(t *testing.T) {
	w, in := three(t)
	for _, id := range w.alive {
		w.leave(id)
	}
	w.wantPlan(in)
}

func TestDeletedLinksTasksAreLeftAlone(t *testing.T) {
	w, in := three(t)
	w.do(&fsm.Objects{DeleteLinks: []string{"l"}})
	in.Dead = []string{"b"}
	w.wantPlan(in)
}

// asking makes a's first task be handed over to the node.
func (w *world) asking(to string) *fsm.Task {
	t := w.first("a")
	w.apply([]fsm.Assignment{{Task: t.ID, Turn: t.Turn, To: to, Handover: true}})
	return w.view().Task(t.ID)
}

func TestOpenHandover(t *testing.T) {
	late := HandoverTimeout.Milliseconds() + 1
	for _, c := range []struct {
		name  string
		after int64 // ms
		with  func(w *world, in *Inputs)
		want  *fsm.Assignment // without task and turn
	}{
		{"waits", late - 1, func(*world, *Inputs) {}, nil},
		{"is forced when late", late, func(*world, *Inputs) {}, &fsm.Assignment{To: "b"}},
		{"is forced to the receiver when the owner dies", 0, func(_ *world, in *Inputs) { in.Dead = []string{"a"} }, &fsm.Assignment{To: "b"}},
		{"is called back when the receiver dies", 0, func(_ *world, in *Inputs) { in.Dead = []string{"b"} }, &fsm.Assignment{To: "a", Handover: true}},
		{"is called back when the receiver leaves", 0, func(w *world, _ *Inputs) { w.leave("b") }, &fsm.Assignment{To: "a", Handover: true}},
		{"waits for a silent receiver", late - 1, func(_ *world, in *Inputs) { in.Alive = []string{"a", "c"} }, nil},
		{"is called back when the receiver stays silent", late, func(_ *world, in *Inputs) { in.Alive = []string{"a", "c"} }, &fsm.Assignment{To: "a", Handover: true}},
		{"of a leaving owner goes elsewhere when the receiver dies", 0, func(w *world, in *Inputs) { w.leave("a"); in.Dead = []string{"b"} }, &fsm.Assignment{To: "c", Handover: true}},
		{"of a leaving owner is forced elsewhere when late", late, func(w *world, in *Inputs) { w.leave("a"); in.Dead = []string{"b"} }, &fsm.Assignment{To: "c"}},
		{"goes elsewhere when both die", 0, func(_ *world, in *Inputs) { in.Dead = []string{"a", "b"} }, &fsm.Assignment{To: "c"}},
		{"of a silent owner is called back when the receiver dies", 0, func(_ *world, in *Inputs) { in.Alive, in.Dead = []string{"c"}, []string{"b"} }, &fsm.Assignment{To: "a", Handover: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, in := three(t)
			w.link("m", "us", "eu", 0) // one sync task more for a: moving it is no nonsense
			w.settle(in)
			task := w.asking("b")
			in.Now += c.after
			c.with(w, &in)
			got := find(Plan(w.view(), in), task.ID)
			if c.want != nil {
				c.want.Task, c.want.Turn = task.ID, task.Turn
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// find returns the plan's only word about a task.
func find(plan []fsm.Assignment, id fsm.TaskID) *fsm.Assignment {
	var found *fsm.Assignment
	for i, a := range plan {
		if a.Task == id {
			if found != nil {
				return &fsm.Assignment{To: "two assignments"}
			}
			found = &plan[i]
		}
	}
	return found
}

func TestLateHandoverThatIsNotWantedIsCalledBack(t *testing.T) {
	w, in := three(t)
	task := w.asking("b") // 7, 9, 8
	in.Now += HandoverTimeout.Milliseconds() + 1
	w.wantPlan(in, fsm.Assignment{Task: task.ID, Turn: task.Turn, To: "a", Handover: true})
}

func TestLevelingBeginsBeyondTheBand(t *testing.T) {
	w, in := three(t)
	w.link("m", "us", "eu", 299)
	w.settle(in)
	rates := func(percent int64) {
		for task := range w.view().Tasks {
			in.Rates[task.ID] = 1 << 20
			if task.Owner == "a" {
				in.Rates[task.ID] += percent << 20 / 100
			}
		}
	}
	rates(band - 4)
	w.wantPlan(in)
	rates(2 * band)
	if n := w.settle(in); n < 5 || n > 15 {
		t.Fatalf("%d of 324 tasks moved, some 10 would do", n)
	}
}

func TestNoiseMovesNothingForLong(t *testing.T) {
	w, in := three(t)
	w.link("m", "us", "eu", 39)
	steady := map[fsm.TaskID]int64{}
	seed := uint64(1)
	noise := func(n int64) int64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int64(seed>>33) % n
	}
	for id := range fsm.TaskID(65) {
		steady[id] = 1 << (10 + noise(12)) // 1 KiB/s to 2 MiB/s
	}
	late := 0
	for round := range 300 {
		for id := range fsm.TaskID(65) {
			rate := steady[id]
			in.Rates[id] = rate + rate*(noise(41)-20)/100
		}
		n := w.settle(in)
		if round > 100 {
			late += n
		}
	}
	if late > 5 {
		t.Fatalf("%d tasks moved in 200 rounds of noise", late)
	}
}

func TestOneHeavyTaskDoesNotWander(t *testing.T) {
	w, in := three(t)
	heavy := w.first("a")
	in.Rates[heavy.ID] = 100 << 20
	w.settle(in)
	if got := w.view().Task(heavy.ID); got.Owner != "a" {
		t.Fatalf("moved to %s, which is as bad", got.Owner)
	}
	if n := w.owned()["a"]; n != 1 {
		t.Fatalf("a still has %d tasks beside the heavy one", n-1)
	}
	w.wantPlan(in)
}

func TestDatacenters(t *testing.T) {
	w := newWorld(t)
	w.node("e1", "east").node("e2", "east").node("w1", "west").node("x", "")
	w.kafka("east", "east").kafka("west", "west").kafka("nowhere", "").kafka("mars", "mars")
	w.link("to-east", "west", "east", 9)
	w.link("to-west", "east", "west", 9)
	w.link("to-nowhere", "east", "nowhere", 9)
	w.link("to-mars", "east", "mars", 9)
	in := w.inputs()
	w.settle(in)
	check := func(want map[fsm.LinkID]string) {
		t.Helper()
		for task := range w.view().Tasks {
			if owners, ok := want[task.Link]; ok && !slices.Contains(strings.Fields(owners), task.Owner) {
				t.Errorf("link %d: owner %s, want one of %s", task.Link, task.Owner, owners)
			}
		}
	}
	check(map[fsm.LinkID]string{1: "e1 e2", 2: "w1"})
	if n := w.owned(); n["x"] == 0 || n["w1"] != 10 {
		t.Errorf("tasks without a datacenter should fill the node without one, not w1: %v", n)
	}
	in.Dead = []string{"w1"}
	w.settle(in)
	check(map[fsm.LinkID]string{1: "e1 e2", 2: "e1 e2 x"})
	in.Dead = nil
	w.settle(in)
	check(map[fsm.LinkID]string{1: "e1 e2", 2: "w1"})
}

func BenchmarkPlan(b *testing.B) {
	w := newWorld(b)
	w.node("a", "").node("b", "").node("c", "")
	w.kafka("us", "").kafka("eu", "")
	w.link("l", "us", "eu", 10_000)
	in := w.inputs()
	for i := range 10_000 {
		in.Rates[fsm.TaskID(i+1)] = int64(i%97) * 10_000
	}
	run := func(name string, want int) {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = len(Plan(w.view(), in))
			}
			if n < want {
				b.Fatalf("%d assignments", n)
			}
			b.ReportMetric(float64(n), "assignments")
		})
	}
	run("all", 10_001)
	w.settle(in)
	run("quiet", 0)
	in.Dead = []string{"b"}
	run("death", 3_000)
	w.settle(in)
	in.Dead = nil
	run("return", 1)
}
