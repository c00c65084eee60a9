// Package rig runs replication without a cluster: the facts of a control plane
// in one process, streams of one or more nodes on them, and a link between two
// Kafka clusters, embedded or real.
package rig

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/replication/filter"
	"sluice/replication/stream"
	"sluice/replication/wire"
	"sluice/task"
	"sluice/test/wait"
)

// Facts is a control plane of one process: an fsm.State behind a lock.
type Facts struct {
	// Dial opens the connections of Runners; nil: as usual.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	state  *fsm.State
	index  uint64
	before func(fsm.Command) error
	draws  map[string]task.Draws
}

// ErrCutOff is what a node that is cut off from every leader hears.
var ErrCutOff = errors.New("no leader can be asked")

// NewFacts makes the facts of a cluster with these nodes.
func NewFacts(t testing.TB, nodes ...string) *Facts {
	f := &Facts{state: fsm.NewState(), draws: map[string]task.Draws{}}
	for _, n := range nodes {
		f.Do(t, &fsm.NodePut{Node: fsm.Node{ID: n, Name: n}})
	}
	return f
}

// Before is asked about every command before it is applied; an error keeps it
// out, as a lost connection to the leader would.
func (f *Facts) Before(ask func(fsm.Command) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = ask
}

// Do applies a command that must not be refused.
func (f *Facts) Do(t testing.TB, c fsm.Command) fsm.Result {
	t.Helper()
	r, err := f.Propose(context.Background(), c)
	if err != nil || r.Refused != "" {
		t.Fatalf("%T: %+v %v", c, r, err)
	}
	return r
}

// Succeed begins anew with facts of before, as a Sluice cluster that goes on for
// one which is lost; nodes that are cut off go on as that one.
func (f *Facts) Succeed(t testing.TB, before *fsm.View) {
	t.Helper()
	var saved bytes.Buffer
	if err := fsm.WriteSnapshot(&saved, before); err != nil {
		t.Fatal(err)
	}
	state, err := fsm.ReadSnapshot(&saved)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.state = state.Successor("next", 1)
	f.mu.Unlock()
	for _, n := range before.Nodes {
		f.Do(t, &fsm.NodePut{Node: n})
	}
}

// View returns the facts as they are.
func (f *Facts) View() *fsm.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.View()
}

// Propose applies a command.
func (f *Facts) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
	b, err := fsm.Encode(c)
	if err != nil {
		return fsm.Result{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if err := f.before(c); err != nil {
			return fsm.Result{}, err
		}
	}
	f.index++
	return f.state.Apply(f.index, b)
}

// Node is the facts as one node sees them; it can be cut off. It implements
// task.Control.
type Node struct {
	*Facts
	mu    sync.Mutex
	cut   bool
	since time.Time
	old   *fsm.View
	id    string
	items map[fsm.TaskID]fsm.ProgressItem
}

// Progress keeps a checkpoint until Checkpoint commits it.
func (n *Node) Progress(it fsm.ProgressItem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	it.Segments = append(n.items[it.Task].Segments, it.Segments...)
	n.items[it.Task] = it
}

// Checkpoint commits what the runner's streams have to report now.
func (n *Node) Checkpoint(t testing.TB, r *stream.Runner) {
	t.Helper()
	r.Report()
	n.mu.Lock()
	b := &fsm.ProgressBatch{Node: n.id, At: time.Now().UnixMilli()}
	for _, it := range n.items {
		b.Items = append(b.Items, it)
	}
	clear(n.items)
	n.mu.Unlock()
	n.Do(t, b)
}

// Cut cuts the node off from every leader, or joins it again.
func (n *Node) Cut(cut bool) {
	v := n.Facts.View()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut, n.since, n.old = cut, time.Now(), v
}

func (n *Node) isCut() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut
}

// View returns what the node last heard.
func (n *Node) View() *fsm.View {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return n.old
	}
	return n.Facts.View()
}

