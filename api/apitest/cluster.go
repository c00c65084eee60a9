// Package apitest is a Sluice cluster of one process for tests of the API and
// of what speaks to it: real facts without Raft, and faults on demand.
package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/api"
	"sluice/fsm"
	"sluice/operation"
	"sluice/pki"
	"sluice/task"
)

// Cluster implements the interfaces of package api. Its exported fields are
// read and written by functions given to With, since requests use them too.
type Cluster struct {
	t testing.TB

	mu       sync.Mutex
	state    *fsm.State
	seen     *fsm.View // what a node that is Behind has learnt of
	changed  chan struct{}
	Status   api.ClusterState
	Nodes    []api.Member
	NoLeader bool
	// Behind: this node learns of a change only when it waits for its index.
	Behind  bool
	Lost    int // so many proposals are carried out, but answered with api.ErrAmbiguous
	Dropped int // so many are not carried out and answered with api.ErrAmbiguous
	Left    bool
	Topics  task.Topics // what owners of link tasks report
	Removed []string
	Unfit   string // why no other node can lead; empty: one can
}

// New returns a cluster of three living nodes, n1 to n3 (ServerIDs id1 to id3),
// of which n2 leads and n1 is the one that is asked.
func New(t testing.TB) *Cluster {
	f := &Cluster{t: t, state: fsm.NewState(), changed: make(chan struct{})}
	f.Status = api.ClusterState{NodeID: "id1", Leader: "id2", Quorum: true, Term: 3, Confirmed: time.Now(), Voters: 3}
	f.Do(&fsm.ClusterInit{ClusterID: "c1"})
	for _, n := range []string{"1", "2", "3"} {
		f.Do(&fsm.NodePut{Node: fsm.Node{ID: "id" + n, Name: "n" + n, Addr: "127.0.0." + n + ":7400", Feature: 1}, At: 1000})
		f.Nodes = append(f.Nodes, api.Member{ID: "id" + n, Voter: true, Alive: true, Heard: time.Now(), Version: "v1", Certificates: []pki.Held{}, Disk: &api.Disk{}, Clock: &api.Clock{Offset: 3 * time.Millisecond, Error: time.Millisecond, At: time.Now()}})
	}
	return f
}

// T is the test that the cluster belongs to.
func (f *Cluster) T() testing.TB { return f.t }

// With runs a function that uses the exported fields, while no request does.
func (f *Cluster) With(use func(*Cluster)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	use(f)
}

// Do applies a command that must not be refused.
func (f *Cluster) Do(c fsm.Command) fsm.Result {
	f.t.Helper()
	r, err := f.apply(c)
	if err != nil || r.Refused != fsm.RefusedNot {
		f.t.Fatalf("%T: %+v %v", c, r, err)
	}
	return r
}

func (f *Cluster) apply(c fsm.Command) (fsm.Result, error) {
	b, err := fsm.Encode(c)
	if err != nil {
		return fsm.Result{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.state.Apply(f.state.View().Index+1, b)
	close(f.changed)
	f.changed = make(chan struct{})
	return r, err
}

// View implements api.Control.
func (f *Cluster) View() *fsm.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view()
}

func (f *Cluster) view() *fsm.View {
	if !f.Behind || f.seen == nil {
		f.seen = f.state.View()
	}
	return f.seen
}

// WaitIndex implements api.Control.
func (f *Cluster) WaitIndex(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		if f.view().Index < index {
			f.seen = f.state.View()
		}
		reached, changed := f.seen.Index, f.changed
		f.mu.Unlock()
		if reached >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Confirm implements api.Control.
func (f *Cluster) Confirm(context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.NoLeader {
		return 0, api.ErrNoLeader
	}
	return f.state.View().Index, nil
}

// Propose implements api.Control.
func (f *Cluster) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
	if err := f.fault(); err != nil {
		return fsm.Result{}, err
	}
	if v := f.View(); fsm.LevelOf(c) > v.Feature {
		return fsm.Result{}, fmt.Errorf("%w: %v", api.ErrLevel, v.Behind(fsm.LevelOf(c)))
	}
	r, err := f.apply(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.Lost > 0 {
		f.Lost--
		return fsm.Result{}, api.ErrAmbiguous
	}
	return r, err
}

// fault is what keeps a proposal from being carried out.
func (f *Cluster) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.NoLeader:
		return api.ErrNoLeader
	case f.Dropped > 0:
		f.Dropped--
		return api.ErrAmbiguous
	}
	return nil
}

// State implements api.Cluster.
func (f *Cluster) State() api.ClusterState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Status
}

// Members implements api.Cluster. A living node that has reported does so
// every moment, however slow the machine is.
func (f *Cluster) Members() []api.Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.Nodes)
	for i := range out {
		if out[i].Alive {
			out[i].Heard = time.Now()
			if c := out[i].Clock; c != nil {
				out[i].Clock = &api.Clock{Offset: c.Offset, Error: c.Error, At: time.Now()}
			}
		}
	}
	return out
}

// Leave implements api.Cluster.
func (f *Cluster) Leave(context.Context, *fsm.Act) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Left = true
	return nil
}

// Remove implements api.Cluster.
func (f *Cluster) Remove(_ context.Context, id string, act *fsm.Act) error {
	f.With(func(f *Cluster) { f.Removed = append(f.Removed, id) })
	_, err := f.apply(&fsm.NodeRemove{ID: id, Act: act})
	return err
}

