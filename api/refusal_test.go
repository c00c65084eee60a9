package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// wants checks the code and the status of a refusal, and words of what is to be
// read.
func wants(t *testing.T, what string, err error, status int, code string, words ...string) {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code {
		t.Errorf("%s: %+v, not %d %s", what, err, status, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q lacks %q", what, err, w)
		}
	}
}

// TestALinkThatGoesAwayTakesNoMoreOrders: deleting it twice is no fault, all
// else is.
func TestALinkThatGoesAwayTakesNoMoreOrders(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(2)
	_, c := f.Serve(nil)
	a, err := c.DeleteLink(t.Context(), "us-eu")
	if err != nil || a.State != "deleting" || !slices.Equal(a.Unconfirmed, []string{"n1", "n2", "n3"}) {
		t.Fatalf("%+v %v", a, err)
	}
	again, err := c.DeleteLink(t.Context(), "us-eu")
	if err != nil || again.State != "deleting" || again.Revision != a.Revision {
		t.Errorf("once more: %+v %v", again, err)
	}
	for what, act := range map[string]func() (*api.Ack, error){
		"pause":  func() (*api.Ack, error) { return c.Pause(t.Context(), "us-eu") },
		"resume": func() (*api.Ack, error) { return c.Resume(t.Context(), "us-eu") },
		"retry":  func() (*api.Ack, error) { return c.Order(t.Context(), "us-eu", "retry", api.StreamSelector{}) },
	} {
		_, err := act()
		wants(t, what, err, 409, api.CodeRefused, "link us-eu is being deleted", "wait until it is gone")
	}
	l, err := c.Link(t.Context(), "us-eu")
	if err != nil || l.State != "deleting" || l.Condition != fsm.CodeDeleting {
		t.Errorf("%+v %v", l, err)
	}
	f.Do(&fsm.LinkPurge{Link: l.ID})
	_, err = c.DeleteLink(t.Context(), "us-eu")
	wants(t, "when it is gone", err, 404, api.CodeNotFound, "there is no link us-eu")
}

// TestUnknownOutcomes are told as such, for every act; nothing says that it
// failed.
func TestUnknownOutcomes(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	for x := range f.View().Tasks {
		if x.Kind == fsm.KindCopy {
			f.Do(&fsm.TaskStop{Task: x.ID, Turn: x.Turn, Stop: fsm.Stop{Code: fsm.CodePositionLost, From: -1}})
		}
	}
	f.With(func(f *apitest.Cluster) { f.Dropped = 100 })
	_, c := f.Serve(nil)
	for what, act := range map[string]func() (*api.Ack, error){
		"pause":  func() (*api.Ack, error) { return c.Pause(t.Context(), "us-eu") },
		"retry":  func() (*api.Ack, error) { return c.Order(t.Context(), "us-eu", "retry", api.StreamSelector{}) },
		"delete": func() (*api.Ack, error) { return c.DeleteLink(t.Context(), "us-eu") },
	} {
		_, err := act()
		wants(t, what, err, 503, api.CodeAmbiguous, "the outcome of the change is not known", "look with `sluice ", " before asking again")
	}
}

// meddler changes the link just before each of a number of proposals.
type meddler struct {
	*apitest.Cluster
	times int
	err   error // what Propose answers instead
}

func (m *meddler) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if m.err != nil {
		return fsm.Result{}, m.err
	}
	if m.times > 0 {
		m.times--
		state := []string{fsm.StateRunning, fsm.StatePaused}[m.times%2]
		m.Do(&fsm.LinkState{Link: m.View().LinkNamed("us-eu").ID, State: state})
	}
	return m.Cluster.Propose(ctx, c)
}

