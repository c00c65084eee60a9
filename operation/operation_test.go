package operation

import (
	"reflect"
	"strings"
	"testing"

	"sluice/fsm"
)

// facts are a cluster of the nodes a and b with the link l, whose tasks they own.
type facts struct {
	t     testing.TB
	state *fsm.State
}

const now = int64(100_000)

func newFacts(t testing.TB, level uint32) *facts {
	f := &facts{t: t, state: fsm.NewState()}
	f.do(&fsm.FeatureRaise{Level: level})
	f.do(&fsm.NodePut{Node: fsm.Node{ID: "a", Name: "n1", Feature: level}})
	f.do(&fsm.NodePut{Node: fsm.Node{ID: "b", Name: "n2", Feature: level}})
	f.do(&fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us"}, {Name: "eu"}},
		Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu"}}},
	})
	f.do(&fsm.StreamsAdd{Link: 1, Streams: []fsm.StreamKey{{Topic: "t"}, {Topic: "t", Partition: 1}}})
	f.do(&fsm.Assign{Items: []fsm.Assignment{{Task: 1, To: "a"}, {Task: 2, To: "a"}, {Task: 3, To: "b"}}})
	f.do(&fsm.LinkProducer{Link: 1, ProducerID: 7, Prev: -1})
	return f
}

// try applies a command that may be refused.
func (f *facts) try(c fsm.Command) fsm.Result {
	f.t.Helper()
	b, err := fsm.Encode(c)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := f.state.Apply(f.state.View().Index+1, b)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *facts) do(c fsm.Command) {
	f.t.Helper()
	if r := f.try(c); r.Refused != fsm.RefusedNot {
		f.t.Fatalf("%T refused: %+v", c, r)
	}
}

func (f *facts) view() *fsm.View { return f.state.View() }

// delete begins to delete l at 90 s.
func (f *facts) delete() *fsm.Operation {
	f.t.Helper()
	f.do(&fsm.Objects{DeleteLinks: []string{"l"}, At: now - 10_000})
	return f.only()
}

func (f *facts) only() *fsm.Operation {
	f.t.Helper()
	all := Running(f.view(), now)
	if len(all) != 1 {
		f.t.Fatalf("%d operations go on", len(all))
	}
	return all[0]
}

// everywhere says that all nodes have carried out everything.
func (f *facts) everywhere() map[string]uint64 {
	return map[string]uint64{"a": f.view().Index, "b": f.view().Index}
}

