package api_test

import (
	"maps"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
	"sluice/task"
)

func TestStatusShowsTheWorstFirst(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(4)
	f.Report(fsm.CodeCopying, 7)
	var bad *fsm.Task
	for x := range f.View().Tasks {
		if x.Kind == fsm.KindCopy && x.Copy.Stream.Partition == 2 {
			bad = x
		}
	}
	f.Do(&fsm.TaskStop{
		Task: bad.ID, Turn: bad.Turn, Stop: fsm.Stop{Code: fsm.CodePositionLost, From: 5, To: 9, Message: "records 5 to 8 are gone"},
		Event: &fsm.Event{Code: fsm.CodePositionLost, From: 5, To: 9, Message: "gone", First: 9000, Last: 9000},
	})
	_, c := f.Serve(nil)
	s, err := c.Status(t.Context(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s.Health != api.Unhealthy || len(s.Problems) != 1 || s.Problems[0] != "link us-eu: 1 of 4 streams is stopped (position-lost)" {
		t.Errorf("health %s %q", s.Health, s.Problems)
	}
	if s.Leader != "n2" || s.Node != "n1" || !s.Quorum || s.Index != f.View().Index || s.AgeMillis == nil {
		t.Errorf("meta %+v", s.Meta)
	}
	if len(s.Tasks) != 2 || s.TaskCount != 5 || s.Tasks[0].State != fsm.CodePositionLost || *s.Tasks[0].From != 5 || s.Tasks[0].Message == "" {
		t.Errorf("tasks %+v", s.Tasks)
	}
	if l := s.Links[0]; l.Condition != fsm.CodePositionLost || *l.Totals.LagRecords != 28 || *l.Totals.BytesPerSecond != 4096 || *l.Totals.LagSeconds != 1.5 {
		t.Errorf("link %+v", l)
	}
	if len(s.Events) != 1 || s.Events[0].Code != fsm.CodePositionLost || s.Events[0].Link != "us-eu" {
		t.Errorf("events %+v", s.Events)
	}

	for x := range f.View().Tasks { // one more stream, stopped by something else
		if x.Kind == fsm.KindCopy && x.Copy.Stream.Partition == 1 {
			bad = x
		}
	}
	f.Do(&fsm.TaskStop{Task: bad.ID, Turn: bad.Turn, Stop: fsm.Stop{Code: fsm.CodeTargetDeleted, From: -1, To: -1, Message: "gone"}})
	want := "link us-eu: 2 of 4 streams are stopped (1 position-lost, 1 target-deleted)"
	if s, err = c.Status(t.Context(), 2, 1); err != nil || len(s.Problems) != 1 || s.Problems[0] != want {
		t.Errorf("%v, %q, want %q", err, s.Problems, want)
	}
}

// TestConditionOfALink: one word for all its tasks.
func TestConditionOfALink(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	_, c := f.Serve(nil)
	for _, want := range []fsm.Code{fsm.CodeIdle, fsm.CodeUnreachable, fsm.CodeCatchingUp} {
		f.Report(want, 0)
		if l, err := c.Link(t.Context(), "us-eu"); err != nil || l.Condition != want {
			t.Errorf("%+v %v", l, err)
		}
	}
	f.Report(fsm.CodeIdle, 0)
	f.With(func(f *apitest.Cluster) { f.Nodes[0].Tasks[3] = task.Status{State: fsm.CodeCopying} })
	if l, err := c.Link(t.Context(), "us-eu"); err != nil || l.Condition != fsm.CodeCopying {
		t.Errorf("one copies, the others wait for records: %+v %v", l, err)
	}
}

// TestStatusWithoutLeader: it answers, says so, and a figure that its owner
// has not renewed is not shown as if it were true.
func TestStatusWithoutLeader(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(3)
	f.Report(fsm.CodeCopying, 0)
	f.With(func(f *apitest.Cluster) {
		f.Status.Leader, f.Status.Quorum, f.NoLeader = "", false, true
		f.Nodes[0].Alive = false
		f.Nodes[0].Heard = f.Nodes[0].Heard.Add(-10 * time.Second)
	})
	_, c := f.Serve(nil)
	s, err := c.Status(t.Context(), 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Leader != "" || s.Quorum || s.Health != api.Unhealthy || s.Totals.LagUnknown != 1 {
		t.Errorf("%+v %+v", s.Meta, s.Totals)
	}
	if s.Tasks[0].State != fsm.CodeUnreported || s.Tasks[0].LagRecords != nil || s.Tasks[0].Message != "n1 is silent" {
		t.Errorf("%+v", s.Tasks[0])
	}
	if s.Nodes[0].Name != "n1" || s.Nodes[0].State != "silent" {
		t.Errorf("%+v", s.Nodes)
	}
	if _, err := c.Pause(t.Context(), "us-eu"); code(err) != api.CodeNoLeader {
		t.Errorf("pause: %v", err)
	}
	cc, _ := api.NewClient(api.ClientConfig{Addresses: c.Addresses(), Consistent: true})
	if _, err := cc.Status(t.Context(), 1, 1); code(err) != api.CodeNoLeader {
		t.Errorf("consistent: %v", err)
	}
}

// TestFormerOwnersFiguresAreNotShown: what a node reports of a task that it
// has lost meanwhile is no news.
func TestFormerOwnersFiguresAreNotShown(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	f.Report(fsm.CodeCopying, 7)
	var copied *fsm.Task
	for x := range f.View().Tasks {
		if x.Kind == fsm.KindCopy {
			copied = x
		}
	}
	to := "id1"
	if copied.Owner == to {
		to = "id2"
	}
	f.Do(&fsm.Assign{Items: []fsm.Assignment{{Task: copied.ID, Turn: copied.Turn, To: to}}})
	_, c := f.Serve(nil)
	l, err := c.Link(t.Context(), "us-eu")
	if err != nil {
		t.Fatal(err)
	}
	if x := l.Tasks[0]; x.ID != copied.ID || x.State != fsm.CodeStarting || x.LagRecords != nil || x.AgeMillis != nil {
		t.Errorf("%+v", x)
	}
}

// TestFiguresOfADeadNode are unknown at once, and so are the sums with them.
func TestFiguresOfADeadNode(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(3)
	f.Report(fsm.CodeCopying, 7)
	_, c := f.Serve(nil)
	if l, err := c.Link(t.Context(), "us-eu"); err != nil || *l.Totals.LagRecords != 21 || l.Totals.LagUnknown != 0 || l.Totals.BytesPerSecond == nil {
		t.Errorf("%+v %v", l, err)
	}
	f.With(func(f *apitest.Cluster) { f.Nodes[2].Alive = false })
	l, err := c.Link(t.Context(), "us-eu")
	if err != nil || l.Totals.LagRecords != nil || l.Totals.LagSeconds != nil || l.Totals.LagUnknown != 1 || l.Totals.BytesPerSecond != nil {
		t.Errorf("%+v %v", l.Totals, err)
	}
	for _, x := range l.Tasks {
		dead := x.Owner == "n3"
		if x.Kind == "copy" && dead != (x.LagRecords == nil) || dead != (x.BytesPerSecond == nil) || dead != (x.State == fsm.CodeUnreported) {
			t.Errorf("%+v", x)
		}
	}
}

// TestOneLinkOfAName: while a link is being deleted and there is a new one of
// its name, that one is shown, with its own streams.
func TestOneLinkOfAName(t *testing.T) {
	f := apitest.New(t)
	f.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	spec := f.WithLink(3).Spec
	f.Do(&fsm.Objects{DeleteLinks: []string{"us-eu"}, At: 5000})
	_, c := f.Serve(nil)
	l, err := c.Links(t.Context())
	if err != nil || len(l.Items) != 1 || l.Items[0].State != "deleting" || l.Items[0].Totals.Streams != 3 {
		t.Fatalf("%+v %v", l, err)
	}
	f.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}, At: 6000})
	l, err = c.Links(t.Context())
	if err != nil || len(l.Items) != 1 || l.Items[0].State != fsm.StateRunning || l.Items[0].Totals.Streams != 0 {
		t.Errorf("%+v %v", l, err)
	}
	s, err := c.Status(t.Context(), 10, 10)
	if err != nil || len(s.Links) != 1 {
		t.Errorf("%+v %v", s.Links, err)
	}
	ops, err := c.Operations(t.Context())
	if err != nil || len(ops.Items) != 1 || ops.Items[0].Name != "us-eu" {
		t.Errorf("%+v %v", ops, err)
	}
}