// TestDecidesAgainWhenTheFactsHaveChanged, but not for ever.
func TestDecidesAgainWhenTheFactsHaveChanged(t *testing.T) {
	for times, want := range map[int]string{2: "", 100: api.CodeStale} {
		m := &meddler{Cluster: apitest.New(t), times: times}
		m.WithLink(1)
		_, c := m.Serve(func(_ *api.Config, p *api.Parts) { p.Control = m })
		a, err := c.DeleteLink(t.Context(), "us-eu")
		if want == "" && (err != nil || a.State != "deleting") {
			t.Errorf("changed %d times: %+v %v", times, a, err)
		} else if want != "" {
			wants(t, "changed each time", err, 409, want, "look again and decide again")
		}
	}
}

// TestFaultsOfTheNodeAreTold with what to do about them.
func TestFaultsOfTheNodeAreTold(t *testing.T) {
	m := &meddler{Cluster: apitest.New(t)}
	m.WithLink(1)
	_, c := m.Serve(func(_ *api.Config, p *api.Parts) { p.Control = m })
	for _, x := range []struct {
		err    error
		status int
		code   string
		says   string
	}{
		{errors.New("disk full"), 500, api.CodeInternal, "disk full; look with `sluice status`; the logs of the node that was asked and of the leader may say more"},
		{fmt.Errorf("proposing: %w", api.ErrNoLeader), 503, api.CodeNoLeader, "no quorum: the cluster has no leader: nothing can be changed now; see which nodes are alive"},
		{fmt.Errorf("%w; reading again: %w", api.ErrAmbiguous, api.ErrNoLeader), 503, api.CodeAmbiguous, "it may have been made, or may still be; look with `sluice link describe us-eu`"},
		{fmt.Errorf("proposing: %w", context.DeadlineExceeded), 504, api.CodeTimeout, "before asking again"},
	} {
		m.err = x.err
		_, err := c.Pause(t.Context(), "us-eu")
		wants(t, x.err.Error(), err, x.status, x.code, x.says)
	}
}

// deaf is a membership that cannot be changed.
type deaf struct{ *apitest.Cluster }

func (deaf) Leave(context.Context, *fsm.Act) error { return api.ErrNoLeader }
func (deaf) Remove(context.Context, string, *fsm.Act) error {
	return fmt.Errorf("removing: %w", api.ErrAmbiguous)
}

func TestMembershipRefusals(t *testing.T) {
	f := apitest.New(t)
	_, c := f.Serve(func(_ *api.Config, p *api.Parts) { p.Cluster = deaf{f} })
	_, err := c.RemoveMember(t.Context(), "n9")
	wants(t, "nobody", err, 404, api.CodeNotFound, "there is no node n9")
	_, err = c.RemoveMember(t.Context(), "n2")
	wants(t, "a living node", err, 409, api.CodeRefused, "node n2 is alive; let it leave")
	f.With(func(f *apitest.Cluster) { f.Nodes[1].Alive = false })
	_, err = c.RemoveMember(t.Context(), "id2")
	wants(t, "perhaps removed", err, 503, api.CodeAmbiguous, "removing: the outcome of the change is not known")
	_, err = c.Leave(t.Context())
	wants(t, "no leader", err, 503, api.CodeNoLeader)
}

// TestKafkaClustersInUseStay: with links that use them, and while a link that
// did so is not gone.
func TestKafkaClustersInUseStay(t *testing.T) {
	f := apitest.New(t)
	_, c := f.Serve(func(cfg *api.Config, _ *api.Parts) { cfg.Timeout = 300 * time.Millisecond })
	if _, err := c.Apply(t.Context(), request(objects)); err != nil {
		t.Fatal(err)
	}
	r := request(objects[:strings.Index(objects, "---")])
	r.Delete = true
	_, err := c.Apply(t.Context(), r)
	wants(t, "in use", err, 409, api.CodeRefused, "us-eu")
	r = request(objects)
	r.Delete = true
	_, err = c.Apply(t.Context(), r)
	wants(t, "while the link goes", err, 504, api.CodeTimeout, "link us-eu is not gone yet", "applied: delete Link us-eu; not done: delete KafkaCluster us, delete KafkaCluster eu", "wait until the link is gone", "do the same again")
	if v := f.View(); len(v.Kafka) != 2 || !v.LinkNamed("us-eu").Deleting {
		t.Errorf("%+v", v.Kafka)
	}
	f.Do(&fsm.LinkPurge{Link: f.View().LinkNamed("us-eu").ID})
	if p, err := c.Apply(t.Context(), r); err != nil || !p.Applied || len(f.View().Kafka) != 0 {
		t.Errorf("%+v %v", p, err)
	}
}

