package sync

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sluice/fsm"
)

func id(n byte) fsm.TopicID { return fsm.TopicID{15: n} }

func parts(n int32) map[int32]bool {
	out := map[int32]bool{}
	for i := range n {
		out[i] = true
	}
	return out
}

// base is an empty target and one topic at the source.
func base() Input {
	return Input{
		Spec:   fsm.LinkSpec{Name: "us-eu", Source: "us", Target: "eu", Include: []string{"orders", "pay-*"}, Exclude: []string{"/.*-tmp/"}},
		Source: []Topic{{Name: "orders", ID: id(1), Partitions: 3}},
		Target: map[string]Topic{}, Copied: map[string]Copied{}, Taken: map[string]string{}, Made: map[string]Maker{},
	}
}

func target(name string, n byte, partitions int32) map[string]Topic {
	return map[string]Topic{name: {Name: name, ID: id(n), Partitions: partitions}}
}

// decision is one row of a table about Decide.
type decision struct {
	name   string
	change func(*Input)
	want   string // actions as "topic>target c<create> g<grow> [add]"
	no     string // refusals as "topic code"
	look   string // to be examined
}

func TestDecideOnNewTopics(t *testing.T) {
	decide(t, []decision{
		{name: "a new topic", want: "orders>orders c3 [0 1 2]"},
		{name: "renamed", change: func(in *Input) { in.Spec.Rename = "{source}.{topic}" }, want: "orders>us.orders c3 [0 1 2]"},
		{name: "what is selected", change: func(in *Input) {
			in.Source = append(in.Source, Topic{Name: "pay-a", Partitions: 1}, Topic{Name: "pay-tmp", Partitions: 1}, Topic{Name: "other", Partitions: 1})
		}, want: "orders>orders c3 [0 1 2]; pay-a>pay-a c1 [0]"},
		{name: "internal topics are not selected by patterns", change: func(in *Input) {
			in.Spec.Include = []string{"*"}
			in.Source = []Topic{{Name: "__consumer_offsets", Partitions: 1}, {Name: "hidden", Internal: true, Partitions: 1}, {Name: "mm2-offsets.us.internal", Partitions: 1}}
		}},
		{name: "internal by its exact name", change: func(in *Input) {
			in.Spec.Include = []string{"hidden"}
			in.Source = []Topic{{Name: "hidden", Internal: true, Partitions: 1}}
		}, want: "hidden>hidden c1 [0]"},
		{name: "exists, unknown whether empty", change: func(in *Input) { in.Target = target("orders", 9, 3) }, look: "orders"},
		{name: "exists and is empty", change: func(in *Input) {
			in.Target, in.Empty = target("orders", 9, 3), map[string][]bool{"orders": {true, true, true}}
		}, want: "orders>orders [0 1 2]"},
		{name: "exists and holds records", change: func(in *Input) {
			in.Target, in.Empty = target("orders", 9, 3), map[string][]bool{"orders": {true, false, true}}
		}, no: "orders not-empty"},
		{name: "examined, but with too few partitions", change: func(in *Input) {
			in.Target, in.Empty = target("orders", 9, 3), map[string][]bool{"orders": {true, true}}
		}, no: "orders not-empty"},
		{name: "holds records, writers shared", change: func(in *Input) {
			in.Spec.Writers = fsm.WritersShared
			in.Target = target("orders", 9, 3)
		}, want: "orders>orders [0 1 2]"},
		{name: "fewer partitions", change: func(in *Input) { in.Target = target("orders", 9, 2) }, no: "orders partition-mismatch"},
		{name: "more partitions", change: func(in *Input) { in.Target = target("orders", 9, 4) }, no: "orders partition-mismatch"},
	})
}

func TestDecideOnWhoMadeTheTarget(t *testing.T) {
	decide(t, []decision{
		{name: "made by us, the source grew before the streams were added", change: func(in *Input) {
			in.Target, in.Made = target("orders", 9, 2), map[string]Maker{"orders": {ID: id(9), Ours: true}}
			in.Empty = map[string][]bool{"orders": {true, true}}
		}, want: "orders>orders g3 [0 1 2]"},
		{name: "made by us, deleted, made by a person", change: func(in *Input) {
			in.Target, in.Made = target("orders", 8, 2), map[string]Maker{"orders": {ID: id(9), Ours: true}}
		}, no: "orders partition-mismatch"},
		{name: "made by us in a former life, with records", change: func(in *Input) {
			in.Target, in.Made = target("orders", 9, 3), map[string]Maker{"orders": {ID: id(9), Ours: true}}
			in.Empty = map[string][]bool{"orders": {true, true, false}}
		}, no: "orders not-empty"},
		{name: "made by another Sluice cluster", change: func(in *Input) {
			in.Target, in.Made = target("orders", 9, 3), map[string]Maker{"orders": {ID: id(9), Name: "x"}}
			in.Empty = map[string][]bool{"orders": {true, true, true}}
		}, no: "orders foreign-writer"},
		{name: "another link writes there", change: func(in *Input) { in.Taken["orders"] = "ap-eu" }, no: "orders not-empty"},
		{name: "two topics become one", change: func(in *Input) {
			in.Spec.Rename = "all"
			in.Source = append(in.Source, Topic{Name: "pay-a", Partitions: 3})
		}, want: "orders>all c3 [0 1 2]", no: "pay-a not-empty"},
		{name: "a name that Kafka refuses", change: func(in *Input) { in.Spec.Rename = "{topic}/x" }, no: "orders partition-mismatch"},
		{name: "the same topic", change: func(in *Input) { in.SameCluster = true }, no: "orders foreign-writer"},
		{name: "copies of copies", change: func(in *Input) {
			in.SameCluster, in.Spec.Include, in.Spec.Rename = true, []string{"*"}, "x.{topic}"
		}, no: "orders foreign-writer"},
	})
}

