package work

import (
	"testing"

	"sluice/fsm"
)

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

func TestUnownedTasksAreAssignedInOnePlan(t *testing.T) {
	w := newWorld(t)
	w.node("a", "").node("b", "").node("c", "")
	w.kafka("us", "").kafka("eu", "")
	w.link("l", "us", "eu", 23)
	w.apply(Plan(w.view(), w.inputs()))
	owned := map[string]int{}
	for task := range w.view().Tasks {
		owned[task.Owner]++
	}
	if owned["a"] != 8 || owned["b"] != 8 || owned["c"] != 8 {
		t.Fatalf("24 tasks on three nodes: %v", owned)
	}
}
