package api_test

import (
	"context"
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// lossy answers the first proposals with an outcome that is not known, and lets
// something happen before the caller looks again.
type lossy struct {
	*apitest.Cluster
	made bool           // they are carried out
	then []func(*lossy) // what happens after each
	err  error          // of all later proposals
	seen []fsm.Command  // all proposals
}

func (l *lossy) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	l.seen = append(l.seen, c)
	if len(l.then) == 0 && l.err != nil {
		return fsm.Result{}, l.err
	}
	if len(l.then) == 0 {
		return l.Cluster.Propose(ctx, c)
	}
	if l.made {
		if r, err := l.Cluster.Propose(ctx, c); err != nil || r.Refused != fsm.RefusedNot {
			return r, err
		}
	}
	then := l.then[0]
	l.then = l.then[1:]
	then(l)
	return fsm.Result{}, api.ErrAmbiguous
}

func (l *lossy) state(state string) {
	l.Do(&fsm.LinkState{Link: l.View().LinkNamed("us-eu").ID, State: state})
}

// again deletes the link and makes another one of its name.
func (l *lossy) again() {
	old := l.View().LinkNamed("us-eu")
	if !old.Deleting {
		l.Do(&fsm.Objects{DeleteLinks: []string{"us-eu"}})
	}
	l.Do(&fsm.LinkPurge{Link: old.ID})
	spec := old.Spec
	spec.State = fsm.StateRunning
	l.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: spec}}})
}

// stop stops the streams of the link.
func (l *lossy) stop() {
	for x := range l.View().Tasks {
		if x.Kind == fsm.KindCopy {
			l.Do(&fsm.TaskStop{Task: x.ID, Turn: x.Turn, Stop: fsm.Stop{Code: fsm.CodePositionLost, From: -1}})
		}
	}
}

// limited changes the link.
var limited = strings.Replace(objects, "topics:", "limit: 1MiB/s, topics:", 1)

// TestUnknownActsAreMadeOnceAtMost: when the outcome of an act is not known, and
// others act before the caller has looked again, it is not made once more over
// what they did, and nothing says that it was not made.
func TestUnknownActsAreMadeOnceAtMost(t *testing.T) {
	nothing := func(*lossy) {}
	running := func(l *lossy) { l.state(fsm.StateRunning) }
	noLeader := func(l *lossy) { l.With(func(f *apitest.Cluster) { f.NoLeader = true }) }
	deaf := func(l *lossy) { l.err = api.ErrNoLeader }
	remove := func(l *lossy) { l.Do(&fsm.Objects{DeleteLinks: []string{"us-eu"}}) }
	again := func(l *lossy) { l.again() }
	pause := func(c *api.Client) error { _, err := c.Pause(t.Context(), "us-eu"); return err }
	del := func(c *api.Client) error { _, err := c.DeleteLink(t.Context(), "us-eu"); return err }
	order := func(c *api.Client) error {
		_, err := c.Order(t.Context(), "us-eu", "continue", api.StreamSelector{})
		return err
	}
	apply := func(c *api.Client) error { _, err := c.Apply(t.Context(), request(limited)); return err }
	for _, x := range []struct {
		name  string
		act   func(*api.Client) error
		made  bool
		then  func(*lossy)
		code  string // of the answer
		state string // of the link at the end
	}{
		{"pause, made", pause, true, nothing, "", fsm.StatePaused},
		{"pause, not made", pause, false, nothing, "", fsm.StatePaused},
		{"pause, made and resumed", pause, true, running, api.CodeAmbiguous, fsm.StateRunning},
		{"pause, made, no leader", pause, true, noLeader, api.CodeAmbiguous, fsm.StatePaused},
		{"pause, not made, no leader to propose to", pause, false, deaf, api.CodeAmbiguous, fsm.StateRunning},
		{"pause, made and deleted", pause, true, remove, api.CodeAmbiguous, "deleting"},
		{"pause, made, deleted and another made", pause, true, again, api.CodeAmbiguous, fsm.StateRunning},
		{"delete, made", del, true, nothing, "", "deleting"},
		{"delete, not made", del, false, nothing, "", "deleting"},
		{"delete, made and another made", del, true, again, api.CodeAmbiguous, fsm.StateRunning},
		{"delete, not made, no leader", del, false, noLeader, api.CodeAmbiguous, fsm.StateRunning},
		{"apply, made", apply, true, nothing, "", fsm.StateRunning},
		{"apply, not made and paused", apply, false, func(l *lossy) { l.state(fsm.StatePaused) }, api.CodeAmbiguous, fsm.StatePaused},
		{"apply, made and deleted", apply, true, remove, api.CodeAmbiguous, "deleting"},
		{"continue, made", order, true, nothing, "", fsm.StateRunning},
		{"continue, not made", order, false, nothing, "", fsm.StateRunning},
		{"continue, made and deleted", order, true, remove, api.CodeAmbiguous, "deleting"},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := &lossy{Cluster: apitest.New(t), made: x.made, then: []func(*lossy){x.then}}
			l.WithLink(1)
			l.stop()
			_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
			err := x.act(c)
			state := l.View().LinkNamed("us-eu").Spec.State
			if l.View().LinkNamed("us-eu").Deleting {
				state = "deleting"
			}
			if code(err) != x.code || state != x.state {
				t.Errorf("%v, %s", err, state)
			}
		})
	}
}

