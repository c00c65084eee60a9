package fsm

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// drawCommand draws a command that mostly fits the View, and sometimes not.
func drawCommand(r *rapid.T, v *View) Command {
	small := func(label string, n int) int { return rapid.IntRange(0, n).Draw(r, label) }
	node := func() string { return fmt.Sprint("node", small("node", 3)) }
	kafka := func() string { return fmt.Sprint("k", small("kafka", 3)) }
	link := func() LinkID { return LinkID(small("link", int(v.nextLink))) }
	task := func() TaskID { return TaskID(small("task", int(v.nextTask))) }
	turn := func(id TaskID) uint64 {
		if t := v.Task(id); t != nil && small("old", 9) > 0 {
			return t.Turn
		}
		return uint64(small("turn", 2))
	}
	at := int64(v.Index) * 10
	event := func() Event {
		return Event{Link: link(), Task: task(), Code: rapid.SampledFrom([]Code{CodeUnreachable, CodePositionLost}).Draw(r, "code"), From: -1, To: -1, First: at, Last: at}
	}
	stream := func() StreamKey {
		topic := fmt.Sprint("t", small("topic", 3))
		return StreamKey{topic, int32(small("partition", 400)), topic}
	}
	switch Type(1 + small("type", int(TypeLinkAdopt)-1)) {
	case TypeClusterInit:
		return &ClusterInit{ClusterID: rapid.SampledFrom([]string{"c1", "c1", "c2"}).Draw(r, "id")}
	case TypeNodePut:
		id := node()
		return &NodePut{Node: Node{ID: id, Name: rapid.SampledFrom([]string{id, id, "shared"}).Draw(r, "name"), Leaving: rapid.Bool().Draw(r, "leaving")}, At: at}
	case TypeNodeRemove:
		return &NodeRemove{ID: node(), At: at}
	case TypeFeatureLevel:
		return &FeatureRaise{Level: uint32(small("level", 6))}
	case TypeObjects:
		c := &Objects{At: at}
		for range small("kafkas", 2) {
			c.Kafka = append(c.Kafka, KafkaCluster{Name: kafka()})
		}
		for range small("links", 2) {
			c.Links = append(c.Links, LinkPut{Spec: LinkSpec{Name: fmt.Sprint("l", small("name", 3)), Source: kafka(), Target: kafka(), Limit: int64(small("limit", 2))}})
		}
		if small("delete", 3) == 0 {
			c.DeleteLinks = []string{fmt.Sprint("l", small("name", 3))}
		}
		if small("delete", 5) == 0 {
			c.DeleteKafka = []string{kafka()}
		}
		return c
	case TypeKafkaPin:
		return &KafkaPin{Name: kafka(), ClusterID: fmt.Sprint("id", small("id", 1)), Revision: uint64(small("revision", 9))}
	case TypeLinkState:
		return &LinkState{Link: link(), State: rapid.SampledFrom([]string{StateRunning, StatePaused, "odd"}).Draw(r, "state")}
	case TypeLinkHold:
		return &LinkHold{Link: link(), By: "c0", At: at}
	case TypeLinkAdopt:
		return &LinkAdopt{Link: link(), From: rapid.SampledFrom([]string{"c0", ""}).Draw(r, "from"), ProducerID: int64(small("pid", 3) - 1), At: at}
	case TypeLinkPurge:
		return &LinkPurge{Link: link()}
	case TypeLinkProducer:
		return &LinkProducer{Link: link(), ProducerID: int64(small("pid", 3)), Prev: int64(small("prev", 3) - 1)}
	case TypeStreamsAdd:
		c := &StreamsAdd{Link: link(), At: at}
		for range small("streams", 30) {
			c.Streams = append(c.Streams, stream())
		}
		for range small("again", 30) {
			c.Again = append(c.Again, stream())
		}
		return c
	case TypeStreamsEnd:
		return &StreamsEnd{Link: link(), Topics: []string{stream().Topic, stream().Topic}[:small("topics", 2)], Gone: small("gone", 3) == 0, At: at}
	case TypeAssign:
		c := &Assign{At: at}
		for range small("items", 20) {
			id := task()
			c.Items = append(c.Items, Assignment{Task: id, Turn: turn(id), To: node(), Handover: rapid.Bool().Draw(r, "handover")})
		}
		return c
	case TypeMappingPut:
		id := task()
		c := &MappingPut{Task: id, Turn: turn(id), Mapping: Mapping{Version: 1, Phase: Phase(2 + small("phase", 1)), Segments: []Segment{{int64(small("s", 9)), 0}}}}
		if t := v.Task(id); t != nil && t.Copy != nil && t.Copy.Mapping != nil {
			c.Mapping.Version = t.Copy.Mapping.Version + 1
		}
		if rapid.Bool().Draw(r, "event") {
			e := event()
			c.Event = &e
		}
		return c
	case TypeProgress:
		c := &ProgressBatch{Node: node(), At: at}
		for range small("items", 20) {
			id := task()
			it := ProgressItem{Task: id, Turn: turn(id), Version: uint32(small("version", 2)), Progress: Progress{Source: int64(small("source", 99))}, Release: small("release", 3) == 0}
			for range small("segments", 3) {
				it.Segments = append(it.Segments, Segment{int64(small("s", 99)), int64(small("t", 99))})
			}
			c.Items = append(c.Items, it)
		}
		return c
	case TypeTaskStop:
		id := task()
		return &TaskStop{Task: id, Turn: turn(id), Stop: Stop{Code: CodePositionLost, At: at}}
	case TypeTaskOrder:
		s := stream()
		return &TaskOrder{Link: link(), Topic: s.Topic, Partition: s.Partition - 1, Order: rapid.SampledFrom([]Order{OrderRetry, OrderContinue, OrderRecopy}).Draw(r, "order"), Seen: uint64(small("seen", int(v.Index)))}
	case TypeOperation:
		steps := []Step{StepStopping, StepReleasing, StepPurging}
		states := []OperationState{OperationRunning, OperationRunning, OperationDone, OperationFailed}
		return &OperationStep{
			Operation: OperationID(small("operation", int(v.lastOperation)+1)), From: rapid.SampledFrom(steps).Draw(r, "from"), To: rapid.SampledFrom(steps).Draw(r, "to"),
			State: rapid.SampledFrom(states).Draw(r, "state"), At: at,
		}
	case TypeEvents:
		return &EventsAdd{Events: []Event{event(), event()}}
	}
	return &Barrier{}
}

