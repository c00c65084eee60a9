package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/transport"
)

// settle makes sure, before Raft is opened, that a node that belongs to a
// cluster is not there twice: where it is known at another address, its peers
// and that address are asked whether it is alive there. It has moved when it is
// not; when it is, Run ends. An identity without an address is of a release
// that did not write it: then one round without a refusal is enough.
func (f *founder) settle(ctx context.Context, id Identity) (Identity, error) {
	if id.Address == f.self.Advertise {
		return id, nil
	}
	defer f.await(nil)
	var logged time.Time
	for {
		r := f.askAll(ctx, f.whomToAsk(id.Address))
		why := r.unsettled(id, f.self.Advertise, time.Since(f.began) >= f.t.settleAfter())
		if why == "" {
			if id.Address != "" {
				f.log.Info("this node has moved", "from", id.Address, "to", f.self.Advertise)
			}
			return f.settled()
		}
		f.await([]string{why})
		if time.Since(logged) >= causeLogEvery && time.Since(f.began) >= f.t.settleAfter() {
			logged = time.Now()
			f.log.Warn("this node does not take part yet", "why", why)
		}
		if err := sleep(ctx, askEvery); err != nil {
			return id, err
		}
	}
}

// whomToAsk are the peers and one more.
func (f *founder) whomToAsk(former string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	if former != "" {
		out = append(out, former)
	}
	for a := range f.peers {
		if a != former {
			out = append(out, a)
		}
	}
	return out
}

// unsettled says why it is not certain that the identity has moved here; empty:
// it is. long: nothing that was heard is of before this node began.
func (r round) unsettled(id Identity, here string, long bool) string {
	for _, err := range r.failed {
		if twin, ok := errors.AsType[*transport.TwinError](err); ok {
			return twin.Error()
		}
	}
	if id.Address == "" {
		return ""
	}
	if !long {
		return fmt.Sprintf("this node moves from %s to %s, and listens whether it is alive there", id.Address, here)
	}
	// A peer that answers would have refused, were the identity alive.
	err, alone := r.failed[id.Address], len(r.failed) == 1 && len(r.answers) == 0
	heard := slices.ContainsFunc(r.answers, func(a introduction) bool { return a.ClusterID == id.ClusterID })
	if heard || err == nil || alone || transport.IsRefused(err) || errors.Is(err, transport.ErrClusterMismatch) {
		return ""
	}
	return fmt.Sprintf("this node moves from %s to %s, and nobody can tell whether it is alive there: no other node of the cluster answers", id.Address, here)
}

// settled makes the address of this node last.
func (f *founder) settled() (Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	id.Address = f.self.Advertise
	return id, f.set(id)
}

// watchTwin ends this node when another says that its identity is alive
// elsewhere, and marks the data dir, so that it does not come back when the
// living one restarts. Where a leader confirms this node, it is the living one.
func (f *founder) watchTwin(ctx context.Context, twins <-chan *transport.TwinError, confirmed func() bool, stop func(error)) error {
	for {
		select {
		case twin := <-twins:
			if time.Since(f.began) >= f.t.settleAfter() && !confirmed() {
				stop(f.renounce(twin.Alive))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// renounce marks the identity as a copy of that of the node at an address, and
// returns what to tell.
func (f *founder) renounce(alive string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	id.CopyOf = alive
	return errors.Join(copied(f.cfg.DataDir, id.ServerID, alive), f.set(id))
}
