package fsm

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// A row is one command applied to the fixture.
type row struct {
	name    string
	before  func(d *driver)
	command Command
	refused Refusal
	message string                      // part of the refusal's
	check   func(t *testing.T, v *View) // after the command
	twice   bool                        // a second time is refused though the first was not
	counts  bool                        // a second time counts once more: not idempotent, and harmless
}

// run applies each row; a refused command must change nothing, and each one
// applied twice must do what it does once.
func run(t *testing.T, rows []row) {
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			d := fixture(t)
			if c.before != nil {
				c.before(d)
			}
			before := facts(t, d.s.View())
			r := d.do(c.command)
			if r.Refused != c.refused || !strings.Contains(r.Message, c.message) || (r.Refused == "") != (r.Message == "") {
				t.Fatalf("refused %q (%s), want %q (%s)", r.Refused, r.Message, c.refused, c.message)
			}
			after := facts(t, d.s.View())
			if r.Refused != RefusedNot && before != after {
				t.Fatal("refused, but facts have changed")
			}
			if before != after && d.s.View().Changed() != r.Index {
				t.Errorf("facts have changed at %d, not at %d", r.Index, d.s.View().Changed())
			}
			if c.check != nil {
				c.check(t, d.s.View())
			}
			again := d.do(c.command)
			if got := again.Refused != r.Refused; got != c.twice {
				t.Errorf("the second time: %+v", again)
			}
			if facts(t, d.s.View()) != after && !c.counts {
				t.Error("applied twice, it does more than once")
			}
		})
	}
}

// TestChanged: a command that changes nothing, or is refused, is none since
// which the facts are others.
func TestChanged(t *testing.T) {
	d := fixture(t)
	at := d.s.View().Changed()
	if at != d.s.View().Index {
		t.Fatalf("%d at %d", at, d.s.View().Index)
	}
	d.must(&Barrier{})
	d.do(&ClusterInit{ClusterID: "c2"})
	if got := d.s.View().Changed(); got != at {
		t.Errorf("nothing has changed since %d, not %d", at, got)
	}
	if s, err := ReadSnapshot(bytes.NewReader(snapshot(t, d.s.View()))); err != nil || s.View().Changed() != d.index {
		t.Errorf("a restored View is of its index: %v", err)
	}
}

func TestClusterAndNodes(t *testing.T) {
	run(t, []row{
		{name: "the id again", command: &ClusterInit{ClusterID: "c1"}},
		{name: "another id", command: &ClusterInit{ClusterID: "c2"}, refused: RefusedInvalid, message: "c1"},
		{name: "node joins", command: &NodePut{Node: Node{ID: "0", Name: "n0"}, At: 9}, check: func(t *testing.T, v *View) {
			if len(v.Nodes) != 3 || v.Nodes[0].ID != "0" || v.Node("0") == nil {
				t.Errorf("nodes %+v", v.Nodes)
			}
			wantLast(t, v, 0, CodeNodeJoined, "n0 joined")
		}},
		{name: "node changes", command: &NodePut{Node: Node{ID: "a", Name: "n1", Leaving: true}}, check: func(t *testing.T, v *View) {
			if !v.Node("a").Leaving || len(v.Nodes) != 2 {
				t.Errorf("nodes %+v", v.Nodes)
			}
			wantLast(t, v, 0, CodeNodeJoined, "n2 joined")
		}},
		{name: "name taken", command: &NodePut{Node: Node{ID: "z", Name: "n1"}}, refused: RefusedInvalid, message: "belongs to the node a"},
		{name: "wiped node under its name", before: func(d *driver) { d.must(&NodeRemove{ID: "a"}) }, command: &NodePut{Node: Node{ID: "z", Name: "n1"}}},
		{name: "node leaves", command: &NodeRemove{ID: "a", At: 9}, check: func(t *testing.T, v *View) {
			if v.Node("a") != nil || v.Task(task0).Owner != "a" {
				t.Error("the node is to go, its tasks to stay")
			}
			wantLast(t, v, 0, CodeNodeLeft, "n1 left")
		}},
		{name: "unknown node leaves", command: &NodeRemove{ID: "zz"}},
		{name: "feature rises", command: &FeatureRaise{Level: 2}, check: func(t *testing.T, v *View) {
			if v.Feature != 2 {
				t.Errorf("feature %d", v.Feature)
			}
		}},
		{name: "feature never falls", before: func(d *driver) { d.must(&FeatureRaise{Level: 2}) }, command: &FeatureRaise{Level: 1}, check: func(t *testing.T, v *View) {
			if v.Feature != 2 {
				t.Errorf("feature %d", v.Feature)
			}
		}},
		{name: "barrier", command: &Barrier{}},
	})
}

