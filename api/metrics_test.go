package api_test

import (
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/task"
	"sluice/test/scrape"
)

// owned are the ids of the copy tasks of a node, sorted.
func owned(f *apitest.Cluster, node string) (ids []fsm.TaskID) {
	for t := range f.View().Tasks {
		if t.Kind == fsm.KindCopy && t.Owner == node {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// TestUnknownLagIsAbsent: a sum in which one part is not known would look like
// little lag, so it is not there, and what is missing is counted.
func TestUnknownLagIsAbsent(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(7)
	f.Report(fsm.CodeCopying, 7)
	mine := owned(f, "id1")
	if len(mine) != 2 {
		t.Fatal(mine)
	}
	metrics := api.LinkCollector(f, f)
	const topic = `{link="us-eu",topic="orders"}`
	s := scrape.Of(t, metrics)
	s.Want(t, scrape.Samples{
		"sluice_link_lag_records" + topic: 14, "sluice_link_lag_seconds" + topic: 1.5, "sluice_link_lag_unknown_streams" + topic: 0,
		`sluice_link_streams{link="us-eu",state="copying"}`: 2,
	})
	for _, state := range reason.States() {
		if _, ok := s[`sluice_link_streams{link="us-eu",state="`+string(state)+`"}`]; !ok {
			t.Errorf("state %s is not there", state)
		}
	}

	f.With(func(f *apitest.Cluster) {
		f.Nodes[0].Tasks[mine[0]] = task.Status{State: fsm.CodeStarting, Lag: task.Lag{Records: -1, Millis: -1}}
	})
	s = scrape.Of(t, metrics)
	s.Absent(t, "sluice_link_lag_records"+topic, "sluice_link_lag_seconds"+topic)
	s.Want(t, scrape.Samples{
		"sluice_link_lag_unknown_streams" + topic:           1,
		`sluice_link_streams{link="us-eu",state="copying"}`: 1, `sluice_link_streams{link="us-eu",state="starting"}`: 1,
	})

	f.With(func(f *apitest.Cluster) { // how much is known, not since when
		f.Nodes[0].Tasks[mine[0]] = task.Status{State: fsm.CodeCopying, Lag: task.Lag{Records: 3, Millis: -1}}
	})
	s = scrape.Of(t, metrics)
	s.Want(t, scrape.Samples{"sluice_link_lag_records" + topic: 10})
	s.Absent(t, "sluice_link_lag_seconds"+topic)
}

// TestEveryStreamIsShownByANode: those without a living owner are the leader's
// to show, so that the sum over the nodes is all streams, whatever happens.
func TestEveryStreamIsShownByANode(t *testing.T) {
	f := apitest.New(t)
	l := f.WithLink(7)
	f.Do(&fsm.StreamsAdd{Link: l.ID, Streams: []fsm.StreamKey{{Topic: "late", TargetTopic: "late"}}}) // nobody's yet
	f.Report(fsm.CodeCopying, 0)
	f.With(func(f *apitest.Cluster) {
		f.Nodes[2].Alive, f.Nodes[2].Heard = false, time.Now().Add(-10*time.Second)
	})
	sum := func(node string) (n float64, s scrape.Samples) {
		f.With(func(f *apitest.Cluster) { f.Status.NodeID = node })
		s = scrape.Of(t, api.LinkCollector(f, f))
		for _, state := range reason.States() {
			n += s[`sluice_link_streams{link="us-eu",state="`+string(state)+`"}`]
		}
		return n, s
	}
	follower, s := sum("id1")
	s.Absent(t, `sluice_link_lag_unknown_streams{link="us-eu",topic="late"}`)
	leader, s := sum("id2")
	if follower+leader != 8 || follower != 2 {
		t.Errorf("of 8 streams the follower shows %v, the leader %v", follower, leader)
	}
	s.Want(t, scrape.Samples{
		`sluice_link_streams{link="us-eu",state="unassigned"}`:       1,
		`sluice_link_lag_unknown_streams{link="us-eu",topic="late"}`: 1,
	})
	if s[`sluice_link_lag_unknown_streams{link="us-eu",topic="orders"}`] == 0 {
		t.Error("the lag of a dead node's streams is taken for known")
	}
}

// TestOneSeriesForANameThatIsTakenAgain: a link that is being deleted and the
// next of its name at the same time.
func TestOneSeriesForANameThatIsTakenAgain(t *testing.T) {
	f := apitest.New(t)
	l := f.WithLink(4)
	f.Report(fsm.CodeCopying, 0)
	f.Do(&fsm.Objects{DeleteLinks: []string{"us-eu"}, At: 4000})
	s := scrape.Of(t, api.LinkCollector(f, f))
	s.Want(t, scrape.Samples{`sluice_link_streams{link="us-eu",state="deleting"}`: 1})
	f.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: l.Spec}}, At: 5000})
	s = scrape.Of(t, api.LinkCollector(f, f))
	s.Want(t, scrape.Samples{`sluice_link_streams{link="us-eu",state="deleting"}`: 0})
}

// TestTopicsThatAreNotCopiedAreCounted: by the node that looks after them, and
// not at all while it has seen neither Kafka cluster.
func TestTopicsThatAreNotCopiedAreCounted(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	var of *fsm.Task
	for x := range f.View().Tasks {
		if x.Kind == fsm.KindLink {
			of = x
		}
	}
	const topics = `sluice_link_topics{link="us-eu",state=`
	f.With(func(f *apitest.Cluster) { f.Topics = task.Topics{Selected: 5, NotCopied: 2, LeftOut: 1} })
	f.Report(fsm.CodeCopying, 0)
	look := func(node string) scrape.Samples {
		f.With(func(f *apitest.Cluster) { f.Status.NodeID = node })
		return scrape.Of(t, api.LinkCollector(f, f))
	}
	look(of.Owner).Want(t, scrape.Samples{topics + `"copied"}`: 3, topics + `"not-copied"}`: 2, topics + `"left-out"}`: 1})
	for _, other := range []string{"id1", "id2", "id3"} {
		if other != of.Owner {
			look(other).Absent(t, topics+`"not-copied"}`)
		}
	}
	f.With(func(f *apitest.Cluster) {
		for i := range f.Nodes {
			if f.Nodes[i].ID == of.Owner {
				f.Nodes[i].Tasks[of.ID] = task.Status{State: fsm.CodeStarting, Detail: []byte(`{"selected":5}`)}
			}
		}
	})
	look(of.Owner).Absent(t, topics+`"copied"}`, topics+`"not-copied"}`, topics+`"left-out"}`)
}