// TransferLeadership implements api.Successor.
func (f *Cluster) TransferLeadership(_ context.Context, id string, act *fsm.Act) (from, to string, err error) {
	f.mu.Lock()
	from = f.Status.Leader
	switch {
	case f.NoLeader:
		err = api.ErrNoLeader
	case f.Unfit != "" && id != from:
		err = &api.Problem{Status: http.StatusConflict, Code: api.CodeRefused, Detail: f.Unfit}
	case id == "":
		f.Status.Leader = "id1"
	default:
		f.Status.Leader = id
	}
	to = f.Status.Leader
	f.mu.Unlock()
	if err == nil && act != nil && from != to {
		f.Do(&fsm.EventsAdd{Events: []fsm.Event{{Code: fsm.CodeOperatorAct, Who: act.Who, Client: act.Client, Node: act.Node, Message: "hand leadership over", Part: -1, From: -1, To: -1, First: act.At, Last: act.At, Count: 1}}})
	}
	return from, to, err
}

// Serve starts the API on loopback and gives a client for it.
func (f *Cluster) Serve(change func(*api.Config, *api.Parts)) (*httptest.Server, *api.Client) {
	f.t.Helper()
	cfg := api.DefaultConfig()
	cfg.Timeout = 5 * time.Second
	parts := api.Parts{
		Control: f, Cluster: f, Successor: f, Version: "test", Log: slog.New(slog.DiscardHandler),
		Web: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) }),
	}
	if change != nil {
		change(&cfg, &parts)
	}
	s, err := api.New(cfg, parts)
	if err != nil {
		f.t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	f.t.Cleanup(srv.Close)
	c, err := api.NewClient(api.ClientConfig{Addresses: []string{srv.URL}, TokenFile: cfg.TokenFile, Timeout: 10 * time.Second})
	if err != nil {
		f.t.Fatal(err)
	}
	return srv, c
}

// WithLink adds two Kafka clusters, the link us-eu, and n streams owned by the
// nodes in turn.
func (f *Cluster) WithLink(streams int) *fsm.Link {
	f.t.Helper()
	spec := fsm.LinkSpec{
		Name: "us-eu", Source: "us", Target: "eu", Include: []string{"*"}, Start: "earliest", Offsets: "auto", OnLoss: "halt",
		Copies: "skip-from-target", Writers: "ours", State: fsm.StateRunning,
	}
	f.Do(&fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{"us:1"}}, {Name: "eu", Bootstrap: []string{"eu:1"}}},
		Links: []fsm.LinkPut{{Spec: spec}}, At: 2000,
	})
	l := f.View().LinkNamed("us-eu")
	add := &fsm.StreamsAdd{Link: l.ID}
	for i := range streams {
		add.Streams = append(add.Streams, fsm.StreamKey{Topic: "orders", Partition: int32(i), TargetTopic: "orders"})
	}
	f.Do(add)
	assign := &fsm.Assign{At: 3000}
	for t := range f.View().Tasks {
		assign.Items = append(assign.Items, fsm.Assignment{Task: t.ID, Turn: t.Turn, To: "id" + string('1'+rune(t.ID)%3)})
	}
	f.Do(assign)
	return l
}

// Report lets every living owner report on its tasks at the present index.
func (f *Cluster) Report(state fsm.Code, lag int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.Nodes {
		m := &f.Nodes[i]
		if !m.Alive {
			continue
		}
		m.Heard, m.Index, m.Tasks = time.Now(), f.state.View().Index, map[fsm.TaskID]task.Status{}
		for t := range f.state.View().Tasks {
			if t.Owner == m.ID {
				m.Tasks[t.ID] = f.report(t, state, lag)
			}
		}
	}
}

// report is what an owner says of a task.
func (f *Cluster) report(t *fsm.Task, state fsm.Code, lag int64) task.Status {
	if t.Kind == fsm.KindLink {
		d := f.Topics
		d.Age = new(int64(0))
		detail, err := json.Marshal(d)
		if err != nil {
			f.t.Error(err)
		}
		return task.Status{State: state, Lag: task.Lag{Records: -1, Millis: -1}, Detail: detail}
	}
	return task.Status{State: state, Rate: 1024, Lag: task.Lag{Records: lag, Millis: 1500}, Detail: []byte(`{"source":10,"target":10}`)}
}

// Follow lets living owners report now and after each change, and ends deleted
// links as a leader does, until ctx ends.
func (f *Cluster) Follow(ctx context.Context) {
	for index := uint64(0); f.WaitIndex(ctx, index+1) == nil; {
		f.Report(fsm.CodeCopying, 0)
		v := f.View()
		index = v.Index
		for _, o := range operation.Running(v, 1) {
			if o.ID == 0 {
				f.Do(&fsm.LinkPurge{Link: o.Link})
				continue
			}
			seen := operation.Seen{Now: 4000, Carried: map[string]uint64{}, Tried: &operation.Try{Step: o.Step}}
			f.With(func(f *Cluster) {
				for _, m := range f.Nodes {
					seen.Carried[m.ID] = m.Index
				}
			})
			if c := operation.Next(v, o, seen).Command; c != nil {
				f.Do(c)
			}
		}
	}
}