// Propose applies a command unless the node is cut off.
func (n *Node) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if n.isCut() {
		return fsm.Result{}, ErrCutOff
	}
	return n.Facts.Propose(ctx, c)
}

// ConfirmOwner asks the facts.
func (n *Node) ConfirmOwner(_ context.Context, id fsm.TaskID, turn uint64) error {
	if n.isCut() {
		return ErrCutOff
	}
	if t := n.Facts.View().Task(id); t == nil || t.Turn != turn {
		return task.ErrNotOwner
	}
	return nil
}

// Lease is how long ago the node was not cut off.
func (n *Node) Lease(id fsm.TaskID, turn uint64) (time.Duration, bool) {
	t := n.View().Task(id)
	n.mu.Lock()
	defer n.mu.Unlock()
	age := time.Duration(0)
	if n.cut {
		age = time.Since(n.since)
	}
	return age, t != nil && t.Turn == turn && t.Owner == n.id
}

// Record commits an event, or forgets it when the node is cut off.
func (n *Node) Record(ev fsm.Event) {
	_, _ = n.Propose(context.Background(), &fsm.EventsAdd{Events: []fsm.Event{ev}})
}

// Drew implements stream.Draws: the others know at once.
func (n *Node) Drew(d task.Draws) {
	n.Facts.mu.Lock()
	defer n.Facts.mu.Unlock()
	n.draws[n.id] = d
}

// DrawsOf implements stream.Draws.
func (n *Node) DrawsOf(link fsm.LinkID) map[string]task.Draw {
	n.Facts.mu.Lock()
	defer n.Facts.mu.Unlock()
	out := map[string]task.Draw{}
	for id, draws := range n.draws {
		if d, ok := draws[link]; ok {
			out[id] = d
		}
	}
	return out
}

// Secret is what links' filters hash with.
const Secret = "a secret of the rig"

// Filter compiles the filter of a link.
func Filter(spec *fsm.Filter) (*filter.Filter, error) { return filter.Compile(spec, Secret) }

// Runner runs one node's streams on the facts. Lease and lifetime are short,
// so that tests of unguarded streams are.
func (f *Facts) Runner(t testing.TB, node string, tweak func(*stream.Config)) (*stream.Runner, *Node) {
	t.Helper()
	cfg := stream.DefaultConfig()
	cfg.Node, cfg.Name, cfg.Filter = node, node, Filter
	cfg.Lease, cfg.Lifetime, cfg.Timeout = 300*time.Millisecond, 500*time.Millisecond, 2*time.Second
	if tweak != nil {
		tweak(&cfg)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if !testing.Verbose() {
		log = slog.New(slog.DiscardHandler)
	}
	budget := wire.NewBudget(cfg.Memory)
	kc := kafka.DefaultConfig()
	kc.ClientID, kc.Buffers, kc.DialContext = node, kafka.NewBuffers(32<<20), f.Dial
	kc.Secrets.Folders = []string{os.TempDir()}
	pool, err := kafka.NewPool(kc, log)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Facts: f, id: node, items: map[fsm.TaskID]fsm.ProgressItem{}}
	lookups := catalog.DefaultConfig()
	lookups.LookupEvery = cfg.LookupEvery
	clusters := catalog.New(lookups, pool, n.View, log)
	r, err := stream.NewRunner(cfg, clusters, budget, n, n, log.With("node", node))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); clusters.Close(); pool.Close() })
	return r, n
}

// Until polls a condition that a quiet machine meets within d. A busy one may
// take several times as long, and only what hangs takes two minutes and more.
func Until(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	wait.For(t, pollEvery, max(4*d, wait.Patience), what, func() error {
		if ok() {
			return nil
		}
		return errors.New("not yet")
	})
}

// Wait polls until f returns nil. What f's error says is the progress: Wait
// fails when it has said nothing new for long.
func Wait(t testing.TB, what string, f func() error) {
	t.Helper()
	wait.For(t, pollEvery, wait.Patience, what, f)
}

const pollEvery = 10 * time.Millisecond