// levels are those at which what commands say of Kafka clusters and stops
// differs.
var levels = []uint32{fsm.FeatureLevel - 1, fsm.FeatureLevel}

// TestUnknownChangesOfKafkaClusters are not made over what somebody else changed
// before the caller has looked again.
func TestUnknownChangesOfKafkaClusters(t *testing.T) {
	for i, made := range []bool{true, false, true, false} {
		l := &lossy{Cluster: apitest.New(t), made: made}
		l.Do(&fsm.FeatureRaise{Level: levels[i/2]})
		l.WithLink(1)
		l.then = []func(*lossy){func(l *lossy) {
			l.Do(&fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{"theirs:1"}}}})
		}}
		_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
		_, err := c.Apply(t.Context(), request(strings.Replace(objects, "us:1", "ours:1", 1)))
		if got := l.View().KafkaCluster("us").Bootstrap[0]; code(err) != api.CodeAmbiguous || got != "theirs:1" {
			t.Errorf("made %v: %v, %s", made, err, got)
		}
	}
}

// TestLateChangesOfKafkaClusters: a copy of a change that arrives after the
// answer changes nothing over what others did since.
func TestLateChangesOfKafkaClusters(t *testing.T) {
	l := &lossy{Cluster: apitest.New(t)}
	l.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	l.WithLink(1)
	_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
	clusters, _, _ := strings.Cut(objects, "---\napiVersion: sluice/v1\nkind: Link")
	spare := "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: spare}\nspec: {bootstrap: [\"spare:1\"]}\n"
	acts := []func() error{
		func() error {
			_, err := c.Apply(t.Context(), request(strings.Replace(clusters, "us:1", "ours:1", 1)))
			return err
		},
		func() error { _, err := c.Apply(t.Context(), request(spare)); return err },
		func() error {
			r := request(spare)
			r.Delete = true
			_, err := c.Apply(t.Context(), r)
			return err
		},
	}
	for _, act := range acts {
		if err := act(); err != nil {
			t.Fatal(err)
		}
	}
	theirs := []fsm.KafkaCluster{{Name: "spare", Bootstrap: []string{"theirs:1"}}, {Name: "us", Bootstrap: []string{"theirs:1"}}}
	l.Do(&fsm.Objects{Kafka: theirs})
	if len(l.seen) != len(acts) {
		t.Fatalf("%d proposals", len(l.seen))
	}
	for _, late := range l.seen {
		r, err := l.Cluster.Propose(t.Context(), late)
		if err != nil || r.Refused != fsm.RefusedTurn {
			t.Errorf("%+v: %+v %v", late, r, err)
		}
	}
	for _, want := range theirs {
		if got := l.View().KafkaCluster(want.Name); got == nil || got.Bootstrap[0] != "theirs:1" {
			t.Errorf("%+v", got)
		}
	}
}

// TestDeletionOfAChangedKafkaCluster: while its link was still being deleted,
// somebody else gave the Kafka cluster another address; it stays. Or somebody else
// deleted it: only one of the two did.
func TestDeletionOfAChangedKafkaCluster(t *testing.T) {
	for _, c := range []struct {
		theirs fsm.Objects
		says   string
		stays  bool
	}{
		{fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{"theirs:1"}}}}, "KafkaCluster us has changed since its deletion was planned", true},
		{fsm.Objects{DeleteKafka: []string{"us"}}, "KafkaCluster us was deleted by somebody else meanwhile", false},
	} {
		t.Run(c.says, func(t *testing.T) { deletedUnderWay(t, c.theirs, c.says, c.stays) })
	}
}

