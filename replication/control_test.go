package replication

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"sluice/fsm"
	"sluice/kafka"
)

// facts is a control plane of one process: an fsm.State behind a lock.
type facts struct {
	mu     sync.Mutex
	state  *fsm.State
	index  uint64
	events []fsm.Event
	// faults
	askErr   error         // what ConfirmOwner answers when nobody can be asked
	leaseAge time.Duration // what LeaseAge answers
	before   func(c fsm.Command) error
}

func newFacts(t *testing.T, nodes ...string) *facts {
	f := &facts{state: fsm.NewState()}
	for _, n := range nodes {
		f.do(t, &fsm.NodePut{Node: fsm.Node{ID: n, Name: n}})
	}
	return f
}

func (f *facts) do(t *testing.T, c fsm.Command) fsm.Result {
	t.Helper()
	r, err := f.Propose(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *facts) View() *fsm.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.View()
}

func (f *facts) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
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

func (f *facts) ConfirmOwner(_ context.Context, id fsm.TaskID, turn uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.askErr != nil {
		return f.askErr
	}
	if t := f.state.View().Task(id); t == nil || t.Turn != turn {
		return ErrNotOwner
	}
	return nil
}

func (f *facts) LeaseAge() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leaseAge
}

func (f *facts) Record(ev fsm.Event) {
	_, _ = f.Propose(context.Background(), &fsm.EventsAdd{Events: []fsm.Event{ev}})
}

var errCutOff = errors.New("no leader can be asked")

// testRunner is a Runner of one node on the facts.
func testRunner(t *testing.T, f *facts, node string, tweak func(*Config)) *Runner {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Node, cfg.Name = node, node
	cfg.Lease, cfg.Lifetime = 300*time.Millisecond, 500*time.Millisecond
	if tweak != nil {
		tweak(&cfg)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if !testing.Verbose() {
		log = slog.New(slog.DiscardHandler)
	}
	budget := NewBudget(cfg.Memory)
	kc := kafka.DefaultConfig()
	kc.ClientID, kc.Buffers = node, kafka.NewBuffers(budget, 32<<20)
	pool, err := kafka.NewPool(kc, log)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRunner(cfg, pool, budget, f, log.With("node", node))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); pool.Close() })
	return r
}

// until polls a condition for at most d.
func until(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", d, what)
		}
		<-tick.C
	}
}
