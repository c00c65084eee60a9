package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
)

// fake is a cluster of one process: real facts, and faults on demand.
type fake struct {
	t testing.TB

	mu       sync.Mutex
	state    *fsm.State
	changed  chan struct{}
	cluster  ClusterState
	members  []Member
	noLeader bool
	lost     int // so many proposals are carried out, but answered with ErrAmbiguous
	dropped  int // so many are not carried out and answered with ErrAmbiguous
	left     bool
	removed  []string
	proposed []fsm.Command
}

func newFake(t testing.TB) *fake {
	f := &fake{t: t, state: fsm.NewState(), changed: make(chan struct{})}
	f.cluster = ClusterState{NodeID: "id1", Leader: "id2", Quorum: true, Term: 3, Confirmed: time.Now()}
	f.do(&fsm.ClusterInit{ClusterID: "c1"})
	for _, n := range []string{"1", "2", "3"} {
		f.do(&fsm.NodePut{Node: fsm.Node{ID: "id" + n, Name: "n" + n, Addr: "127.0.0." + n + ":7400", Feature: 1}, At: 1000})
		f.members = append(f.members, Member{ID: "id" + n, Voter: true, Alive: true, Heard: time.Now(), Version: "v1"})
	}
	return f
}

// do applies a command that must not be refused.
func (f *fake) do(c fsm.Command) fsm.Result {
	f.t.Helper()
	r, err := f.apply(c)
	if err != nil || r.Refused != fsm.RefusedNot {
		f.t.Fatalf("%T: %+v %v", c, r, err)
	}
	return r
}

func (f *fake) apply(c fsm.Command) (fsm.Result, error) {
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

func (f *fake) View() *fsm.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.View()
}

func (f *fake) WaitIndex(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		v, changed := f.state.View(), f.changed
		f.mu.Unlock()
		if v.Index >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fake) Confirm(context.Context) (uint64, error) {
	if f.noLeader {
		return 0, ErrNoLeader
	}
	return f.View().Index, nil
}

func (f *fake) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
	f.proposed = append(f.proposed, c)
	switch {
	case f.noLeader:
		return fsm.Result{}, ErrNoLeader
	case f.dropped > 0:
		f.dropped--
		return fsm.Result{}, ErrAmbiguous
	}
	r, err := f.apply(c)
	if err == nil && f.lost > 0 {
		f.lost--
		return fsm.Result{}, ErrAmbiguous
	}
	return r, err
}

func (f *fake) State() ClusterState { return f.cluster }

func (f *fake) Members() []Member { return f.members }

func (f *fake) Leave(context.Context) error { f.left = true; return nil }

func (f *fake) Remove(_ context.Context, id string) error {
	f.removed = append(f.removed, id)
	return nil
}

// serve starts the API on loopback and gives a client for it.
func (f *fake) serve(change func(*Config, *Parts)) (*httptest.Server, *Client) {
	f.t.Helper()
	cfg := DefaultConfig()
	cfg.Timeout = 5 * time.Second
	parts := Parts{
		Control: f, Cluster: f, Version: "test", Log: slog.New(slog.DiscardHandler),
		Web: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("page")) }),
	}
	if change != nil {
		change(&cfg, &parts)
	}
	s, err := New(cfg, parts)
	if err != nil {
		f.t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	f.t.Cleanup(srv.Close)
	c, err := NewClient(ClientConfig{Addresses: []string{srv.URL}, TokenFile: cfg.TokenFile, Timeout: 10 * time.Second})
	if err != nil {
		f.t.Fatal(err)
	}
	return srv, c
}

// withLink adds two Kafka clusters, the link us-eu, and n streams owned by the
// nodes in turn.
func (f *fake) withLink(streams int) *fsm.Link {
	f.t.Helper()
	spec := fsm.LinkSpec{
		Name: "us-eu", Source: "us", Target: "eu", Include: []string{"*"}, Start: "earliest", Offsets: "auto", OnLoss: "halt",
		Copies: "skip-from-target", Writers: "ours", State: fsm.StateRunning,
	}
	f.do(&fsm.Objects{
		Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: []string{"us:1"}}, {Name: "eu", Bootstrap: []string{"eu:1"}}},
		Links: []fsm.LinkPut{{Spec: spec}}, At: 2000,
	})
	l := f.View().LinkNamed("us-eu")
	add := &fsm.StreamsAdd{Link: l.ID}
	for i := range streams {
		add.Streams = append(add.Streams, fsm.StreamKey{Topic: "orders", Partition: int32(i), TargetTopic: "orders"})
	}
	f.do(add)
	assign := &fsm.Assign{At: 3000}
	for t := range f.View().Tasks {
		assign.Items = append(assign.Items, fsm.Assignment{Task: t.ID, Turn: t.Turn, To: "id" + string('1'+rune(t.ID)%3)})
	}
	f.do(assign)
	return l
}

// report lets every owner report on its tasks at the present index.
func (f *fake) report(state fsm.Code, lag int64) {
	for i := range f.members {
		m := &f.members[i]
		m.Heard, m.Index, m.Measures = time.Now(), f.View().Index, nil
		for t := range f.View().Tasks {
			if t.Owner == m.ID {
				m.Measures = append(m.Measures, Measure{
					Task: t.ID, Turn: t.Turn, State: state, LagRecords: lag, LagMillis: 1500, BytesPerSecond: 1024, Source: 10, Target: 10,
				})
			}
		}
	}
}
