package work

import (
	"slices"
	"testing"

	"sluice/fsm"
)

// world drives a real fsm.State, so that plans meet the facts as Apply makes
// them.
type world struct {
	t     testing.TB
	state *fsm.State
	index uint64
	now   int64
	alive []string
	links int
}

func newWorld(t testing.TB) *world {
	return &world{t: t, state: fsm.NewState(), now: 1_000_000}
}

func (w *world) view() *fsm.View { return w.state.View() }

func (w *world) do(c fsm.Command) {
	w.t.Helper()
	data, err := fsm.Encode(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.index++
	r, err := w.state.Apply(w.index, data)
	if err != nil || r.Refused != fsm.RefusedNot {
		w.t.Fatalf("%T: %+v %v", c, r, err)
	}
}

func (w *world) node(id, dc string) *world {
	w.do(&fsm.NodePut{Node: fsm.Node{ID: id, Name: "name-" + id, Datacenter: dc}})
	w.alive = append(w.alive, id)
	return w
}

func (w *world) leave(id string) {
	n := *w.view().Node(id)
	n.Leaving = true
	w.do(&fsm.NodePut{Node: n})
}

func (w *world) kafka(name, dc string) *world {
	w.do(&fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: name, Datacenter: dc}}})
	return w
}

// link adds a link of one topic with so many partitions, and its sync task.
func (w *world) link(name, source, target string, partitions int) {
	w.do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: name, Source: source, Target: target}}}})
	w.links++
	streams := make([]fsm.StreamKey, partitions)
	for i := range streams {
		streams[i] = fsm.StreamKey{Topic: "t", Partition: int32(i), TargetTopic: "t"}
	}
	w.do(&fsm.StreamsAdd{Link: fsm.LinkID(w.links), Streams: streams})
}

func (w *world) inputs() Inputs {
	return Inputs{Now: w.now, Alive: w.alive, Rates: map[fsm.TaskID]int64{}}
}

// apply commits a plan at the time of the world.
func (w *world) apply(plan []fsm.Assignment) {
	if len(plan) > 0 {
		w.do(&fsm.Assign{Items: plan, At: w.now})
	}
}

// release lets every owner outside except release what it was asked to.
func (w *world) release(except ...string) {
	byOwner := map[string]*fsm.ProgressBatch{}
	var batches []*fsm.ProgressBatch
	for t := range w.view().Tasks {
		if t.Next == "" || slices.Contains(except, t.Owner) {
			continue
		}
		b := byOwner[t.Owner]
		if b == nil {
			b = &fsm.ProgressBatch{Node: t.Owner, At: w.now}
			byOwner[t.Owner] = b
			batches = append(batches, b)
		}
		b.Items = append(b.Items, fsm.ProgressItem{Task: t.ID, Turn: t.Turn, Release: true})
	}
	for _, b := range batches {
		w.do(b)
	}
}

// settle plans, applies and releases until the plan is empty; it returns the
// number of assignments.
func (w *world) settle(in Inputs) int {
	w.t.Helper()
	total := 0
	for range 1000 {
		w.release(in.Dead...)
		plan := Plan(w.view(), in)
		if len(plan) == 0 {
			return total
		}
		total += len(plan)
		w.now = in.Now
		w.apply(plan)
	}
	w.t.Fatal("plans never end")
	return total
}
