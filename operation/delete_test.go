package operation

import (
	"slices"
	"testing"

	"sluice/fsm"
)

// TestDeletedLinkWaitsForItsOwners: all that are members, dead or alive; not
// those that were removed.
func TestDeletedLinkWaitsForItsOwners(t *testing.T) {
	state := fsm.NewState()
	index := uint64(0)
	do := func(c fsm.Command) {
		t.Helper()
		b, err := fsm.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		index++
		if r, err := state.Apply(index, b); err != nil || r.Refused != fsm.RefusedNot {
			t.Fatalf("%T: %+v %v", c, r, err)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		do(&fsm.NodePut{Node: fsm.Node{ID: id, Name: "node-" + id, Feature: 1}})
	}
	spec := fsm.LinkSpec{Name: "l", Source: "us", Target: "eu", Include: []string{"*"}, Start: "earliest", State: fsm.StateRunning}
	do(&fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us"}, {Name: "eu"}}, Links: []fsm.LinkPut{{Spec: spec}}})
	id := state.View().LinkNamed("l").ID
	do(&fsm.StreamsAdd{Link: id, Streams: []fsm.StreamKey{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}, {Topic: "t", Partition: 2}}})
	assign := &fsm.Assign{}
	for task := range state.View().Tasks {
		assign.Items = append(assign.Items, fsm.Assignment{Task: task.ID, Turn: task.Turn, To: []string{"a", "b", "c", "a"}[(task.ID-1)%4]})
	}
	do(assign)
	do(&fsm.Objects{DeleteLinks: []string{"l"}})
	deleted := state.View().Link(id).Revision
	carried := map[string]uint64{"a": deleted, "b": deleted - 1}
	waits := func() []string {
		out := Waits(state.View(), Running(state.View(), 1)[0], Seen{Carried: carried})
		slices.Sort(out)
		return slices.Compact(out)
	}
	if got := waits(); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("waits for %v", got)
	}
	do(&fsm.NodeRemove{ID: "c"})
	if got := waits(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("after the removal of c it waits for %v", got)
	}
	carried["b"] = deleted
	if got := waits(); len(got) != 0 {
		t.Errorf("waits for %v", got)
	}
}