// wantLast checks the newest event of a ring.
func wantLast(t *testing.T, v *View, link LinkID, code Code, message string) {
	t.Helper()
	evs := v.LinkEvents(link).Events
	if len(evs) == 0 {
		t.Fatalf("no event, want %s", code)
	}
	if e := evs[len(evs)-1]; e.Code != code || e.Message != message {
		t.Errorf("event %s %q, want %s %q", e.Code, e.Message, code, message)
	}
}

func TestObjects(t *testing.T) {
	spec := func(change func(*LinkSpec)) []LinkPut {
		s := linkSpec("l")
		change(&s)
		return []LinkPut{{Spec: s}}
	}
	run(t, []row{
		{name: "new link", command: &Objects{Links: []LinkPut{{Spec: linkSpec("m")}}, At: 11}, check: func(t *testing.T, v *View) {
			l := v.LinkNamed("m")
			if l == nil || l.ID != 2 || l.ProducerID != -1 || l.CreatedAt != 11 || l.Revision != v.Index {
				t.Fatalf("link %+v", l)
			}
			if s := v.Task(4); s == nil || s.Kind != KindLink || s.Link != 2 || v.TaskCount() != 4 {
				t.Errorf("sync task %+v", s)
			}
		}},
		{name: "changed link", command: &Objects{Links: spec(func(s *LinkSpec) { s.Include = []string{"x"} })}, check: func(t *testing.T, v *View) {
			l := v.Link(linkL)
			if l.Spec.Include[0] != "x" || l.Revision != v.Index || l.StartOf("orders", 0) != 100 {
				t.Errorf("link %+v", l)
			}
		}},
		{name: "unchanged link keeps its revision", command: &Objects{Links: spec(func(*LinkSpec) {})}, check: func(t *testing.T, v *View) {
			if l := v.Link(linkL); l.Revision == v.Index {
				t.Errorf("revision %d", l.Revision)
			}
		}},
		{name: "source cannot change", command: &Objects{Links: spec(func(s *LinkSpec) { s.Source = "spare" })}, refused: RefusedInvalid, message: "cannot change"},
		{name: "target cannot change", command: &Objects{Links: spec(func(s *LinkSpec) { s.Target = "spare" })}, refused: RefusedInvalid, message: "cannot change"},
		{name: "rename cannot change", command: &Objects{Links: spec(func(s *LinkSpec) { s.Rename = "x.{topic}" })}, refused: RefusedInvalid, message: "cannot change"},
		{name: "link to nowhere", command: &Objects{Links: spec(func(s *LinkSpec) { s.Name, s.Target = "m", "mars" })}, refused: RefusedNotFound, message: "no Kafka cluster mars"},
		{name: "all or none", command: &Objects{Kafka: []KafkaCluster{{Name: "new"}}, Links: append([]LinkPut{{Spec: linkSpec("m")}}, spec(func(s *LinkSpec) { s.Source = "new" })...)}, refused: RefusedInvalid},
		{name: "new Kafka cluster and a link to it", command: &Objects{Kafka: []KafkaCluster{{Name: "new"}}, Links: spec(func(s *LinkSpec) { s.Name, s.Target = "m", "new" })}},
		{name: "Kafka cluster keeps its pin", command: &Objects{Kafka: []KafkaCluster{{Name: "eu", Datacenter: "west"}}}, check: func(t *testing.T, v *View) {
			if k := v.KafkaCluster("eu"); k.ClusterID != "pinned" || k.Datacenter != "west" {
				t.Errorf("%+v", k)
			}
		}},
		{name: "Kafka cluster with another pin", command: &Objects{Kafka: []KafkaCluster{{Name: "eu", ClusterID: "other"}}}, refused: RefusedInvalid, message: "pinned"},
		{name: "Kafka cluster in use", command: &Objects{DeleteKafka: []string{"eu"}}, refused: RefusedInvalid, message: "used by link l"},
		{name: "Kafka cluster out of use", command: &Objects{DeleteKafka: []string{"spare"}}, twice: true, check: func(t *testing.T, v *View) {
			if v.KafkaCluster("spare") != nil || len(v.Kafka) != 2 {
				t.Errorf("%+v", v.Kafka)
			}
		}},
		{name: "Kafka cluster of a task", before: func(d *driver) {
			v := *d.s.View()
			v.chunks = []*chunk{new(chunk)}
			*v.chunks[0] = *d.s.View().chunks[0]
			v.chunks[0][v.nextTask] = &Task{ID: v.nextTask, Kind: KindObserve, Kafka: "spare"}
			v.nextTask, v.count = v.nextTask+1, v.count+1
			d.s = newStateOf(&v)
		}, command: &Objects{DeleteKafka: []string{"spare"}}, refused: RefusedInvalid, message: "used by task 4 (observe)"},
		{name: "unknown Kafka cluster", command: &Objects{DeleteKafka: []string{"mars"}}, refused: RefusedNotFound, message: "mars"},
		{name: "link deleted", command: &Objects{DeleteLinks: []string{"l"}}, twice: true, check: func(t *testing.T, v *View) {
			if l := v.LinkNamed("l"); !l.Deleting || l.Running() || l.Revision != v.Index || v.TaskCount() != 3 {
				t.Errorf("%+v", l)
			}
		}},
		{name: "Kafka cluster of a deleted link", before: func(d *driver) { d.must(&Objects{DeleteLinks: []string{"l"}}) }, command: &Objects{DeleteKafka: []string{"eu"}}, refused: RefusedInvalid},
		{name: "unknown link deleted", command: &Objects{DeleteLinks: []string{"x"}}, refused: RefusedNotFound, message: "no link x"},
		{name: "link replaced by one of its name", command: &Objects{DeleteLinks: []string{"l"}, Links: spec(func(s *LinkSpec) { s.Source, s.Target = "eu", "us" }), Expect: []Expectation{{Link: "l", Revision: 4}}}, twice: true, check: func(t *testing.T, v *View) {
			if l := v.LinkNamed("l"); l.ID != 2 || l.Deleting || !v.Link(linkL).Deleting {
				t.Errorf("%+v", l)
			}
		}},
		{name: "expected revision", command: &Objects{Kafka: []KafkaCluster{{Name: "k"}}, Expect: []Expectation{{Link: "l", Revision: 4}, {Link: "new", Revision: 0}}}},
		{name: "other revision", command: &Objects{Kafka: []KafkaCluster{{Name: "k"}}, Expect: []Expectation{{Link: "l", Revision: 3}}}, refused: RefusedTurn, message: "link l has changed"},
		{name: "expected link is not there", command: &Objects{Expect: []Expectation{{Link: "x", Revision: 3}}}, refused: RefusedTurn},
		{name: "a link that is being deleted is not there", before: func(d *driver) { d.must(&Objects{DeleteLinks: []string{"l"}}) }, command: &Objects{Expect: []Expectation{{Link: "l", Revision: 0}}}},
	})
}