func TestDeleteLink(t *testing.T) {
	at := func(s fsm.Step, since int64, message string) func(*fsm.Operation) {
		return func(o *fsm.Operation) { o.Step, o.Since, o.Updated, o.Message = s, since, since, message }
	}
	to := func(from, to fsm.Step, message string) Action {
		return Action{Command: &fsm.OperationStep{Operation: 1, From: from, To: to, State: fsm.OperationRunning, Message: message, At: now}}
	}
	end := func(state fsm.OperationState, s fsm.Step, message string) Action {
		return Action{Command: &fsm.OperationStep{Operation: 1, From: s, To: s, State: state, Message: message, At: now}}
	}
	gaveUp := func() Action {
		a := to(fsm.StepReleasing, fsm.StepPurging, "its claim still stands at Kafka cluster eu (topic __sluice): eu is down")
		a.Command.(*fsm.OperationStep).Event = &fsm.Event{
			Node: "n1", Code: fsm.CodeUnreachable, Part: -1, From: -1, To: -1, First: now, Last: now,
			Message: "link l is deleted, but its claim still stands at Kafka cluster eu (topic __sluice): eu is down",
		}
		return a
	}
	long := strings.Repeat("x", 2*maxMessage)
	purged := func(f *facts) { f.do(&fsm.LinkPurge{Link: 1}) }
	for _, c := range []struct {
		name   string
		before func(*facts)
		is     func(*fsm.Operation)
		seen   func(*Seen)
		want   Action
	}{
		{name: "nobody has stopped", seen: func(s *Seen) { s.Carried = nil }, want: Action{Waits: []string{"a", "b"}}},
		{name: "one has stopped", seen: func(s *Seen) { s.Carried["a"] = 3 }, want: Action{Waits: []string{"a"}}},
		{name: "a node that was removed", before: func(f *facts) { f.do(&fsm.NodeRemove{ID: "a"}) }, seen: func(s *Seen) { delete(s.Carried, "a") }, want: to(fsm.StepStopping, fsm.StepReleasing, "")},
		{name: "all have stopped", want: to(fsm.StepStopping, fsm.StepReleasing, "")},
		{name: "release", is: at(fsm.StepReleasing, now-1000, ""), want: Action{Act: true}},
		{name: "released", is: at(fsm.StepReleasing, now-1000, ""), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing} }, want: to(fsm.StepReleasing, fsm.StepPurging, "")},
		{name: "released after trouble", is: at(fsm.StepReleasing, now-1000, "eu is down"), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing} }, want: to(fsm.StepReleasing, fsm.StepPurging, "")},
		{name: "a try of another step counts for nothing", is: at(fsm.StepReleasing, now-1000, ""), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepStopping} }, want: Action{Act: true}},
		{name: "the first failure is noted", is: at(fsm.StepReleasing, now-1000, ""), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: "eu is down"} }, want: to(fsm.StepReleasing, fsm.StepReleasing, "eu is down")},
		{name: "a long one is cut", is: at(fsm.StepReleasing, now-1000, ""), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: long} }, want: to(fsm.StepReleasing, fsm.StepReleasing, long[:maxMessage])},
		{name: "once noted it is tried again", is: at(fsm.StepReleasing, now-1000, "eu is down"), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: "eu is down"} }, want: Action{Act: true}},
		{name: "a long one too", is: at(fsm.StepReleasing, now-1000, long[:maxMessage]), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: long} }, want: Action{Act: true}},
		{name: "another failure at once is not noted", is: at(fsm.StepReleasing, now-1000, "eu is down"), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: "eu is slow"} }, want: Action{Act: true}},
		{name: "another failure later is", is: at(fsm.StepReleasing, now-11_000, "eu is down"), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: "eu is slow"} }, want: to(fsm.StepReleasing, fsm.StepReleasing, "eu is slow")},
		{name: "an act that is vain", is: at(fsm.StepReleasing, now-1000, ""), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: "no", Final: true} }, want: end(fsm.OperationFailed, fsm.StepReleasing, "no")},
		{name: "time is up before the first try", is: at(fsm.StepReleasing, now-30_000, ""), want: Action{Act: true}},
		{name: "time is up", is: at(fsm.StepReleasing, now-30_000, "eu is down"), seen: func(s *Seen) { s.Tried = &Try{Step: fsm.StepReleasing, Err: "eu is down"} }, want: gaveUp()},
		{name: "the name is another link's", before: func(f *facts) {
			f.do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "l", Source: "us", Target: "eu"}}}})
		}, is: at(fsm.StepReleasing, now-1000, ""), want: to(fsm.StepReleasing, fsm.StepPurging, "")},
		{name: "the link is gone before", before: purged, is: at(fsm.StepReleasing, now-1000, ""), want: to(fsm.StepReleasing, fsm.StepPurging, "")},
		{name: "the link is gone while it stops", before: purged, seen: func(s *Seen) { s.Carried = nil }, want: to(fsm.StepStopping, fsm.StepReleasing, "")},
		{name: "purge", is: at(fsm.StepPurging, now, ""), want: Action{Command: &fsm.LinkPurge{Link: 1}}},
		{name: "purged", before: purged, is: at(fsm.StepPurging, now, ""), want: end(fsm.OperationDone, fsm.StepPurging, "link l is deleted; the target keeps its data")},
		{name: "purged with something left", before: purged, is: at(fsm.StepPurging, now, "its claim still stands"), want: end(fsm.OperationDone, fsm.StepPurging, "link l is deleted, but its claim still stands")},
		{name: "it has ended", is: func(o *fsm.Operation) { o.State = fsm.OperationDone }},
		{name: "a kind of a newer build", is: func(o *fsm.Operation) { o.Kind = "dance" }},
		{name: "a step of a newer build", is: func(o *fsm.Operation) { o.Step = "bowing" }},
		{name: "nobody knows since when", is: func(o *fsm.Operation) { o.Since = 0 }, want: to(fsm.StepStopping, fsm.StepStopping, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFacts(t, 2)
			o := *f.delete()
			seen := Seen{Node: "n1", Now: now, Carried: f.everywhere()}
			if c.before != nil {
				c.before(f)
			}
			if c.is != nil {
				c.is(&o)
			}
			if c.seen != nil {
				c.seen(&seen)
			}
			if got := Next(f.view(), &o, seen); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v %+v, want %+v %+v", got, got.Command, c.want, c.want.Command)
			}
		})
	}
}

// TestEveryStepHasAStage: also the one that the facts begin with.
func TestEveryStepHasAStage(t *testing.T) {
	f := newFacts(t, 2)
	o := f.delete()
	if k, _ := find(o); k == nil {
		t.Fatalf("the facts begin with %s of %s, and nobody knows what to do", o.Step, o.Kind)
	}
	for name, k := range kinds {
		for i, st := range k.stages {
			if st.wants != nil && st.limit > 0 && st.left == nil {
				t.Errorf("%s: %s is given up, and nobody is told", name, st.step)
			}
			if _, at := find(&fsm.Operation{Kind: name, Step: st.step}); at != i {
				t.Errorf("%s: %s is there twice", name, st.step)
			}
		}
	}
}

// TestRunningBelowTheLevel: an older node knows no operations, and links are
// deleted all the same.
func TestRunningBelowTheLevel(t *testing.T) {
	f := newFacts(t, 1)
	o := f.delete()
	want := fsm.Operation{
		Kind: fsm.OperationDeleteLink, Link: 1, Name: "l", State: fsm.OperationRunning, Step: fsm.StepStopping, Started: now, Since: now, Updated: now,
	}
	if *o != want {
		t.Errorf("%+v, want %+v", o, want)
	}
	f.do(&fsm.FeatureRaise{Level: 2})
	if o := f.only(); o.ID != 1 {
		t.Errorf("%+v is not that of the facts", o)
	}
	f.do(&fsm.LinkPurge{Link: 1})
	f.do(&fsm.OperationStep{Operation: 1, From: fsm.StepStopping, To: fsm.StepPurging, State: fsm.OperationDone})
	if all := Running(f.view(), now); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
