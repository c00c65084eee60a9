package api_test

import (
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// behind is a node of a cluster with the link us-eu, which has not learnt yet of
// what change does through another one.
func behind(t *testing.T, change func(*apitest.Cluster)) (*apitest.Cluster, *api.Client) {
	f := apitest.New(t)
	f.WithLink(1)
	f.Report(fsm.CodeIdle, 0)
	_ = f.View()
	f.With(func(f *apitest.Cluster) { f.Behind = true })
	change(f)
	_, c := f.Serve(nil)
	return f, c
}

func setState(f *apitest.Cluster, state string) {
	f.Do(&fsm.LinkState{Link: 1, State: state, At: 5000})
}

// TestActsAtANodeThatIsBehind: what another node has answered for is known to
// the next act, wherever it is asked for: nothing is "already so" because this
// node has not heard of it.
func TestActsAtANodeThatIsBehind(t *testing.T) {
	state := func(f *apitest.Cluster) string {
		f.With(func(f *apitest.Cluster) { f.Behind = false })
		l := f.View().LinkNamed("us-eu")
		switch {
		case l == nil:
			return "gone"
		case l.Deleting:
			return "deleting"
		}
		return l.Spec.State
	}
	t.Run("resumed there, paused here", func(t *testing.T) {
		f, c := behind(t, func(f *apitest.Cluster) {
			setState(f, fsm.StatePaused)
			f.With(func(f *apitest.Cluster) { f.Behind = false })
			_ = f.View() // this node knows of the pause
			f.With(func(f *apitest.Cluster) { f.Behind = true })
			setState(f, fsm.StateRunning)
		})
		if _, err := c.Pause(t.Context(), "us-eu"); err != nil || state(f) != fsm.StatePaused {
			t.Errorf("%v, %s", err, state(f))
		}
	})
	t.Run("paused there, resumed here", func(t *testing.T) {
		f, c := behind(t, func(f *apitest.Cluster) { setState(f, fsm.StatePaused) })
		if _, err := c.Resume(t.Context(), "us-eu"); err != nil || state(f) != fsm.StateRunning {
			t.Errorf("%v, %s", err, state(f))
		}
	})
	again := func(f *apitest.Cluster) {
		f.Do(&fsm.Objects{DeleteLinks: []string{"us-eu"}, At: 5000})
		f.With(func(f *apitest.Cluster) { f.Behind = false })
		_ = f.View()
		f.With(func(f *apitest.Cluster) { f.Behind = true })
		f.Do(&fsm.LinkPurge{Link: 1})
		f.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: "us-eu", Source: "us", Target: "eu", Include: []string{"*"}, State: fsm.StateRunning}}}, At: 6000})
	}
	t.Run("deleted and made again there, deleted here", func(t *testing.T) {
		f, c := behind(t, again)
		if _, err := c.DeleteLink(t.Context(), "us-eu"); err != nil || state(f) != "deleting" {
			t.Errorf("%v, %s", err, state(f))
		}
	})
	t.Run("deleted and made again there, paused here", func(t *testing.T) {
		f, c := behind(t, again)
		if _, err := c.Pause(t.Context(), "us-eu"); err != nil || state(f) != fsm.StatePaused {
			t.Errorf("%v, %s", err, state(f))
		}
	})
	t.Run("stopped there, tried again here", func(t *testing.T) {
		_, c := behind(t, func(f *apitest.Cluster) {
			for x := range f.View().Tasks {
				if x.Kind == fsm.KindCopy {
					f.Do(&fsm.TaskStop{Task: x.ID, Turn: x.Turn, Stop: fsm.Stop{Code: fsm.CodeUnauthorized}})
				}
			}
		})
		a, err := c.Order(t.Context(), "us-eu", string(fsm.OrderContinue), api.StreamSelector{})
		if err != nil || a.Streams == nil || *a.Streams != 1 {
			t.Errorf("%+v %v", a, err)
		}
	})
}

// TestReadsAtANodeThatIsBehind show what another node has answered for.
func TestReadsAtANodeThatIsBehind(t *testing.T) {
	_, c := behind(t, func(f *apitest.Cluster) { setState(f, fsm.StatePaused) })
	if l, err := c.Link(t.Context(), "us-eu"); err != nil || l.State != fsm.StatePaused {
		t.Errorf("%+v %v", l, err)
	}
}

// TestActsWithoutQuorum fail, also where all is as wanted as far as this node
// knows.
func TestActsWithoutQuorum(t *testing.T) {
	f, c := behind(t, func(*apitest.Cluster) {})
	f.With(func(f *apitest.Cluster) { f.NoLeader, f.Status.Quorum = true, false })
	began := time.Now()
	_, err := c.Resume(t.Context(), "us-eu") // it runs
	wants(t, "already so", err, 503, api.CodeNoLeader)
	_, err = c.Pause(t.Context(), "none")
	wants(t, "not there", err, 503, api.CodeNoLeader)
	if l, err := c.Link(t.Context(), "us-eu"); err != nil || l.Quorum {
		t.Errorf("reading goes on: %+v %v", l, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestNeverConfirmed: a node to which no leader has said anything since it
// started may know nothing: an export of that would be an empty backup.
func TestNeverConfirmed(t *testing.T) {
	f := apitest.New(t)
	f.With(func(f *apitest.Cluster) {
		f.Status.Leader, f.Status.Quorum, f.Status.Confirmed, f.NoLeader = "", false, time.Time{}, true
	})
	_, c := f.Serve(nil)
	_, err := c.Export(t.Context(), "", "")
	wants(t, "export", err, 503, api.CodeNoLeader, "no leader has confirmed what node n1 knows since it started: it may be old, or nothing")
	_, err = c.Links(t.Context())
	wants(t, "links", err, 503, api.CodeNoLeader)
	s, err := c.Status(t.Context(), 1, 1)
	if err != nil || s.Health != api.Unhealthy || !strings.Contains(strings.Join(s.Problems, "; "), "no quorum since this node started: what it knows may be old, or nothing") {
		t.Errorf("%+v %v", s, err)
	}
	if m, err := c.Members(t.Context()); err != nil || m.AgeMillis != nil {
		t.Errorf("%+v %v", m, err)
	}
}