func deletedUnderWay(t *testing.T, theirs fsm.Objects, says string, stays bool) {
	f := apitest.New(t)
	f.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	l := f.WithLink(1)
	_, c := f.Serve(nil)
	r := request(objects)
	r.Delete = true
	ended := make(chan error)
	go func() {
		_, err := c.Apply(t.Context(), r)
		ended <- err
	}()
	for !f.View().LinkNamed("us-eu").Deleting {
		if err := f.WaitIndex(t.Context(), f.View().Index+1); err != nil {
			t.Fatal(err)
		}
	}
	if stays {
		f.Do(&theirs)
	}
	f.Do(&fsm.LinkPurge{Link: l.ID})
	if !stays {
		if r, err := f.Propose(t.Context(), &theirs); err != nil || r.Refused != fsm.RefusedNot { // this one was first
			if err := <-ended; err != nil {
				t.Errorf("nobody deleted it: %v", err)
			}
			return
		}
	}
	wants(t, "changed under way", <-ended, 409, api.CodeStale, says)
	if (f.View().KafkaCluster("us") != nil) != stays {
		t.Errorf("it stays: %v", !stays)
	}
}

// TestOrdersAreForTheStopThatWasSeen: an order whose outcome was not known is
// not given to a stream that has stopped anew.
func TestOrdersAreForTheStopThatWasSeen(t *testing.T) {
	for _, level := range levels {
		l := &lossy{Cluster: apitest.New(t), made: true}
		l.Do(&fsm.FeatureRaise{Level: level})
		l.WithLink(1)
		l.stop()
		l.then = []func(*lossy){func(l *lossy) {
			l.Do(&fsm.TaskOrder{Link: 1, Partition: -1, Order: fsm.OrderRetry}) // its owner went on
			l.stop()
		}}
		_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
		a, err := c.Order(t.Context(), "us-eu", "continue", api.StreamSelector{})
		if err != nil || *a.Streams != 1 || len(l.seen) != 1 {
			t.Errorf("level %d: %+v %v, %d proposals", level, a, err, len(l.seen))
		}
		l.unordered()
	}
}

// unordered fails the test where a stream has an order.
func (l *lossy) unordered() {
	l.T().Helper()
	for x := range l.View().Tasks {
		if x.Copy != nil && (x.Copy.Order != "" || x.Copy.Stop == nil) {
			l.T().Errorf("the second stop was given the order: %+v", x.Copy)
		}
	}
}

// TestUnmadeOrdersDoNotReachALaterStop: the order was not made, its stream was
// tried again by its owner and stopped for another reason before the caller has
// looked again.
func TestUnmadeOrdersDoNotReachALaterStop(t *testing.T) {
	l := &lossy{Cluster: apitest.New(t)}
	l.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	l.WithLink(1)
	l.stop()
	l.then = []func(*lossy){(*lossy).stop}
	_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
	if _, err := c.Order(t.Context(), "us-eu", "continue", api.StreamSelector{}); code(err) != api.CodeAmbiguous {
		t.Errorf("%v", err)
	}
	l.unordered()
}

// TestLateOrders: a copy of an order that arrives after the answer reaches no
// later stop.
func TestLateOrders(t *testing.T) {
	for _, order := range []string{"retry", "continue", "recopy"} {
		l := &lossy{Cluster: apitest.New(t)}
		l.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
		l.WithLink(2)
		l.stop()
		_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
		if a, err := c.Order(t.Context(), "us-eu", order, api.StreamSelector{}); err != nil || *a.Streams != 2 {
			t.Fatalf("%+v %v", a, err)
		}
		l.stop()
		if r, err := l.Cluster.Propose(t.Context(), l.seen[0]); err != nil || r.Refused != fsm.RefusedTurn {
			t.Errorf("%s: %+v %v", order, r, err)
		}
		l.unordered()
	}
}

// TestExpectedRevisionsHold also where the link changes while the apply is under
// way.
func TestExpectedRevisionsHold(t *testing.T) {
	m := &meddler{Cluster: apitest.New(t), times: 2}
	l := m.WithLink(1)
	_, c := m.Serve(func(_ *api.Config, p *api.Parts) { p.Control = m })
	r := request(limited)
	r.Expect = []fsm.Expectation{{Link: "us-eu", Revision: l.Revision}}
	_, err := c.Apply(t.Context(), r)
	wants(t, "changed under way", err, 409, api.CodeStale, "it has changed since the plan was made")
	if got := m.View().LinkNamed("us-eu").Spec; got.Limit != 0 {
		t.Errorf("%+v", got)
	}
}
