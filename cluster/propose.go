package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"sluice/fsm"
	"sluice/transport"
)

// ErrLevel: a node is too old to read the command; nothing was changed.
var ErrLevel = errors.New("a node is too old")

// proposeRetry is how long a proposal waits for a leader between tries.
const proposeRetry = 50 * time.Millisecond

// propose commits a command, on any node; see Node.Propose. It tries again
// while the command surely was not taken.
func (c *consensus) propose(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	data, err := fsm.Encode(cmd)
	if err == nil {
		_, err = fsm.Decode(data) // what cannot be read would stop every node
	}
	if err == nil {
		err = readable(c.facts.view.Load(), cmd)
	}
	if err != nil {
		return fsm.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.t.propose)
	defer cancel()
	for {
		result, err := c.proposeOnce(ctx, data)
		if err == nil {
			if err := c.facts.wait(ctx, result.Index); err != nil {
				return result, fmt.Errorf("%w: waiting for index %d here: %w", ErrAmbiguous, result.Index, err)
			}
			return result, nil
		}
		if errors.Is(err, ErrAmbiguous) || isRefused(err) {
			return result, err
		}
		if sleep(ctx, proposeRetry) != nil {
			return fsm.Result{}, fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
	}
}

// readable reports whether every node can read a command; ErrLevel names those
// that cannot.
func readable(v *fsm.View, cmd fsm.Command) error {
	if v.Feature >= fsm.FeatureLevel {
		return nil
	}
	level := fsm.LevelOf(cmd)
	switch behind := v.Behind(level); {
	case v.Feature >= level:
		return nil
	case len(behind) > 0:
		return fmt.Errorf("%w: feature level %d is needed, and not known to %s yet", ErrLevel, level, strings.Join(behind, ", "))
	}
	return fmt.Errorf("%w: feature level %d is needed, and the leader has not raised it from %d yet", ErrLevel, level, v.Feature)
}

// proposeOnce fails with ErrAmbiguous, or with anything else when the command
// surely was not taken.
func (c *consensus) proposeOnce(ctx context.Context, data []byte) (fsm.Result, error) {
	leader, err := c.leader()
	if err != nil {
		return fsm.Result{}, err
	}
	if leader.ServerID == c.self.ServerID {
		return c.append(ctx, data)
	}
	var result fsm.Result
	err = c.ask(ctx, leader, pathPropose, proposal{data}, &result)
	return result, classify(err)
}

// errDeposed: a leader was asked, and before it answered there was another.
var errDeposed = errors.New("another node leads now")

// deposedEvery is how often somebody who waits for a leader looks who leads.
const deposedEvery = 100 * time.Millisecond

// ask calls the leader, and gives up once this node knows of another: one that
// is stopped or cut off never answers.
func (c *consensus) ask(ctx context.Context, leader transport.Target, path string, in, out any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel(nil)
	watch.Go(func() {
		for sleep(ctx, deposedEvery) == nil {
			if now, err := c.leader(); err == nil && now.ServerID != leader.ServerID {
				cancel(errDeposed)
			}
		}
	})
	return c.calls.Call(ctx, leader, path, in, out)
}

// pathIndex asks a leader for an index that holds all that was committed before
// the question.
const pathIndex = "/index"

// confirmed returns such an index, on any node. It asks again while nobody leads
// or has proven it.
func (c *consensus) confirmed(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.t.propose)
	defer cancel()
	for {
		index, err := c.confirmedOnce(ctx)
		if err == nil {
			return index, nil
		}
		if sleep(ctx, proposeRetry) != nil {
			return 0, fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
	}
}

func (c *consensus) confirmedOnce(ctx context.Context) (index uint64, err error) {
	leader, err := c.leader()
	switch {
	case err != nil:
		return 0, err
	case leader.ServerID == c.self.ServerID:
		return c.confirm(ctx)
	}
	err = c.ask(ctx, leader, pathIndex, struct{}{}, &index)
	if remote, ok := errors.AsType[*transport.RemoteError](err); ok && remote.Status == http.StatusNotFound { // an older version
		r, err := c.propose(ctx, &fsm.Barrier{})
		return r.Index, err
	}
	return index, err
}

// handleIndex answers on the leader.
func (c *consensus) handleIndex(ctx context.Context, _ struct{}) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.t.rpc)
	defer cancel()
	index, err := c.confirm(ctx)
	return index, remoteError(err)
}

// commit appends a command of this node's own as leader, which needs no wait
// until the View here holds it.
func (c *consensus) commit(ctx context.Context, cmd fsm.Command) error {
	data, err := fsm.Encode(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.t.propose)
	defer cancel()
	_, err = c.append(ctx, data)
	return err
}

// append puts a command into the log if this node leads.
func (c *consensus) append(ctx context.Context, data []byte) (fsm.Result, error) {
	r := c.raft.Load()
	if r == nil {
		return fsm.Result{}, ErrNoLeader
	}
	return r.append(ctx, data)
}

// Codes of RemoteErrors. Anything else than notLeader and refused leaves the
// outcome open.
const (
	codeNotLeader = "not-leader" // surely nothing happened
	codeRefused   = "refused"    // by rule; nothing happened
	codeAmbiguous = "ambiguous"
)

// isRefused reports that another node declined by rule: trying again is vain.
func isRefused(err error) bool {
	var remote *transport.RemoteError
	return errors.As(err, &remote) && remote.Code == codeRefused
}

// classify turns a failed call into the errors of this package.
func classify(err error) error {
	var remote *transport.RemoteError
	switch {
	case err == nil, errors.Is(err, transport.ErrNotSent):
		return err
	case errors.As(err, &remote) && (remote.Code == codeNotLeader || remote.Code == codeRefused):
		return err
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}

// remoteError is the inverse: what a handler answers for an error.
func remoteError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrAmbiguous):
		return &transport.RemoteError{Status: http.StatusServiceUnavailable, Code: codeAmbiguous, Message: err.Error()}
	case errors.Is(err, ErrNoLeader):
		return &transport.RemoteError{Status: http.StatusServiceUnavailable, Code: codeNotLeader, Message: err.Error()}
	case errors.Is(err, ErrNameTaken):
		return &transport.RemoteError{Status: http.StatusConflict, Code: codeNameTaken, Message: err.Error()}
	}
	return &transport.RemoteError{Status: http.StatusConflict, Code: codeRefused, Message: err.Error()}
}

// proposal is a forwarded command.
type proposal struct {
	Command []byte `json:"command"`
}

// pathPropose takes a proposal.
const pathPropose = "/propose"

func (c *consensus) handlePropose(ctx context.Context, p proposal) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.t.propose)
	defer cancel()
	if _, err := fsm.Decode(p.Command); err != nil {
		return fsm.Result{}, remoteError(err)
	}
	result, err := c.append(ctx, p.Command)
	return result, remoteError(err)
}
