package link

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/kafka"
)

func id(n byte) fsm.TopicID { return fsm.TopicID{15: n} }

func parts(n int32) map[int32]bool {
	out := map[int32]bool{}
	for i := range n {
		out[i] = true
	}
	return out
}

// known is a topic as metadata tells it.
func known(name string, n byte, partitions int) kafka.TopicMetadata {
	return kafka.TopicMetadata{Name: name, ID: id(n), Partitions: make([]kafka.PartitionMetadata, partitions)}
}

// hidden is what the broker calls internal.
func hidden() kafka.TopicMetadata {
	t := known("hidden", 0, 1)
	t.Internal = true
	return t
}

// us is the link's claim, them another's.
func us() Key   { return Key{Sluice: "a", Source: "src", Link: "us-eu"} }
func them() Key { return Key{Sluice: "b", Source: "src", Link: "us-eu"} }

// base is an empty target and one topic at the source.
func base() topicsInput {
	return topicsInput{
		claim:  us(),
		spec:   fsm.LinkSpec{Name: "us-eu", Source: "us", Target: "eu", Include: []string{"orders", "pay-*"}, Exclude: []string{"/.*-tmp/"}},
		source: []kafka.TopicMetadata{known("orders", 1, 3)},
		target: map[string]kafka.TopicMetadata{}, copied: map[string]copied{}, taken: map[string]string{}, made: map[string]maker{},
		ended: func(fsm.StreamKey) *fsm.EndedStream { return nil },
	}
}

func target(name string, n byte, partitions int) map[string]kafka.TopicMetadata {
	return map[string]kafka.TopicMetadata{name: known(name, n, partitions)}
}

// decision is one row of a table about decideTopics.
type decision struct {
	name   string
	change func(*topicsInput)
	want   string // actions as "topic>target c<create> g<grow> [add]"
	no     string // refusals as "topic code"
	ends   string // topics whose streams end
	look   string // to be examined
}