// drawDriver has some objects already, so that commands find something.
func drawDriver(t *testing.T) *driver {
	d := newDriver(t)
	for i := range 4 {
		id := fmt.Sprint("node", i)
		d.must(&NodePut{Node: Node{ID: id, Name: id}})
		d.must(&Objects{Kafka: []KafkaCluster{{Name: fmt.Sprint("k", i)}}})
	}
	d.must(&Objects{Links: []LinkPut{{Spec: LinkSpec{Name: "l0", Source: "k0", Target: "k1"}}}})
	var streams []StreamKey
	for i := range int32(260) { // more than a chunk
		streams = append(streams, StreamKey{"t0", i, "t0"})
	}
	d.must(&StreamsAdd{Link: 1, Streams: streams})
	return d
}

func TestPropertySnapshotAtAnyPointGivesTheSameState(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := drawDriver(t)
		var other *driver
		for range rapid.IntRange(1, 25).Draw(r, "commands") {
			if other == nil || rapid.IntRange(0, 4).Draw(r, "restore") == 0 {
				other = &driver{t: t, s: reread(t, d.s.View()), index: d.index}
			}
			c := drawCommand(r, d.s.View())
			if a, b := d.do(c), other.do(c); a != b {
				r.Fatalf("%T: %+v, restored from a snapshot %+v", c, a, b)
			}
		}
		if a, b := snapshot(t, d.s.View()), snapshot(t, other.s.View()); !bytes.Equal(a, b) {
			r.Fatalf("%s\nrestored from a snapshot\n%s", a, b)
		}
		if !maps.Equal(d.s.byKey, other.s.byKey) || len(d.s.byKey) != d.s.View().TaskCount() {
			r.Fatalf("%d keys, %d after a snapshot, %d tasks", len(d.s.byKey), len(other.s.byKey), d.s.View().TaskCount())
		}
	})
}

func TestPropertyOldViewsNeverChange(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := drawDriver(t)
		type kept struct {
			view *View
			hash [32]byte
		}
		var views []kept
		for range rapid.IntRange(1, 25).Draw(r, "commands") {
			v := d.s.View()
			views = append(views, kept{v, hash(t, v)})
			c := drawCommand(r, v)
			if res := d.do(c); res.Refused != RefusedNot && facts(t, d.s.View()) != facts(t, v) {
				r.Fatalf("%T was refused and has changed facts", c)
			}
		}
		for _, k := range views {
			if hash(t, k.view) != k.hash {
				r.Fatalf("the view of index %d has changed", k.view.Index)
			}
		}
	})
}

func TestPropertyViewIsSound(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := drawDriver(t)
		turns := map[TaskID]uint64{}
		for range rapid.IntRange(1, 60).Draw(r, "commands") {
			d.do(drawCommand(r, d.s.View()))
			v := d.s.View()
			n, last := 0, TaskID(0)
			for task := range v.Tasks {
				n++
				if task.ID <= last || task.ID >= v.nextTask || v.Task(task.ID) != task || v.Link(task.Link) == nil {
					r.Fatalf("%+v after %d", task, last)
				}
				if task.Turn < turns[task.ID] || task.Next != "" && task.Owner == "" || task.Next != "" && task.Next == task.Owner {
					r.Fatalf("%+v after turn %d", task, turns[task.ID])
				}
				last, turns[task.ID] = task.ID, task.Turn
			}
			if level := levelOfView(v); level > v.Feature {
				r.Fatalf("facts of level %d at level %d: an older node cannot read the snapshot", level, v.Feature)
			}
			for i, o := range v.Operations {
				if v.Operation(o.ID) != o || o.ID > v.lastOperation || i > 0 && o.ID <= v.Operations[i-1].ID || (o.State == OperationRunning) != (o.Finished == 0) {
					r.Fatalf("operation %+v", o)
				}
			}
			for _, l := range v.Links {
				if l.Deleting && v.Feature >= featureOperations && v.OperationOn(l.ID, OperationDeleteLink) == nil {
					r.Fatalf("nothing ends the link %+v", l)
				}
			}
			if n != v.TaskCount() {
				r.Fatalf("%d tasks, counted %d", n, v.TaskCount())
			}
			for i, l := range v.Links {
				if v.Link(l.ID) != l || i > 0 && l.ID <= v.Links[i-1].ID || v.KafkaCluster(l.Spec.Source) == nil || v.KafkaCluster(l.Spec.Target) == nil {
					r.Fatalf("link %+v", l)
				}
			}
		}
	})
}
