package fsm

import (
	"fmt"
	"reflect"
	"testing"
)

// atThree raises the fixture to the level at which streams end, with both Kafka
// clusters known.
func atThree(d *driver) {
	d.must(&FeatureRaise{Level: 3}, &KafkaPin{Name: "us", ClusterID: "id"})
}

var orders0 = StreamKey{Topic: "orders", TargetTopic: "orders"}

// streamsOf lists the streams of a View as topic/partition.
func streamsOf(v *View) (out []string) {
	for t := range v.Tasks {
		if t.Kind == KindCopy {
			out = append(out, fmt.Sprintf("%s/%d", t.Copy.Stream.Topic, t.Copy.Stream.Partition))
		}
	}
	return out
}

func TestStreamsEnd(t *testing.T) {
	gone := func(d *driver) {
		atThree(d)
		d.must(&TaskStop{Task: task0, Turn: 1, Stop: Stop{Code: CodeSourceDeleted, From: -1, To: -1, Message: "gone", At: 8}})
	}
	left := func(want ...string) func(*testing.T, *View) {
		return func(t *testing.T, v *View) {
			t.Helper()
			if got := streamsOf(v); !reflect.DeepEqual(got, want) {
				t.Errorf("streams %q, want %q", got, want)
			}
		}
	}
	end := func(change func(*StreamsEnd)) *StreamsEnd {
		c := &StreamsEnd{Link: linkL, Topics: []string{"orders"}, Reason: "the link no longer selects it", By: "n1", At: 20}
		change(c)
		return c
	}
	run(t, []row{
		{name: "of a topic", before: atThree, command: end(func(*StreamsEnd) {}), check: func(t *testing.T, v *View) {
			left()(t, v)
			if s := endedOf(v, &v.Link(linkL).Spec, orders0); len(v.Ended) != 1 || s == nil || !reflect.DeepEqual(s.Mapping, mapping1) || s.Progress.Source != 100 {
				t.Errorf("%+v", v.Ended)
			}
			e := v.LinkEvents(linkL).All()
			if last := e[len(e)-1]; last.Code != CodeTopicEnded || last.Topic != "orders" || last.Message != "the link no longer selects it: 2 of its streams ended; the target keeps its records" {
				t.Errorf("%+v", last)
			}
		}},
		{name: "of a topic that has none", before: atThree, command: end(func(c *StreamsEnd) { c.Topics = []string{"pay-eu"} }), check: left("orders/0", "orders/1")},
		{name: "decided on another spec", before: atThree, command: end(func(c *StreamsEnd) { c.Revision = 1 }), refused: RefusedTurn, twice: false},
		{name: "of no such link", before: atThree, command: end(func(c *StreamsEnd) { c.Link = 9 }), refused: RefusedNotFound},
		{name: "only where the source is gone", before: gone, command: end(func(c *StreamsEnd) { c.Topics, c.Gone = nil, true }), check: left("orders/1"), twice: true},
		{name: "the source is not gone", before: atThree, command: end(func(c *StreamsEnd) { c.Gone = true }), refused: RefusedInvalid, message: "take their topics out"},
		{name: "added again they go on", before: func(d *driver) { atThree(d); d.must(end(func(*StreamsEnd) {})) },
			command: &StreamsAdd{Link: linkL, Again: []StreamKey{orders0, {"orders", 1, "orders"}}, At: 21}, check: func(t *testing.T, v *View) {
				left("orders/0", "orders/1")(t, v)
				for x := range v.Tasks {
					if c := x.Copy; c != nil && c.Stream.Partition == 0 && (c.Mapping == nil || !reflect.DeepEqual(*c.Mapping, mapping1) || c.Progress.Source != 100 || x.ID == task0) {
						t.Errorf("%+v", c)
					}
				}
				if len(v.Ended) != 0 {
					t.Errorf("%+v is kept", v.Ended)
				}
			}},
		{name: "added anew they begin anew", before: func(d *driver) { atThree(d); d.must(end(func(*StreamsEnd) {})) },
			command: &StreamsAdd{Link: linkL, Streams: []StreamKey{orders0}, At: 21}, check: func(t *testing.T, v *View) {
				for x := range v.Tasks {
					if x.Copy != nil && x.Copy.Mapping != nil {
						t.Errorf("%+v", x.Copy)
					}
				}
				if len(v.Ended) != 0 {
					t.Errorf("%+v is kept", v.Ended)
				}
			}},
	})
}

func endedOf(v *View, spec *LinkSpec, key StreamKey) *EndedStream {
	return v.EndedStream(v.clusterID(spec.Source), v.clusterID(spec.Target), key)
}

// TestDeletedLinkGoesOn: a link that is applied again finds what its streams
// knew, under another id and whatever its name.
func TestDeletedLinkGoesOn(t *testing.T) {
	d := fixture(t)
	atThree(d)
	other := linkSpec("other")
	d.must(&Objects{DeleteLinks: []string{"l"}, At: 20}, &LinkPurge{Link: linkL}, &Objects{Links: []LinkPut{{Spec: other}}, At: 21})
	if s := endedOf(d.s.View(), &other, orders0); s == nil || !reflect.DeepEqual(s.Mapping, mapping1) {
		t.Fatalf("%+v", s)
	}
	other.Source = "spare"
	if s := endedOf(d.s.View(), &other, orders0); s != nil {
		t.Errorf("of another source: %+v", s)
	}
}

// TestEndedStreamsAreBounded: the last ones are kept.
func TestEndedStreamsAreBounded(t *testing.T) {
	v := &View{Feature: FeatureLevel, Kafka: []KafkaCluster{{Name: "eu", ClusterID: "e"}, {Name: "us", ClusterID: "u"}}}
	l := &Link{Spec: linkSpec("l")}
	for n := range 3 {
		e := &edit{State: newStateOf(v), v: v, index: uint64(n + 1), own: map[int]bool{}}
		var tasks []*Task
		for p := range int32(MaxEnded * 2 / 5) {
			tasks = append(tasks, &Task{ID: TaskID(p + 1), Kind: KindCopy, Copy: &Copy{Stream: StreamKey{Topic: fmt.Sprint("t", n), Partition: p}, Mapping: &Mapping{}}})
		}
		l.end(e, tasks)
	}
	if len(v.Ended) != MaxEnded {
		t.Errorf("%d are kept", len(v.Ended))
	}
	for topic, want := range map[string]bool{"t1": true, "t2": true} {
		if got := endedOf(v, &l.Spec, StreamKey{Topic: topic, Partition: 7}) != nil; got != want {
			t.Errorf("%s: kept %v", topic, got)
		}
	}
}