func TestDecideOnNewTopics(t *testing.T) {
	decide(t, []decision{
		{name: "a new topic", want: "orders>orders c3 [0 1 2]"},
		{name: "renamed", change: func(in *topicsInput) { in.spec.Rename = "{source}.{topic}" }, want: "orders>us.orders c3 [0 1 2]"},
		{name: "renamed to one of Kafka's own", change: func(in *topicsInput) {
			in.spec.Include, in.spec.Rename = []string{"_x"}, "_{topic}"
			in.source = []kafka.TopicMetadata{known("_x", 0, 1)}
		}, no: "_x partition-mismatch"},
		{name: "what is selected", change: func(in *topicsInput) {
			in.source = append(in.source, known("pay-a", 0, 1), known("pay-tmp", 0, 1), known("other", 0, 1))
		}, want: "orders>orders c3 [0 1 2]; pay-a>pay-a c1 [0]"},
		{name: "internal topics are not selected by patterns", change: func(in *topicsInput) {
			in.spec.Include = []string{"*"}
			in.source = []kafka.TopicMetadata{known("__consumer_offsets", 0, 1), hidden(), known("mm2-offsets.us.internal", 0, 1)}
		}},
		{name: "what the broker calls internal, by its exact name", change: func(in *topicsInput) {
			in.spec.Include = []string{"hidden"}
			in.source = []kafka.TopicMetadata{hidden()}
		}},
		{name: "named, and not there", change: func(in *topicsInput) { in.source = nil }, no: "orders topic-missing"},
		{name: "MirrorMaker's, by its exact name", change: func(in *topicsInput) {
			in.spec.Include = []string{"heartbeats"}
			in.source = []kafka.TopicMetadata{known("heartbeats", 0, 1)}
		}, want: "heartbeats>heartbeats c1 [0]"},
		{name: "copied there before", change: func(in *topicsInput) {
			in.target, in.ended = target("orders", 9, 3), before(1, 9, 0, 1, 2)
		}, want: "orders>orders [0 1 2] again [0 1 2]"},
		{name: "copied there before, but for a new partition that is empty", change: func(in *topicsInput) {
			in.target, in.ended, in.empty = target("orders", 9, 3), before(1, 9, 0, 1), map[string][]bool{"orders": {false, false, true}}
		}, want: "orders>orders [0 1 2] again [0 1]"},
		{name: "copied there before, and others wrote to the new partition", change: func(in *topicsInput) {
			in.target, in.ended, in.empty = target("orders", 9, 3), before(1, 9, 0, 1), map[string][]bool{"orders": {false, false, false}}
		}, no: "orders not-empty"},
		{name: "copied there before, the source grew meanwhile", change: func(in *topicsInput) {
			in.target, in.ended = target("orders", 9, 2), before(1, 9, 0, 1)
		}, want: "orders>orders g3 [0 1 2] again [0 1]"},
		{name: "copied before to a topic that was recreated", change: func(in *topicsInput) {
			in.target, in.ended, in.empty = target("orders", 8, 3), before(1, 9, 0, 1, 2), map[string][]bool{"orders": {false, true, true}}
		}, no: "orders not-empty"},
		{name: "copied before from a topic that was recreated", change: func(in *topicsInput) {
			in.target, in.ended, in.empty = target("orders", 9, 3), before(2, 9, 0, 1, 2), map[string][]bool{"orders": {false, true, true}}
		}, no: "orders not-empty"},
		{name: "copied before to a topic that is gone", change: func(in *topicsInput) { in.ended = before(1, 9, 0, 1, 2) }, want: "orders>orders c3 [0 1 2]"},
		{name: "exists, unknown whether empty", change: func(in *topicsInput) { in.target = target("orders", 9, 3) }, look: "orders"},
		{name: "exists and is empty", change: func(in *topicsInput) {
			in.target, in.empty = target("orders", 9, 3), map[string][]bool{"orders": {true, true, true}}
		}, want: "orders>orders [0 1 2]"},
		{name: "exists and holds records", change: func(in *topicsInput) {
			in.target, in.empty = target("orders", 9, 3), map[string][]bool{"orders": {true, false, true}}
		}, no: "orders not-empty"},
		{name: "examined, but with too few partitions", change: func(in *topicsInput) {
			in.target, in.empty = target("orders", 9, 3), map[string][]bool{"orders": {true, true}}
		}, no: "orders not-empty"},
		{name: "holds records, writers shared", change: func(in *topicsInput) {
			in.spec.Writers = fsm.WritersShared
			in.target = target("orders", 9, 3)
		}, want: "orders>orders [0 1 2]"},
		{name: "fewer partitions", change: func(in *topicsInput) { in.target = target("orders", 9, 2) }, no: "orders partition-mismatch"},
		{name: "more partitions", change: func(in *topicsInput) { in.target = target("orders", 9, 4) }, no: "orders partition-mismatch"},
	})
}

