package fsm

import (
	"slices"
	"testing"
)

// TestSuccessorHoldsEveryLink: what the facts of a lost cluster say of positions
// may be old, so that nothing copies by them before a person has said so.
func TestSuccessorHoldsEveryLink(t *testing.T) {
	d := fixture(t)
	d.must(&Objects{Links: []LinkPut{{Spec: linkSpec("m")}}, At: 2})
	before := snapshot(t, d.s.View())
	next := d.s.Successor("c2", 10)
	if again := snapshot(t, d.s.View()); !slices.Equal(before, again) {
		t.Error("the facts that it was made of have changed")
	}
	v := next.View()
	if v.ClusterID != "c2" || len(v.Nodes) != 0 || v.Feature != FeatureLevel || v.TaskCount() != d.s.View().TaskCount() {
		t.Errorf("cluster id %s, nodes %v, level %d, %d tasks", v.ClusterID, v.Nodes, v.Feature, v.TaskCount())
	}
	for _, l := range v.Links {
		if l.Held != d.s.View().ClusterID || l.Running() {
			t.Errorf("link %s is held by %q and runs: %v", l.Spec.Name, l.Held, l.Running())
		}
	}
	if third := next.Successor("c3", 11).View(); third.Links[0].Held != d.s.View().ClusterID {
		t.Errorf("a cluster that never copied holds the link: %s", third.Links[0].Held)
	}
}

// TestAdoptedStreamsAreUnsure: until its next mapping is committed no stream of an
// adopted link trusts what the facts say, nor one that is added later.
func TestAdoptedStreamsAreUnsure(t *testing.T) {
	d := fixture(t)
	d.stopped()
	d.s = d.s.Successor("c2", 10)
	if r := d.do(&LinkAdopt{Link: linkL, From: "c2", ProducerID: -1, At: 11}); r.Refused != RefusedInvalid {
		t.Errorf("adopted from itself: %+v", r)
	}
	d.must(&LinkAdopt{Link: linkL, From: "c1", ProducerID: 77, At: 11}, &StreamsAdd{Link: linkL, Streams: []StreamKey{{"late", 0, "late"}}, At: 12})
	l := d.s.View().Link(linkL)
	if !l.Running() || l.ProducerID != 77 || l.Adopted != "c1" {
		t.Errorf("%+v", l)
	}
	seen := 0
	for task := range d.s.View().Tasks {
		if task.Copy == nil {
			continue
		}
		seen++
		if c := task.Copy; !c.Unsure || c.Stop != nil || c.Order != "" {
			t.Errorf("%s/%d: unsure %v, stop %v, order %q", c.Stream.Topic, c.Stream.Partition, c.Unsure, c.Stop, c.Order)
		}
	}
	if seen < 2 {
		t.Fatalf("%d streams", seen)
	}
	m := mapping1
	if have := d.s.View().Task(task0).Copy.Mapping; have != nil {
		m.Version = have.Version + 1
	}
	d.must(&MappingPut{Task: task0, Turn: d.s.View().Task(task0).Turn, Mapping: m, At: 13})
	if d.s.View().Task(task0).Copy.Unsure {
		t.Error("unsure still")
	}
}