func TestDecideOnKnownTopics(t *testing.T) {
	decide(t, []decision{
		{name: "in step", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 9, 3), Copied{Partitions: parts(3), Mapped: true, SourceID: id(1), TargetID: id(9)}
		}},
		{name: "the source grew", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 9, 2), Copied{Partitions: parts(2), Mapped: true, SourceID: id(1), TargetID: id(9)}
		}, want: "orders>orders g3 [2]"},
		{name: "the source grew, the target has the partition", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 9, 3), Copied{Partitions: parts(2), Mapped: true, SourceID: id(1), TargetID: id(9)}
		}, look: "orders"},
		{name: "the same, and only that one must be empty", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 9, 3), Copied{Partitions: parts(2), Mapped: true, SourceID: id(1), TargetID: id(9)}
			in.Empty = map[string][]bool{"orders": {false, false, true}}
		}, want: "orders>orders [2]"},
		{name: "source recreated with more partitions", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 9, 2), Copied{Partitions: parts(2), Mapped: true, SourceID: id(7), TargetID: id(9)}
		}},
		{name: "source deleted", change: func(in *Input) {
			in.Source = nil
			in.Target, in.Copied["orders"] = target("orders", 9, 2), Copied{Partitions: parts(2), Mapped: true}
		}},
		{name: "target deleted: its streams stop", change: func(in *Input) {
			in.Copied["orders"] = Copied{Partitions: parts(3), Mapped: true, SourceID: id(1), TargetID: id(9)}
		}},
		{name: "target deleted and the order is to copy again", change: func(in *Input) {
			in.Copied["orders"] = Copied{Partitions: parts(3), Mapped: true, Recopy: true, SourceID: id(1), TargetID: id(9)}
		}, want: "orders>orders c3 []"},
		{name: "target deleted before anything was copied", change: func(in *Input) {
			in.Copied["orders"] = Copied{Partitions: parts(2)}
		}, want: "orders>orders c3 [2]"},
		{name: "target recreated smaller", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 8, 1), Copied{Partitions: parts(3), Mapped: true, SourceID: id(1), TargetID: id(9)}
		}},
		{name: "target recreated smaller and the order is to copy again", change: func(in *Input) {
			in.Target, in.Copied["orders"] = target("orders", 8, 1), Copied{Partitions: parts(3), Mapped: true, Recopy: true, SourceID: id(1), TargetID: id(9)}
		}, want: "orders>orders g3 []"},
		{name: "brokers without topic ids", change: func(in *Input) {
			in.Source[0].ID = fsm.TopicID{}
			in.Target, in.Copied["orders"] = target("orders", 0, 2), Copied{Partitions: parts(2), Mapped: true}
		}, want: "orders>orders g3 [2]"},
	})
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
			if in.Selector, err = in.Spec.Selector(); err != nil {
				t.Fatal(err)
			}
			p := Decide(in)
			var actions, refusals []string
			for _, a := range p.Actions {
				s := a.Topic + ">" + a.Target
				if a.Create > 0 {
					s += fmt.Sprint(" c", a.Create)
				}
				if a.Grow > 0 {
					s += fmt.Sprint(" g", a.Grow)
				}
				actions = append(actions, s+fmt.Sprint(" ", a.Add))
			}
			for _, r := range p.Refused {
				refusals = append(refusals, r.Topic+" "+string(r.Code))
			}
			if got := strings.Join(actions, "; "); got != tc.want {
				t.Errorf("actions %q, want %q", got, tc.want)
			}
			if got := strings.Join(refusals, "; "); got != tc.no {
				t.Errorf("refusals %q, want %q (%v)", got, tc.no, p.Refused)
			}
			if got := strings.Join(p.Examine, " "); got != tc.look {
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
	var got []fsm.StreamKey
	for _, c := range streamsAdds(7, streams, 5) {
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
		got = append(got, c.Streams...)
	}
	if !reflect.DeepEqual(got, streams) {
		t.Error("streams were lost or reordered")
	}
	if streamsAdds(7, nil, 5) != nil {
		t.Error("a command out of nothing")
	}
}