func TestDecideOnWhoMadeTheTarget(t *testing.T) {
	decide(t, []decision{
		{name: "made by us, the source grew before the streams were added", change: func(in *topicsInput) {
			in.target, in.made = target("orders", 9, 2), map[string]maker{"orders": {id: id(9), by: us()}}
			in.empty = map[string][]bool{"orders": {true, true}}
		}, want: "orders>orders g3 [0 1 2]"},
		{name: "made by us, deleted, made by a person", change: func(in *topicsInput) {
			in.target, in.made = target("orders", 8, 2), map[string]maker{"orders": {id: id(9), by: us()}}
		}, no: "orders partition-mismatch"},
		{name: "made by us in a former life, with records", change: func(in *topicsInput) {
			in.target, in.made = target("orders", 9, 3), map[string]maker{"orders": {id: id(9), by: us()}}
			in.empty = map[string][]bool{"orders": {true, true, false}}
		}, no: "orders not-empty"},
		{name: "made by another Sluice cluster", change: func(in *topicsInput) {
			in.target, in.made = target("orders", 9, 3), map[string]maker{"orders": {id: id(9), by: them()}}
			in.empty = map[string][]bool{"orders": {true, true, true}}
		}, no: "orders foreign-writer"},
		{name: "made by another Sluice cluster, which has deleted the link", change: func(in *topicsInput) {
			in.target, in.made = target("orders", 9, 3), map[string]maker{"orders": {id: id(9), by: them(), left: true}}
			in.empty = map[string][]bool{"orders": {true, true, true}}
		}, want: "orders>orders [0 1 2]"},
		{name: "another's whose link was deleted is not given more partitions", change: func(in *topicsInput) {
			in.target, in.made = target("orders", 9, 2), map[string]maker{"orders": {id: id(9), by: them(), left: true}}
		}, no: "orders partition-mismatch"},
		{name: "another link writes there", change: func(in *topicsInput) { in.taken["orders"] = "ap-eu" }, no: "orders not-empty"},
		{name: "two topics become one", change: func(in *topicsInput) {
			in.spec.Rename = "all"
			in.source = append(in.source, known("pay-a", 0, 3))
		}, want: "orders>all c3 [0 1 2]", no: "pay-a not-empty"},
		{name: "a name that Kafka refuses", change: func(in *topicsInput) { in.spec.Rename = "{topic}/x" }, no: "orders partition-mismatch"},
		{name: "the same topic", change: func(in *topicsInput) { in.sameCluster = true }, no: "orders foreign-writer"},
		{name: "copies of copies", change: func(in *topicsInput) {
			in.sameCluster, in.spec.Include, in.spec.Rename = true, []string{"*"}, "x.{topic}"
		}, no: "orders foreign-writer"},
	})
}

func TestDecideOnKnownTopics(t *testing.T) {
	decide(t, []decision{
		{name: "in step", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 9, 3), copied{partitions: parts(3), mapped: true, sourceID: id(1), targetID: id(9)}
		}},
		{name: "the source grew", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 9, 2), copied{partitions: parts(2), mapped: true, sourceID: id(1), targetID: id(9)}
		}, want: "orders>orders g3 [2]"},
		{name: "the source grew, the target has the partition", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 9, 3), copied{partitions: parts(2), mapped: true, sourceID: id(1), targetID: id(9)}
		}, look: "orders"},
		{name: "the same, and only that one must be empty", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 9, 3), copied{partitions: parts(2), mapped: true, sourceID: id(1), targetID: id(9)}
			in.empty = map[string][]bool{"orders": {false, false, true}}
		}, want: "orders>orders [2]"},
		{name: "source recreated with more partitions", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 9, 2), copied{partitions: parts(2), mapped: true, sourceID: id(7), targetID: id(9)}
		}},
		{name: "target deleted and some stream has an order", change: func(in *topicsInput) {
			in.copied["orders"] = copied{partitions: parts(3), mapped: true, anew: true, sourceID: id(1), targetID: id(9)}
		}, want: "orders>orders c3 []"},
		{name: "target deleted, source recreated with more partitions, and some stream has an order", change: func(in *topicsInput) {
			in.copied["orders"] = copied{partitions: parts(2), mapped: true, anew: true, sourceID: id(7), targetID: id(9)}
		}, want: "orders>orders c3 []"},
		{name: "no longer named", change: func(in *topicsInput) {
			in.spec.Include = []string{"pay-*"}
			in.target, in.copied["orders"] = target("orders", 9, 3), copied{partitions: parts(3), mapped: true}
		}, ends: "orders"},
		{name: "no longer named, and gone", change: func(in *topicsInput) {
			in.spec.Include, in.source = []string{"pay-*"}, nil
			in.copied["orders"] = copied{partitions: parts(3), mapped: true}
		}, ends: "orders"},
		{name: "excluded now", change: func(in *topicsInput) {
			in.spec.Exclude = []string{"orders"}
			in.copied["orders"] = copied{partitions: parts(3), mapped: true}
		}, ends: "orders"},
		{name: "one of Kafka's own that an older release copied", change: func(in *topicsInput) {
			in.copied["__x"] = copied{partitions: parts(3), mapped: true}
		}, want: "orders>orders c3 [0 1 2]"},
		{name: "source deleted, by policy its streams end", change: func(in *topicsInput) {
			in.source, in.spec.OnSourceDeleted = nil, fsm.OnSourceDeletedEnd
			in.copied["orders"] = copied{partitions: parts(2), mapped: true, sourceGone: true}
		}, ends: "orders"},
		{name: "source deleted, by policy, but not all streams have seen it", change: func(in *topicsInput) {
			in.source, in.spec.OnSourceDeleted = nil, fsm.OnSourceDeletedEnd
			in.copied["orders"] = copied{partitions: parts(2), mapped: true}
		}},
		{name: "source deleted", change: func(in *topicsInput) {
			in.source = nil
			in.target, in.copied["orders"] = target("orders", 9, 2), copied{partitions: parts(2), mapped: true}
		}},
		{name: "target deleted: its streams stop", change: func(in *topicsInput) {
			in.copied["orders"] = copied{partitions: parts(3), mapped: true, sourceID: id(1), targetID: id(9)}
		}},
		{name: "target deleted and the order is to copy again", change: func(in *topicsInput) {
			in.copied["orders"] = copied{partitions: parts(3), mapped: true, recopy: true, sourceID: id(1), targetID: id(9)}
		}, want: "orders>orders c3 []"},
		{name: "target deleted before anything was copied", change: func(in *topicsInput) {
			in.copied["orders"] = copied{partitions: parts(2)}
		}, want: "orders>orders c3 [2]"},
		{name: "target recreated smaller", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 8, 1), copied{partitions: parts(3), mapped: true, sourceID: id(1), targetID: id(9)}
		}},
		{name: "target recreated smaller and the order is to copy again", change: func(in *topicsInput) {
			in.target, in.copied["orders"] = target("orders", 8, 1), copied{partitions: parts(3), mapped: true, recopy: true, sourceID: id(1), targetID: id(9)}
		}, want: "orders>orders g3 []"},
		{name: "brokers without topic ids", change: func(in *topicsInput) {
			in.source[0].ID = fsm.TopicID{}
			in.target, in.copied["orders"] = target("orders", 0, 2), copied{partitions: parts(2), mapped: true}
		}, want: "orders>orders g3 [2]"},
	})
}