// TestPausedStreamsAreInNoSum: one paused link hides nothing of the others, and
// its own streams are named, not taken for copied.
func TestPausedStreamsAreInNoSum(t *testing.T) {
	f := apitest.New(t)
	paused := f.WithLink(3)
	other := paused.Spec
	other.Name, other.Rename = "other", "x.{topic}"
	f.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: other}}, At: 2000})
	l := f.View().LinkNamed("other")
	f.Do(&fsm.StreamsAdd{Link: l.ID, Streams: []fsm.StreamKey{{Topic: "pay", TargetTopic: "x.pay"}}})
	for x := range f.View().Tasks {
		if x.Link == l.ID {
			f.Do(&fsm.Assign{At: 3000, Items: []fsm.Assignment{{Task: x.ID, Turn: x.Turn, To: "id1"}}})
		}
	}
	_, c := f.Serve(nil)
	if _, err := c.Pause(t.Context(), "us-eu"); err != nil {
		t.Fatal(err)
	}
	f.Report(fsm.CodeCopying, 7)
	view := f.View()
	f.With(func(f *apitest.Cluster) { // who owns what is paused does not report on it
		for i := range f.Nodes {
			maps.DeleteFunc(f.Nodes[i].Tasks, func(id fsm.TaskID, _ task.Status) bool { return view.Task(id).Link == paused.ID })
		}
	})
	s, err := c.Status(t.Context(), 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Totals; n.Streams != 4 || n.Paused != 3 || n.LagUnknown != 0 || n.LagRecords == nil || *n.LagRecords != 7 || *n.BytesPerSecond != 1024 || *n.LagSeconds != 1.5 {
		t.Errorf("%+v", n)
	}
	one, err := c.Link(t.Context(), "us-eu")
	if err != nil {
		t.Fatal(err)
	}
	if n := one.Totals; n.Paused != 3 || n.LagRecords != nil || n.LagSeconds != nil || n.BytesPerSecond != nil {
		t.Errorf("nothing of it is copied, and a sum says how far it is: %+v", n)
	}
}