func TestKafkaPin(t *testing.T) {
	run(t, []row{
		{name: "first", command: &KafkaPin{Name: "us", ClusterID: "x"}, check: func(t *testing.T, v *View) {
			if k := v.KafkaCluster("us"); k.ClusterID != "x" || k.Bootstrap[0] != "us:9092" {
				t.Errorf("%+v", k)
			}
		}},
		{name: "the same", command: &KafkaPin{Name: "eu", ClusterID: "pinned"}},
		{name: "another", command: &KafkaPin{Name: "eu", ClusterID: "x"}, refused: RefusedInvalid, message: "pinned"},
		{name: "unknown", command: &KafkaPin{Name: "mars", ClusterID: "x"}, refused: RefusedNotFound},
	})
}

func TestLinks(t *testing.T) {
	deleted := func(d *driver) { d.must(&Objects{DeleteLinks: []string{"l"}}) }
	run(t, []row{
		{name: "pause", command: &LinkState{Link: linkL, State: StatePaused}, check: func(t *testing.T, v *View) {
			if l := v.Link(linkL); l.Running() || l.Revision != v.Index || v.Active(v.Task(task0)) {
				t.Errorf("%+v", l)
			}
		}},
		{name: "run what runs", command: &LinkState{Link: linkL, State: StateRunning}, check: func(t *testing.T, v *View) {
			if l := v.Link(linkL); !l.Running() || l.Revision == v.Index || !v.Active(v.Task(task0)) || v.Active(v.Task(task1)) {
				t.Errorf("%+v", l)
			}
		}},
		{name: "no such state", command: &LinkState{Link: linkL, State: "on"}, refused: RefusedInvalid, message: "on"},
		{name: "state of no link", command: &LinkState{Link: 9, State: StatePaused}, refused: RefusedNotFound},
		{name: "state of a deleted link", before: deleted, command: &LinkState{Link: linkL, State: StatePaused}, refused: RefusedNotFound},
		{name: "producer", command: &LinkProducer{Link: linkL, ProducerID: 7, Prev: -1}, check: func(t *testing.T, v *View) {
			if v.Link(linkL).ProducerID != 7 || len(v.Spent) != 0 {
				t.Errorf("%+v %+v", v.Link(linkL), v.Spent)
			}
		}},
		{name: "second producer", before: func(d *driver) { d.must(&LinkProducer{Link: linkL, ProducerID: 7, Prev: -1}) }, command: &LinkProducer{Link: linkL, ProducerID: 8, Prev: -1}, refused: RefusedTurn, message: "already has the producer id 7"},
		{name: "next producer", before: func(d *driver) { d.must(&LinkProducer{Link: linkL, ProducerID: 7, Prev: -1}) }, command: &LinkProducer{Link: linkL, ProducerID: 8, Prev: 7}, check: func(t *testing.T, v *View) {
			if want := []SpentID{{Kafka: "eu", ProducerID: 7, Link: "l"}}; v.Link(linkL).ProducerID != 8 || !reflect.DeepEqual(v.Spent, want) {
				t.Errorf("%+v %+v", v.Link(linkL), v.Spent)
			}
		}},
		{name: "producer of no link", command: &LinkProducer{Link: 9, ProducerID: 8}, refused: RefusedNotFound},
		{name: "purge of a living link", command: &LinkPurge{Link: linkL}, refused: RefusedInvalid, message: "not being deleted"},
		{name: "purge of no link", command: &LinkPurge{Link: 9}},
		{name: "purge", before: func(d *driver) {
			d.must(&Objects{Links: []LinkPut{{Spec: linkSpec("m")}}}, &LinkProducer{Link: linkL, ProducerID: 8, Prev: -1})
			deleted(d)
		}, command: &LinkPurge{Link: linkL}, check: func(t *testing.T, v *View) {
			if v.Link(linkL) != nil || v.TaskCount() != 1 || v.Task(task0) != nil || len(v.LinkEvents(linkL).Events) != 0 {
				t.Errorf("left: %+v, %d tasks", v.Link(linkL), v.TaskCount())
			}
			if want := []SpentID{{Kafka: "eu", ProducerID: 8, Link: "l"}, {Kafka: "eu", ProducerID: 7, Link: "l"}}; !reflect.DeepEqual(v.Spent, want) {
				t.Errorf("spent %+v, want %+v", v.Spent, want)
			}
		}},
		{name: "streams", command: &StreamsAdd{Link: linkL, Streams: []StreamKey{{"orders", 1, "orders"}, {"orders", 2, "orders"}, {"orders", 2, "orders"}, {"orders", -1, "orders"}}}, check: func(t *testing.T, v *View) {
			n := v.Task(4)
			if v.TaskCount() != 5 || n.Copy.Stream.Partition != 2 || n.Copy.Start != -1 || n.Copy.Progress.Source != -1 || n.Owner != "" {
				t.Errorf("%d tasks, %+v", v.TaskCount(), n)
			}
		}},
		{name: "streams of no link", command: &StreamsAdd{Link: 9}, refused: RefusedNotFound},
		{name: "streams of a deleted link", before: deleted, command: &StreamsAdd{Link: linkL}, refused: RefusedNotFound},
	})
}

func TestStreamsFoundAgainAfterPurge(t *testing.T) {
	d := fixture(t)
	d.must(&Objects{DeleteLinks: []string{"l"}}, &LinkPurge{Link: linkL}, &Objects{Links: []LinkPut{{Spec: linkSpec("l")}}},
		&StreamsAdd{Link: 2, Streams: []StreamKey{{"orders", 0, "orders"}}})
	v := d.s.View()
	if v.TaskCount() != 2 || v.Task(5) == nil || v.Task(5).Copy.Start != -1 {
		t.Fatalf("%d tasks, %+v: ids are never used again", v.TaskCount(), v.Task(5))
	}
	if len(d.s.byKey) != v.TaskCount() {
		t.Fatalf("%d keys of %d tasks", len(d.s.byKey), v.TaskCount())
	}
}
