package fsm

import (
	"testing"
)

// expecting raises the fixture to the level at which commands say what they were
// decided on.
func expecting(t testing.TB) *driver {
	d := fixture(t)
	d.must(&FeatureRaise{Level: featureExpected})
	return d
}

// stop stops a stream that node a owns.
func (d *driver) stop(task TaskID, code Code) {
	d.must(&TaskStop{Task: task, Turn: d.s.View().Task(task).Turn, Stop: Stop{Code: code, From: -1, To: -1, Message: "m"}})
}

// TestAnOrderReachesOnlyTheStopItWasFor: of an order that is under way twice, the
// copy that comes late finds another stop, and leaves it alone.
func TestAnOrderReachesOnlyTheStopItWasFor(t *testing.T) {
	for _, order := range []Order{OrderRetry, OrderContinue, OrderRecopy} {
		d := expecting(t)
		d.stop(task0, CodePositionLost)
		c := &TaskOrder{Link: linkL, Topic: "orders", Partition: -1, Order: order, Seen: d.s.View().Seen()}
		d.must(c)
		if d.s.View().Task(task0).Copy.Attempt != 1 {
			t.Errorf("%s: not taken", order)
		}
		late := func(when string) {
			t.Helper()
			before := *d.s.View().Task(task0).Copy
			if r := d.do(c); r.Refused != RefusedTurn {
				t.Errorf("%s, late, %s: %+v", order, when, r)
			}
			if now := *d.s.View().Task(task0).Copy; now != before {
				t.Errorf("%s, late, %s: %+v became %+v", order, when, before, now)
			}
		}
		late("after the first")
		m := mapping1
		m.Version = 2
		d.must(&MappingPut{Task: task0, Turn: 1, Mapping: m}) // its owner has carried it out
		late("while it copies")
		d.stop(task0, CodeForeignWriter)
		late("after another stop")
		d.s = reread(t, d.s.View())
		late("after a snapshot")
		c.Seen = d.s.View().Seen()
		d.must(c)
	}
}

// TestAnOrderLeavesLaterStopsOut: of a whole link, those streams are meant that
// whoever gave it knew to stand.
func TestAnOrderLeavesLaterStopsOut(t *testing.T) {
	d := expecting(t)
	d.must(&Assign{Items: []Assignment{{Task: task1, To: "a"}}})
	d.stop(task0, CodePositionLost)
	c := &TaskOrder{Link: linkL, Partition: -1, Order: OrderRecopy, Seen: d.s.View().Seen()}
	d.stop(task1, CodeSourceRecreated)
	d.must(c)
	v := d.s.View()
	if v.Task(task0).Copy.Order != OrderRecopy || v.Task(task1).Copy.Order != "" {
		t.Errorf("%+v, %+v", v.Task(task0).Copy, v.Task(task1).Copy)
	}
}

// TestAnEndReachesOnlyTheStopItWasFor: streams of a topic that was made anew and
// deleted again are ended by who has seen that.
func TestAnEndReachesOnlyTheStopItWasFor(t *testing.T) {
	d := expecting(t)
	d.stop(task0, CodeSourceDeleted)
	c := &StreamsEnd{Link: linkL, Topics: []string{"orders"}, Gone: true, Reason: "r", Seen: d.s.View().Seen()}
	d.must(c, &StreamsAdd{Link: linkL, Streams: []StreamKey{orders0}})
	again := d.s.View().nextTask - 1
	d.must(&Assign{Items: []Assignment{{Task: again, To: "a"}}})
	d.stop(again, CodeSourceDeleted)
	if r := d.do(c); r.Refused != RefusedTurn || d.s.View().Task(again) == nil {
		t.Errorf("%+v", r)
	}
	c.Seen = d.s.View().Seen()
	d.must(c)
}

// TestNothingIsNotedThatAnOlderNodeCannotRead.
func TestNothingIsNotedThatAnOlderNodeCannotRead(t *testing.T) {
	d := fixture(t)
	d.must(&FeatureRaise{Level: featureExpected - 1})
	d.stop(task0, CodePositionLost)
	d.must(&TaskOrder{Link: linkL, Partition: -1, Order: OrderRetry, Seen: d.s.View().Seen()}, &Objects{Kafka: []KafkaCluster{{Name: "late"}}})
	if level := levelOfView(d.s.View()); level >= featureExpected {
		t.Errorf("the facts need level %d", level)
	}
}

// TestKafkaClustersHaveRevisions, which change when an operator changes them.
func TestKafkaClustersHaveRevisions(t *testing.T) {
	d := expecting(t)
	us := func() KafkaCluster { return *d.s.View().KafkaCluster("us") }
	raised := us()
	if raised.Revision != d.index {
		t.Fatalf("after the level was raised at %d: %d", d.index, raised.Revision)
	}
	put := func(bootstrap string) *Objects {
		return &Objects{Kafka: []KafkaCluster{{Name: "us", Bootstrap: []string{bootstrap}, Revision: 99}}, Expect: []Expectation{{Kafka: "us", Revision: us().Revision}}}
	}
	d.must(put("us:9092"))
	if us().Revision != raised.Revision {
		t.Errorf("as it was, and revision %d became %d", raised.Revision, us().Revision)
	}
	theirs, ours := put("theirs:1"), put("ours:1")
	d.must(theirs)
	if us().Revision != d.index {
		t.Errorf("changed at %d: revision %d", d.index, us().Revision)
	}
	for name, c := range map[string]Command{
		"a change":             ours,
		"the same change late": theirs,
		"a deletion":           &Objects{DeleteKafka: []string{"us"}, Expect: []Expectation{{Kafka: "us", Revision: raised.Revision}}},
		"a creation":           &Objects{Kafka: []KafkaCluster{{Name: "us"}}, Expect: []Expectation{{Kafka: "us"}}},
		"a pin":                &KafkaPin{Name: "us", ClusterID: "id", Revision: raised.Revision},
	} {
		if r := d.do(c); r.Refused != RefusedTurn || r.Message != "KafkaCluster us has changed meanwhile" {
			t.Errorf("%s decided on an old revision: %+v", name, r)
		}
	}
	changed := us().Revision
	d.must(&KafkaPin{Name: "us", ClusterID: "id", Revision: changed})
	if k := us(); k.Revision != changed || k.ClusterID != "id" || k.Bootstrap[0] != "theirs:1" {
		t.Errorf("pinned: %+v", k)
	}
	d.must(&Objects{DeleteKafka: []string{"spare"}}, &Objects{Kafka: []KafkaCluster{{Name: "spare"}}, Expect: []Expectation{{Kafka: "spare"}}})
	if k := d.s.View().KafkaCluster("spare"); k.Revision != d.index {
		t.Errorf("made at %d: %+v", d.index, k)
	}
}