// before are ended streams of orders.
func before(source, target byte, partitions ...int32) func(fsm.StreamKey) *fsm.EndedStream {
	return func(key fsm.StreamKey) *fsm.EndedStream {
		if key.Topic != "orders" || key.TargetTopic != "orders" || !slices.Contains(partitions, key.Partition) {
			return nil
		}
		return &fsm.EndedStream{Stream: key, Mapping: fsm.Mapping{SourceTopicID: id(source), TargetTopicID: id(target)}}
	}
}

// TestWhatPatternsLeaveOut: with the rule.
func TestWhatPatternsLeaveOut(t *testing.T) {
	in := base()
	in.spec.Include, in.spec.Exclude = []string{"*"}, []string{"*-tmp"}
	in.source = []kafka.TopicMetadata{known("__x", 0, 1), known("__y", 0, 1), known("audit.internal", 0, 1), hidden(), known("heartbeats", 0, 1), known("pay-tmp", 0, 1)}
	in.copied["__y"] = copied{partitions: parts(1)}
	in.selector, _ = in.spec.Selector()
	var got []string
	for _, l := range decideTopics(in).leftOut {
		got = append(got, l.Topic+": "+l.Rule)
	}
	want := []string{
		"__x: topics of Kafka itself (__*) are never copied",
		"__y: a topic of Kafka itself that was copied before: its streams go on, and it gets no new ones",
		"hidden: the brokers call it internal: it is never copied",
		"heartbeats: a topic that MirrorMaker makes for itself: copied only where include has its exact name",
		"pay-tmp: excluded by \"*-tmp\"",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestEndsAreSmallCommands: by reason, at the link's revision.
func TestEndsAreSmallCommands(t *testing.T) {
	var ends []topicEnd
	for i := range 1000 {
		ends = append(ends, topicEnd{topic: fmt.Sprintf("%0249d", i), reason: "why", gone: i >= 900})
	}
	ends[999].reason = "another"
	topics := 0
	commands := streamsEnds(&fsm.Link{ID: 7, Revision: 5}, ends, "n1", 9)
	for i, c := range commands {
		b, err := json.Marshal(c)
		if err != nil || len(b) > 64<<10 || c.Link != 7 || c.Revision != 5 || c.By != "n1" || c.At != 9 || c.Gone != (i >= len(commands)-2) {
			t.Errorf("%d bytes, %v, %+v", len(b), err, c.Topics)
		}
		topics += len(c.Topics)
	}
	if topics != 1000 || commands[len(commands)-1].Reason != "another" {
		t.Errorf("%d topics in %d commands", topics, len(commands))
	}
}

func decide(t *testing.T, rows []decision) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			in := base()
			if tc.change != nil {
				tc.change(&in)
			}
			var err error
			if in.selector, err = in.spec.Selector(); err != nil {
				t.Fatal(err)
			}
			p := decideTopics(in)
			var actions, refusals []string
			for _, a := range p.actions {
				s := a.topic + ">" + a.target
				if a.create > 0 {
					s += fmt.Sprint(" c", a.create)
				}
				if a.grow > 0 {
					s += fmt.Sprint(" g", a.grow)
				}
				s += fmt.Sprint(" ", a.add)
				if len(a.again) > 0 {
					s += fmt.Sprint(" again ", a.again)
				}
				actions = append(actions, s)
			}
			for _, r := range p.refused {
				refusals = append(refusals, r.Topic+" "+string(r.Code))
			}
			if got := strings.Join(actions, "; "); got != tc.want {
				t.Errorf("actions %q, want %q", got, tc.want)
			}
			if got := strings.Join(refusals, "; "); got != tc.no {
				t.Errorf("refusals %q, want %q (%v)", got, tc.no, p.refused)
			}
			var ends []string
			for _, e := range p.ends {
				ends = append(ends, e.topic)
			}
			if got := strings.Join(ends, " "); got != tc.ends {
				t.Errorf("ends %q, want %q", got, tc.ends)
			}
			if got := strings.Join(p.examine, " "); got != tc.look {
				t.Errorf("examines %q, want %q", got, tc.look)
			}
		})
	}
}

