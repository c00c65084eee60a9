package fsm

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// loops has Kafka clusters with ids and the link l from us to eu, producer 7.
func loops(t *testing.T, level uint32) *driver {
	d := fixture(t)
	d.must(&FeatureRaise{Level: level}, &KafkaPin{Name: "us", ClusterID: "US"}, &KafkaPin{Name: "eu", ClusterID: "pinned"},
		&KafkaPin{Name: "spare", ClusterID: "SPARE"}, &LinkProducer{Link: linkL, ProducerID: 7, Prev: -1})
	return d
}

func (d *driver) skips(spec LinkSpec) []int64 {
	return slices.Sorted(maps.Keys(d.s.View().LoopIDs(&spec)))
}

func TestLoopIDs(t *testing.T) {
	back := LinkSpec{Source: "eu", Target: "us", Copies: CopiesSkipFromTarget}
	onward := LinkSpec{Source: "eu", Target: "spare", Copies: CopiesSkipFromTarget}
	mesh := LinkSpec{Source: "eu", Target: "spare", Copies: CopiesSkipAll}
	beside := LinkSpec{Source: "us", Target: "spare", Copies: CopiesSkipAll}
	deleted := []Command{&Objects{DeleteLinks: []string{"l"}}, &LinkPurge{Link: linkL}}
	for _, c := range []struct {
		name                       string
		before                     []Command
		back, onward, mesh, beside []int64
	}{
		{"a link that is there", nil, []int64{7}, nil, []int64{7}, nil},
		{"a link that is gone", deleted, []int64{7}, nil, []int64{7}, nil},
		{"a producer that was replaced", []Command{&LinkProducer{Link: linkL, ProducerID: 8, Prev: 7}}, []int64{7, 8}, nil, []int64{7, 8}, nil},
		{"a stream's own producer", []Command{&MappingPut{Task: task0, Turn: 1, Mapping: func() Mapping {
			m := mapping1
			m.Version, m.ProducerID = 2, 9
			return m
		}()}}, []int64{7, 9}, nil, []int64{7, 9}, nil},
		{"other names for the same Kafka clusters", []Command{&Objects{Kafka: []KafkaCluster{{Name: "eu2", ClusterID: "pinned"}, {Name: "us2", ClusterID: "US"}},
			Links: []LinkPut{{Spec: LinkSpec{Name: "m", Source: "us2", Target: "eu2"}}}}, &LinkProducer{Link: 2, ProducerID: 5, Prev: -1}},
			[]int64{5, 7}, nil, []int64{5, 7}, nil},
	} {
		d := loops(t, FeatureLevel)
		d.must(c.before...)
		for name, got := range map[string][2][]int64{
			"back": {d.skips(back), c.back}, "onward": {d.skips(onward), c.onward}, "mesh": {d.skips(mesh), c.mesh}, "beside": {d.skips(beside), c.beside},
		} {
			if !slices.Equal(got[0], got[1]) {
				t.Errorf("%s: a link %s skips %v, want %v", c.name, name, got[0], got[1])
			}
		}
	}
}

// A Kafka cluster that is rebuilt under an old name gives its clients low
// producer ids again: they are not those of a link that wrote to the old one.
func TestLoopIDsAreNotThoseOfARebuiltCluster(t *testing.T) {
	d := loops(t, FeatureLevel)
	d.must(&Objects{DeleteLinks: []string{"l"}}, &LinkPurge{Link: linkL}, &Objects{DeleteKafka: []string{"eu"}},
		&Objects{Kafka: []KafkaCluster{{Name: "eu", ClusterID: "NEW"}}})
	for _, copies := range []string{CopiesSkipFromTarget, CopiesSkipAll} {
		if got := d.skips(LinkSpec{Source: "eu", Target: "us", Copies: copies}); len(got) > 0 {
			t.Errorf("%s skips %v", copies, got)
		}
	}
}

// Before the level is raised, ids are remembered by name alone, and count as
// they will afterwards.
func TestSpentIDsCountBeforeTheLevelIsRaised(t *testing.T) {
	d := loops(t, 1)
	d.must(&LinkProducer{Link: linkL, ProducerID: 8, Prev: 7}, &Objects{Links: []LinkPut{{Spec: linkSpec("gone")}}}, &LinkProducer{Link: 2, ProducerID: 20, Prev: -1},
		&Objects{DeleteLinks: []string{"gone"}}, &LinkPurge{Link: 2})
	for copies, want := range map[string][]int64{CopiesSkipFromTarget: {7, 8}, CopiesSkipAll: {7, 8, 20}} {
		if got := d.skips(LinkSpec{Source: "eu", Target: "us", Copies: copies}); !slices.Equal(got, want) {
			t.Errorf("%s skips %v, want %v", copies, got, want)
		}
	}
}

// What was remembered by name gets ids when the level is raised.
func TestSpentIDsAreKeyedWhenTheLevelIsRaised(t *testing.T) {
	d := loops(t, 1)
	d.must(&Objects{Links: []LinkPut{{Spec: linkSpec("gone")}}}, &LinkProducer{Link: 2, ProducerID: 20, Prev: -1},
		&Objects{DeleteLinks: []string{"gone"}}, &LinkPurge{Link: 2}, &LinkProducer{Link: linkL, ProducerID: 8, Prev: 7}, &FeatureRaise{Level: FeatureLevel})
	want := []SpentID{
		{Kafka: "eu", ProducerID: 20, Link: "gone", Target: "pinned"}, // copied from where? nobody knows
		{Kafka: "eu", ProducerID: 7, Link: "l", Source: "US", Target: "pinned"},
	}
	if got := d.s.View().Spent; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	d.must(&FeatureRaise{Level: 1})
	if d.s.View().Feature != FeatureLevel {
		t.Error("the level went down")
	}
}
