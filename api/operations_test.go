package api_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// TestADeletionIsShownAsItGoes: from what it waits for to how it ended.
func TestADeletionIsShownAsItGoes(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	f.Do(&fsm.FeatureRaise{Level: 2})
	_, c := f.Serve(nil)
	if l, err := c.Operations(t.Context()); err != nil || l.Items == nil || len(l.Items) != 0 || l.Kind != "OperationList" {
		t.Fatalf("%+v %v", l, err)
	}
	before := time.Now().Add(-time.Second)
	a, err := c.DeleteLink(t.Context(), "us-eu")
	if err != nil || a.Operation == nil || *a.Operation != 1 {
		t.Fatalf("%+v %v", a, err)
	}
	again, err := c.DeleteLink(t.Context(), "us-eu")
	if err != nil || again.Operation == nil || *again.Operation != 1 {
		t.Errorf("once more: %+v %v", again, err)
	}
	d, err := c.Operation(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	o := d.Operation
	if o.Kind != fsm.OperationDeleteLink || o.Name != "us-eu" || o.State != fsm.OperationRunning || o.Step != fsm.StepStopping || o.By != "n1" || o.Finished != nil ||
		!slices.Equal(o.WaitsFor, []string{"n1", "n2", "n3"}) || !o.Started.After(before) || !o.Since.Equal(*o.Started) || o.Revision != a.Revision {
		t.Errorf("%+v", o)
	}
	f.Report(fsm.CodeCopying, 0)
	if d, err = c.Operation(t.Context(), 1); err != nil || d.Operation.WaitsFor == nil || len(d.Operation.WaitsFor) != 0 {
		t.Errorf("all have reported: %+v %v", d, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	followed := make(chan struct{})
	go func() { defer close(followed); f.Follow(ctx) }()
	for f.View().Operation(1).State == fsm.OperationRunning {
		if err := f.WaitIndex(t.Context(), f.View().Index+1); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-followed
	d, err = c.Operation(t.Context(), 1)
	if o = d.Operation; err != nil || o.State != fsm.OperationDone || o.Message != "link us-eu is deleted; the target keeps its data" || o.Finished == nil {
		t.Errorf("%+v %v", o, err)
	}
	_, err = c.Operation(t.Context(), 2)
	wants(t, "another one", err, 404, api.CodeNotFound, "there is no operation 2", "sluice operation ls")
}

// TestRunningOperationsComeFirst, then those that ended last.
func TestRunningOperationsComeFirst(t *testing.T) {
	f := apitest.New(t)
	f.Do(&fsm.FeatureRaise{Level: 2})
	f.WithLink(1)
	for _, name := range []string{"a", "b", "c"} {
		f.Do(&fsm.Objects{Links: []fsm.LinkPut{{Spec: fsm.LinkSpec{Name: name, Source: "us", Target: "eu"}}}})
		f.Do(&fsm.Objects{DeleteLinks: []string{name}})
	}
	for _, id := range []fsm.OperationID{3, 1} {
		f.Do(&fsm.OperationStep{Operation: id, From: fsm.StepStopping, To: fsm.StepStopping, State: fsm.OperationFailed, Message: "no", At: 5})
	}
	_, c := f.Serve(nil)
	l, err := c.Operations(t.Context())
	var names []string
	for _, o := range l.Items {
		names = append(names, o.Name)
	}
	if err != nil || !slices.Equal(names, []string{"b", "a", "c"}) {
		t.Errorf("%q %v", names, err)
	}
	if o := l.Items[0]; o.Started != nil || o.Since != nil {
		t.Errorf("times that nobody knows are shown: %+v", o)
	}
}

// TestWhatNotAllNodesKnowIsRefused: with words for whoever upgrades them.
func TestWhatNotAllNodesKnowIsRefused(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	_, err := f.Propose(t.Context(), &fsm.Objects{By: "n1"})
	if !errors.Is(err, api.ErrLevel) {
		t.Fatal(err)
	}
	_, c := f.Serve(func(_ *api.Config, p *api.Parts) { p.Control = tooNew{f} })
	_, err = c.Pause(t.Context(), "us-eu")
	wants(t, "a command of level 2", err, 409, api.CodeLevel, "not all nodes can do that yet: [n1 n2 n3]", "bring all nodes to one version")
}

// tooNew proposes what the cluster's level does not hold.
type tooNew struct{ *apitest.Cluster }

// Propose implements api.Control.
func (c tooNew) Propose(ctx context.Context, _ fsm.Command) (fsm.Result, error) {
	return c.Cluster.Propose(ctx, &fsm.OperationStep{State: fsm.OperationRunning})
}