func TestStreamsAddStaysSmall(t *testing.T) {
	var streams []fsm.StreamKey
	for i := range 3000 {
		streams = append(streams, fsm.StreamKey{Topic: strings.Repeat("a", 249), Partition: int32(i), TargetTopic: strings.Repeat("b", 249)})
	}
	var got, again []fsm.StreamKey
	for _, c := range streamsAdds(7, streams, streams[:1], 5) {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 64<<10 {
			t.Errorf("a command of %d bytes", len(b))
		}
		if c.Link != 7 || c.At != 5 {
			t.Errorf("link %d at %d", c.Link, c.At)
		}
		got, again = append(got, c.Streams...), append(again, c.Again...)
	}
	if !reflect.DeepEqual(got, streams) || !reflect.DeepEqual(again, streams[:1]) {
		t.Error("streams were lost or reordered")
	}
	if streamsAdds(7, nil, nil, 5) != nil {
		t.Error("a command out of nothing")
	}
}

// TestAnOrderNeedsATargetTopic: one that was deleted is made again for a stream
// with an order, also where the stream had stopped for another reason before.
func TestAnOrderNeedsATargetTopic(t *testing.T) {
	for order, want := range map[fsm.Order]bool{"": false, fsm.OrderRetry: false, fsm.OrderContinue: true, fsm.OrderRecopy: true} {
		for _, code := range []fsm.Code{fsm.CodeTargetDeleted, fsm.CodeTargetRecreated, fsm.CodeRecordTooLarge} {
			task := &fsm.Task{Kind: fsm.KindCopy, Copy: &fsm.Copy{Stop: &fsm.Stop{Code: code}, Order: order, Mapping: &fsm.Mapping{}}}
			if got := (copied{}).with(task).anew; got != want {
				t.Errorf("%s with the order %q: %v", code, order, got)
			}
		}
	}
}
