package work

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/fsm"
)

var datacenters = []string{"", "east", "west"}

// drawWorld draws any state that a leader may meet: tasks of any owner, alive,
// dead, silent, leaving or removed, with and without an open handover.
func drawWorld(t *testing.T, r *rapid.T) (*world, Inputs) {
	w := newWorld(t)
	nodes := rapid.IntRange(1, 6).Draw(r, "nodes")
	for i := range nodes {
		w.node(fmt.Sprintf("n%d", i), rapid.SampledFrom(datacenters).Draw(r, "dc"))
	}
	w.node("removed", "east")
	for _, dc := range datacenters {
		w.kafka("k"+dc, dc)
	}
	for i := range rapid.IntRange(1, 4).Draw(r, "links") {
		target := "k" + rapid.SampledFrom(datacenters).Draw(r, "target")
		w.link(fmt.Sprint("l", i), "k", target, rapid.IntRange(0, 40).Draw(r, "partitions"))
	}
	in := w.inputs()
	in.Alive = slices.DeleteFunc(slices.Clone(w.alive), func(string) bool { return rapid.IntRange(0, 9).Draw(r, "silent") == 0 })
	in.Dead = slices.DeleteFunc(slices.Clone(w.alive), func(string) bool { return rapid.IntRange(0, 4).Draw(r, "dead") != 0 })
	ids := append([]string{""}, w.alive...)
	var owners, nexts []fsm.Assignment
	for task := range w.view().Tasks {
		in.Rates[task.ID] = rapid.SampledFrom([]int64{0, 0, 1 << 10, 1 << 16, 1 << 20, 1 << 30, -5, 1 << 62}).Draw(r, "rate")
		if to := rapid.SampledFrom(ids).Draw(r, "owner"); to != "" {
			owners = append(owners, fsm.Assignment{Task: task.ID, To: to})
			if next := rapid.SampledFrom(ids).Draw(r, "next"); next != "" && rapid.IntRange(0, 3).Draw(r, "open") == 0 {
				nexts = append(nexts, fsm.Assignment{Task: task.ID, Turn: 1, To: next, Handover: true})
			}
		}
	}
	w.apply(owners)
	w.apply(nexts)
	for _, id := range w.alive[:nodes] {
		if rapid.IntRange(0, 5).Draw(r, "leaving") == 0 {
			w.leave(id)
		}
	}
	w.do(&fsm.NodeRemove{ID: "removed"})
	if rapid.Bool().Draw(r, "late") {
		w.now += HandoverTimeout.Milliseconds() + 1
		in.Now = w.now
	}
	if rapid.IntRange(0, 4).Draw(r, "deleting") == 0 {
		w.do(&fsm.Objects{DeleteLinks: []string{"l0"}})
	}
	return w, in
}

// receivers are the nodes that may be given work; want, those of them that a
// task prefers.
func (w *world) receivers(in Inputs) []fsm.Node {
	var out []fsm.Node
	for _, n := range w.view().Nodes {
		if slices.Contains(in.Alive, n.ID) && !slices.Contains(in.Dead, n.ID) && !n.Leaving {
			out = append(out, n)
		}
	}
	return out
}

func (w *world) preferred(in Inputs, t *fsm.Task) []string {
	var all, near []string
	dc := w.view().KafkaCluster(w.view().Link(t.Link).Spec.Target).Datacenter
	for _, n := range w.receivers(in) {
		all = append(all, n.ID)
		if dc != "" && n.Datacenter == dc {
			near = append(near, n.ID)
		}
	}
	if near != nil {
		return near
	}
	return all
}

func (w *world) gone(in Inputs, id string) bool {
	return w.view().Node(id) == nil || slices.Contains(in.Dead, id)
}

func TestPropertyEveryTaskIsCarried(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w, in := drawWorld(t, r)
		w.apply(Plan(w.view(), in))
		if len(w.receivers(in)) == 0 {
			return
		}
		for task := range w.view().Tasks {
			if w.view().Link(task.Link).Deleting {
				continue
			}
			if w.gone(in, task.Owner) {
				r.Fatalf("after the plan nobody runs %+v", task)
			}
			n := w.view().Node(task.Owner)
			if n.Leaving && (task.Next == "" || w.gone(in, task.Next)) {
				r.Fatalf("a leaving node keeps %+v", task)
			}
			if task.Next != "" && (w.gone(in, task.Next) || w.view().Node(task.Next).Leaving) {
				r.Fatalf("handed over to nobody: %+v", task)
			}
		}
	})
}

func TestPropertyPlanOfItsResultIsEmpty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w, in := drawWorld(t, r)
		for range 20 {
			w.apply(Plan(w.view(), in))
			if again := Plan(w.view(), in); len(again) > 0 {
				r.Fatalf("planned again: %+v", again)
			}
			w.release(in.Dead...)
		}
	})
}

