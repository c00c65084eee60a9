package cluster

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// hub publishes Views. Readers take no lock; waiters watch a channel, which is
// closed when a View later than those loaded after watch is published.
type hub struct {
	view atomic.Pointer[fsm.View]
	signal
}

func newHub(v *fsm.View) *hub {
	h := &hub{}
	h.view.Store(v)
	return h
}

// View returns the latest facts; they never change.
func (h *hub) View() *fsm.View { return h.view.Load() }

// wait waits until the View has reached an index.
func (h *hub) wait(ctx context.Context, index uint64) error {
	for {
		changed := h.watch()
		if h.View().Index >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for index %d: %w", index, ctx.Err())
		}
	}
}

func (h *hub) publish(v *fsm.View) {
	h.view.Store(v)
	h.fire()
}

// machine is the raft.FSM over fsm.State. Raft calls it from one goroutine.
type machine struct {
	state *fsm.State
	hub   *hub
	fail  func(error) // told once
	err   error       // set: nothing is applied any more
}

func newMachine(fail func(error)) *machine {
	state := fsm.NewState()
	return &machine{state: state, hub: newHub(state.View()), fail: fail}
}

// Apply implements raft.FSM. The answer is a fsm.Result, or the error that
// stops this node: after a command that it cannot read, its facts would no
// longer be those of the others.
func (m *machine) Apply(l *raft.Log) any {
	if m.err != nil {
		return m.err
	}
	result, err := m.state.Apply(l.Index, l.Data)
	if err != nil {
		m.err = fmt.Errorf("this node must stop: %w", err)
		m.fail(m.err)
		return m.err
	}
	m.hub.publish(m.state.View())
	return result
}

// Snapshot implements raft.FSM; it keeps a pointer.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.err != nil {
		return nil, m.err
	}
	return snapshot{m.state.View()}, nil
}

// Restore implements raft.FSM.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	state, err := fsm.ReadSnapshot(r)
	if err != nil {
		m.err = fmt.Errorf("this node must stop: %w", err)
		m.fail(m.err)
		return m.err
	}
	m.state = state
	m.hub.publish(state.View())
	return nil
}

// snapshot is the raft.FSMSnapshot of one View.
type snapshot struct{ view *fsm.View }

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := fsm.WriteSnapshot(sink, s.view); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}