// TestSecretsAreNotShown: neither as text nor as the reference to it.
func TestSecretsAreNotShown(t *testing.T) {
	f := apitest.New(t)
	f.Do(&fsm.Objects{Kafka: []fsm.KafkaCluster{{
		Name: "us", Bootstrap: []string{"us:1"}, TLS: &fsm.TLS{Key: "${file:/key}"}, SASL: &fsm.SASL{Mechanism: "PLAIN", Username: "sluice", Password: "${env:HUSH}"},
	}}})
	_, c := f.Serve(nil)
	l, err := c.KafkaClusters(t.Context())
	if err != nil || !l.Items[0].TLS || l.Items[0].SASL != "PLAIN" {
		t.Fatalf("%+v %v", l, err)
	}
	if b, _ := json.Marshal(l); strings.Contains(string(b), "HUSH") || strings.Contains(string(b), "/key") {
		t.Errorf("%s", b)
	}
}

// jobs is a Verifier with one comparison, v1.
type jobs struct{ cancelled bool }

func (j *jobs) Start(_ context.Context, r api.VerifyRequest) (api.VerifyJob, error) {
	return api.VerifyJob{ID: "v1", Link: r.Link, State: "running"}, nil
}

func (j *jobs) Get(id string) (api.VerifyJob, error) {
	if id != "v1" {
		return api.VerifyJob{}, fmt.Errorf("verify job %s: %w", id, api.ErrNoVerify)
	}
	return api.VerifyJob{ID: id, State: map[bool]string{false: "running", true: "cancelled"}[j.cancelled]}, nil
}

func (j *jobs) List() []api.VerifyJob { x, _ := j.Get("v1"); return []api.VerifyJob{x} }

func (j *jobs) Cancel(id string) error {
	_, err := j.Get(id)
	j.cancelled = j.cancelled || err == nil
	return err
}

func TestVerifyJobs(t *testing.T) {
	f := apitest.New(t)
	f.WithLink(1)
	_, c := f.Serve(func(_ *api.Config, p *api.Parts) { p.Verify = &jobs{} })
	_, err := c.StartVerify(t.Context(), api.VerifyRequest{Link: "nope"})
	wants(t, "no such link", err, 404, api.CodeNotFound, "there is no link nope")
	if v, err := c.StartVerify(t.Context(), api.VerifyRequest{Link: "us-eu"}); err != nil || v.Job.Link != "us-eu" || v.Job.Faults == nil || v.Job.Topics == nil {
		t.Errorf("%+v %v", v, err)
	}
	_, err = c.Verify(t.Context(), "v7")
	wants(t, "no such job", err, 404, api.CodeNotFound, "jobs live in the memory of the node that was asked")
	_, err = c.CancelVerify(t.Context(), "v7")
	wants(t, "cancelling no job", err, 404, api.CodeNotFound)
	if v, err := c.CancelVerify(t.Context(), "v1"); err != nil || v.Job.State != "cancelled" {
		t.Errorf("%+v %v", v, err)
	}
	if l, err := c.VerifyJobs(t.Context()); err != nil || len(l.Items) != 1 || l.Items[0].State != "cancelled" {
		t.Errorf("%+v %v", l, err)
	}
	_, bare := f.Serve(nil)
	if l, err := bare.VerifyJobs(t.Context()); err != nil || l.Items == nil || len(l.Items) != 0 {
		t.Errorf("%+v %v", l, err)
	}
	_, err = bare.StartVerify(t.Context(), api.VerifyRequest{Link: "us-eu"})
	wants(t, "a node that cannot", err, 501, api.CodeUnavailable, "ask another node")
}
