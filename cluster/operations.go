package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/fsm"
	"sluice/operation"
)

// operationsEvery is how often a leader looks what operations wait for.
const operationsEvery = time.Second

// Act carries out what a step of an operation does outside of the facts. It may
// be called again after it succeeded, and beside one that a former leader has
// not given up yet. It ends with its context; an error that wraps ErrVain says
// that it is not worth another try.
type Act func(ctx context.Context, v *fsm.View, o *fsm.Operation) error

// ActOf names the act of one step of a kind of operation.
type ActOf struct {
	Kind fsm.OperationKind
	Step fsm.Step
}

// ErrVain: an act cannot succeed however often it is tried.
var ErrVain = errors.New("vain")

// Operations takes the cluster's operations on while its node leads: package
// operation decides, the acts are done one at a time for each operation and
// side by side for several. Its loop owns a goroutine per act and waits for
// them; when the node leads no more, acts are cut short and what was tried is
// forgotten.
type Operations struct {
	node *Node
	acts map[ActOf]Act
	log  *slog.Logger
	wake trigger // an act is done

	mu    sync.Mutex
	known map[subject]*known
}

// subject tells operations apart; those that the facts do not hold have no id.
type subject struct {
	id   fsm.OperationID
	kind fsm.OperationKind
	link fsm.LinkID
}

// known is what this leader remembers of an operation.
type known struct {
	made   *fsm.Operation // one that the facts do not hold, as it stands
	tried  *operation.Try
	cancel context.CancelFunc // of the act that is under way, nil: none
}

// NewOperations makes the driver; it starts nothing.
func NewOperations(node *Node, acts map[ActOf]Act, log *slog.Logger) *Operations {
	return &Operations{node: node, acts: acts, log: log, wake: newTrigger(), known: map[subject]*known{}}
}

// Run drives operations until ctx ends.
func (r *Operations) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(operationsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.wake:
		case <-ctx.Done():
			return group.Wait()
		}
		var running []*fsm.Operation
		if r.node.consensus.leading.Load() != nil && r.node.Quorum() {
			running = operation.Running(r.node.View(), r.node.nowMillis())
		}
		r.round(ctx, group, running)
	}
}

// round takes each operation that is this node's to drive as far as it goes
// now, and forgets the others.
func (r *Operations) round(ctx context.Context, group *errgroup.Group, running []*fsm.Operation) {
	going := map[subject]bool{}
	for _, o := range running {
		going[subjectOf(o)] = true
	}
	r.forget(func(s subject) bool { return going[s] })
	if len(going) == 0 {
		return
	}
	carried := map[string]uint64{}
	for _, m := range r.node.Members() {
		carried[m.ServerID] = m.Reconciled
	}
	for s := range going { // in any order: they do not touch each other
		for r.step(ctx, group, s, carried) {
		}
	}
}

func subjectOf(o *fsm.Operation) subject { return subject{o.ID, o.Kind, o.Link} }

// forget drops what is remembered of operations, except of those to be kept.
func (r *Operations) forget(keep func(subject) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, k := range r.known { // in any order
		if keep(s) {
			continue
		}
		if k.cancel != nil {
			k.cancel()
		}
		delete(r.known, s)
	}
}

// find looks an operation up as it stands now; idle: none of its acts is under
// way.
func (r *Operations) find(v *fsm.View, s subject) (o *fsm.Operation, tried *operation.Try, idle bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.known[s]
	if k == nil {
		k = &known{}
		r.known[s] = k
	}
	for _, x := range operation.Running(v, r.node.nowMillis()) {
		if subjectOf(x) == s {
			o = x
		}
	}
	if o != nil && o.ID == 0 {
		if k.made == nil {
			k.made = o
		}
		o = k.made
	}
	return o, k.tried, k.cancel == nil
}

// step does one thing about an operation; more: there may be another to do.
func (r *Operations) step(ctx context.Context, group *errgroup.Group, s subject, carried map[string]uint64) (more bool) {
	v := r.node.View()
	o, tried, idle := r.find(v, s)
	if o == nil || !idle {
		return false
	}
	a := operation.Next(v, o, operation.Seen{Node: r.node.self.Name, Now: r.node.nowMillis(), Carried: carried, Tried: tried})
	switch c := a.Command.(type) {
	case nil:
		if a.Act {
			r.begin(ctx, group, v, o)
		}
		return false
	case *fsm.OperationStep:
		if o.ID == 0 {
			r.take(s, o.After(c))
			if c.Event != nil {
				r.node.Record(*c.Event)
			}
			r.told(o, c)
			return c.State == fsm.OperationRunning
		}
	}
	result, err := r.node.Propose(ctx, a.Command)
	if ctx.Err() != nil {
		return false
	}
	switch {
	case err != nil:
		r.log.Warn("an operation cannot be taken on; it is tried again", "id", o.ID, "name", o.Name, "error", err)
		return false
	case result.Refused != fsm.RefusedNot:
		r.log.Debug("taking an operation on", "id", o.ID, "name", o.Name, "refused", result.Message)
		return false
	}
	if c, ok := a.Command.(*fsm.OperationStep); ok {
		r.told(o, c)
	}
	return true
}

// told logs a step that was taken.
func (r *Operations) told(o *fsm.Operation, c *fsm.OperationStep) {
	r.log.Info("operation", "id", o.ID, "kind", o.Kind, "name", o.Name, "step", c.To, "state", c.State, "message", c.Message)
}

// take remembers how far an operation is that the facts do not hold.
func (r *Operations) take(s subject, o *fsm.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[s]; k != nil {
		k.made = o
	}
}

// begin carries out the act of an operation's step in the background.
func (r *Operations) begin(ctx context.Context, group *errgroup.Group, v *fsm.View, o *fsm.Operation) {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	k := r.known[subjectOf(o)]
	k.cancel = cancel
	r.mu.Unlock()
	group.Go(func() error {
		defer cancel()
		try := &operation.Try{Step: o.Step}
		if err := r.act(ctx, v, o); err != nil {
			try.Err, try.Final = err.Error(), errors.Is(err, ErrVain)
		}
		r.mu.Lock()
		k.tried, k.cancel = try, nil
		r.mu.Unlock()
		if try.Err == "" || try.Final { // else it is tried again with the next look
			r.wake.fire()
		}
		return nil
	})
}

func (r *Operations) act(ctx context.Context, v *fsm.View, o *fsm.Operation) error {
	act := r.acts[ActOf{o.Kind, o.Step}]
	if act == nil {
		return fmt.Errorf("the leader, node %s, runs a version of sluice that does not know the step %q: upgrade it", r.node.self.Name, o.Step)
	}
	return act(ctx, v, o)
}