func TestPropertySameInputSamePlan(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w, in := drawWorld(t, r)
		first := Plan(w.view(), in)
		in.Alive = rapid.Permutation(in.Alive).Draw(r, "alive")
		in.Dead = rapid.Permutation(in.Dead).Draw(r, "dead")
		if again := Plan(w.view(), in); !reflect.DeepEqual(first, again) {
			r.Fatalf("%+v\nthen %+v", first, again)
		}
	})
}

func TestPropertyAssignmentsAreSound(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w, in := drawWorld(t, r)
		seen := map[fsm.TaskID]bool{}
		open, plan := w.open(in), Plan(w.view(), in)
		for _, a := range plan {
			task := w.view().Task(a.Task)
			if seen[a.Task] || a.Turn != task.Turn {
				r.Fatalf("twice or of another turn: %+v", a)
			}
			seen[a.Task] = true
			if w.view().Link(task.Link).Deleting {
				r.Fatalf("of a link that is being deleted: %+v", a)
			}
			if back := a.Handover && a.To == task.Owner; back {
				if task.Next == "" {
					r.Fatalf("called back what was not asked for: %+v", a)
				}
				continue
			}
			if !slices.Contains(w.preferred(in, task), a.To) && (a.Handover || a.To != task.Next) {
				r.Fatalf("%+v: %+v is not among the preferred nodes", task, a)
			}
			if a.Handover && w.gone(in, task.Owner) {
				r.Fatalf("asked a dead node: %+v", a)
			}
		}
		w.apply(plan)
		if now := w.open(in); now > max(open, MaxOpen(w.view().TaskCount())) {
			r.Fatalf("%d handovers open, then %d", open, now)
		}
	})
}

// open counts the voluntary handovers under way, slow ones aside.
func (w *world) open(in Inputs) int {
	n := 0
	for task := range w.view().Tasks {
		slow := in.Now-task.NextAt > slowHandover.Milliseconds()
		if task.Next != "" && !slow && !w.gone(in, task.Owner) && !w.view().Node(task.Owner).Leaving && !w.view().Link(task.Link).Deleting {
			n++
		}
	}
	return n
}

func TestPropertySettled(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w, in := drawWorld(t, r)
		for i := range w.view().Nodes { // silent nodes would keep what they have
			in.Alive = append(in.Alive, w.view().Nodes[i].ID)
		}
		w.settle(in)
		if len(w.receivers(in)) == 0 {
			return
		}
		loads := map[string]int64{}
		lightest := map[string]int64{}
		for task := range w.view().Tasks {
			if w.view().Link(task.Link).Deleting {
				continue
			}
			if !slices.Contains(w.preferred(in, task), task.Owner) {
				r.Fatalf("%+v is on none of %v", task, w.preferred(in, task))
			}
			weight := BaseCost + min(max(in.Rates[task.ID], 0), 1<<40)
			loads[task.Owner] += weight
			for _, to := range w.preferred(in, task) {
				pair := task.Owner + ">" + to
				if l := lightest[pair]; l == 0 || weight < l {
					lightest[pair] = weight
				}
			}
		}
		for _, a := range w.receivers(in) {
			for _, b := range w.receivers(in) {
				diff := loads[a.ID] - loads[b.ID]
				light := lightest[a.ID+">"+b.ID]
				if light > 0 && light <= diff*3/4 && diff*200 > band*(loads[a.ID]+loads[b.ID]) {
					r.Fatalf("%s carries %d, %s %d, and a task of %d could move", a.ID, loads[a.ID], b.ID, loads[b.ID], light)
				}
			}
		}
	})
}

func TestPropertyOneDeathMovesOnlyItsTasks(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		for i := range rapid.IntRange(2, 7).Draw(r, "nodes") {
			w.node(fmt.Sprintf("n%d", i), "")
		}
		w.kafka("us", "").kafka("eu", "")
		w.link("l", "us", "eu", rapid.IntRange(0, 300).Draw(r, "partitions"))
		in := w.inputs()
		w.settle(in)
		in.Dead = []string{rapid.SampledFrom(w.alive).Draw(r, "dead")}
		dead := w.owned()[in.Dead[0]]
		plan := Plan(w.view(), in)
		if len(plan) != dead {
			r.Fatalf("%d assignments for %d tasks of the dead node", len(plan), dead)
		}
		w.apply(plan)
		var counts []int
		for _, id := range w.alive {
			if id != in.Dead[0] {
				counts = append(counts, w.owned()[id])
			}
		}
		if slices.Max(counts)-slices.Min(counts) > 1 {
			r.Fatalf("unlevel after a death: %v", counts)
		}
	})
}