// TestAQuotaIsNoProblem: who set it knows; that it slows down is shown with the
// lag.
func TestAQuotaIsNoProblem(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	f.Report(fsm.CodeQuotaThrottled, 70)
	_, c := f.Serve(nil)
	s, err := c.Status(t.Context(), 100, 0)
	if err != nil || s.Health != api.Working || len(s.Problems) != 0 || s.Links[0].Condition != fsm.CodeQuotaThrottled || *s.Totals.LagRecords != 140 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestFilterIsShown: a link shows its filter, and each of its streams what it did
// there, as long as that is known.
func TestFilterIsShown(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	spec := f.View().LinkNamed("us-eu").Spec
	spec.Filter = &fsm.Filter{Keep: "value.a == 1", Mask: []string{"b"}}
	f.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}})
	f.Report(fsm.CodeCopying, 7)
	detail := func(partition int32, detail string) {
		v := f.View()
		f.With(func(f *apitest.Cluster) {
			for x := range v.Tasks {
				for i := range f.Nodes {
					if x.Kind == fsm.KindCopy && x.Copy.Stream.Partition == partition && f.Nodes[i].ID == x.Owner {
						s := f.Nodes[i].Tasks[x.ID]
						s.Detail = []byte(detail)
						f.Nodes[i].Tasks[x.ID] = s
					}
				}
			}
		})
	}
	detail(0, `{"filtered":{"dropped":3,"changed":2,"unparseable":1}}`)
	_, c := f.Serve(nil)
	l, err := c.Link(t.Context(), "us-eu")
	if err != nil || l.Filter == nil || l.Filter.Keep != "value.a == 1" {
		t.Fatalf("%+v %v", l, err)
	}
	for _, x := range l.Tasks {
		if want := (api.Filtered{Dropped: 3, Changed: 2, Unparseable: 1}); x.Kind == "copy" && (x.Partition == 0) != (x.Filtered != nil) || x.Filtered != nil && *x.Filtered != want {
			t.Errorf("%d: %+v", x.Partition, x.Filtered)
		}
	}
	f.With(func(f *apitest.Cluster) {
		for i := range f.Nodes {
			f.Nodes[i].Alive = false
		}
	})
	if l, err = c.Link(t.Context(), "us-eu"); err != nil {
		t.Fatal(err)
	}
	for _, x := range l.Tasks {
		if x.Filtered != nil {
			t.Errorf("an old figure is shown: %+v", x)
		}
	}
}
