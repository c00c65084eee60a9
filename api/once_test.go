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

// TestUnknownChangesOfKafkaClusters, which have no revision, are not made over
// what somebody else changed before the caller has looked again.
func TestUnknownChangesOfKafkaClusters(t *testing.T) {
	for _, made := range []bool{true, false} {
		l := &lossy{Cluster: apitest.New(t), made: made}
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

// TestOrdersAreForTheStopThatWasSeen: an order whose outcome was not known is
// not given to a stream that has stopped anew.
func TestOrdersAreForTheStopThatWasSeen(t *testing.T) {
	l := &lossy{Cluster: apitest.New(t), made: true}
	l.WithLink(1)
	l.stop()
	l.then = []func(*lossy){func(l *lossy) {
		l.Do(&fsm.TaskOrder{Link: 1, Partition: -1, Order: fsm.OrderRetry}) // its owner went on
		l.stop()
	}}
	_, c := l.Serve(func(_ *api.Config, p *api.Parts) { p.Control = l })
	a, err := c.Order(t.Context(), "us-eu", "continue", api.StreamSelector{})
	if err != nil || *a.Streams != 1 || len(l.seen) != 1 {
		t.Errorf("%+v %v, %d proposals", a, err, len(l.seen))
	}
	for x := range l.View().Tasks {
		if x.Copy != nil && x.Copy.Order != "" {
			t.Errorf("the second stop was given the order: %+v", x.Copy)
		}
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
