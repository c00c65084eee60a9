package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/raft"

	"sluice/fsm"
	"sluice/transport"
)

// Errors of proposing and asking.
var (
	// ErrNoLeader: nothing was changed, and nothing can be now.
	ErrNoLeader = errors.New("no leader")
	// ErrAmbiguous: the change may have been made or may yet be made; read
	// again, then decide again.
	ErrAmbiguous = errors.New("outcome unknown")
)

// proposeRetry is how long a proposal waits for a leader between tries.
const proposeRetry = 50 * time.Millisecond

// Propose commits a command and returns what the FSM answered, on any node. It
// tries again while the command surely was not taken, for at most the
// profile's propose time; errors are ErrNoLeader and ErrAmbiguous, wrapped, or
// that this node or the leader cannot read the command. A refusal by the FSM
// is not an error: it stands in the result. When it returns without an error
// this node's View holds the result: who decides again sees what it did.
func (n *Node) Propose(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	data, err := fsm.Encode(cmd)
	if err == nil {
		_, err = fsm.Decode(data) // what cannot be read would stop every node
	}
	if err != nil {
		return fsm.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, n.t.propose)
	defer cancel()
	for {
		result, err := n.proposeOnce(ctx, data)
		if err == nil {
			if err := n.WaitIndex(ctx, result.Index); err != nil {
				return result, fmt.Errorf("%w: waiting for index %d here: %w", ErrAmbiguous, result.Index, err)
			}
			return result, nil
		}
		if errors.Is(err, ErrAmbiguous) || isRefused(err) {
			return result, err
		}
		select {
		case <-time.After(proposeRetry):
		case <-ctx.Done():
			return fsm.Result{}, fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
	}
}

// proposeOnce fails with ErrAmbiguous, or with anything else when the command
// surely was not taken.
func (n *Node) proposeOnce(ctx context.Context, data []byte) (fsm.Result, error) {
	leader, err := n.leader()
	if err != nil {
		return fsm.Result{}, err
	}
	if leader.ServerID == n.self.ServerID {
		return n.commit(ctx, data)
	}
	var result fsm.Result
	err = n.clients.calls.Call(ctx, leader, pathPropose, proposal{data}, &result)
	return result, classify(err)
}

// leader returns where the leader is, if this node knows one.
func (n *Node) leader() (transport.Target, error) {
	c := n.raft.Load()
	if c == nil {
		return transport.Target{}, ErrNoLeader
	}
	_, id := c.LeaderWithID()
	if id == "" {
		return transport.Target{}, ErrNoLeader
	}
	return n.targetOf(string(id))
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
	}
	return &transport.RemoteError{Status: http.StatusConflict, Code: codeRefused, Message: err.Error()}
}

// commit appends a command to the log of this node, the leader.
func (n *Node) commit(ctx context.Context, data []byte) (fsm.Result, error) {
	c := n.raft.Load()
	if c == nil {
		return fsm.Result{}, ErrNoLeader
	}
	var f raft.ApplyFuture
	err := c.ask(func() raft.Future { f = c.Apply(data, n.t.rpc); return f }).wait(ctx)
	if err != nil {
		return fsm.Result{}, commitError(err)
	}
	switch answer := f.Response().(type) {
	case fsm.Result:
		return answer, nil
	case error:
		return fsm.Result{}, fmt.Errorf("%w: %w", ErrAmbiguous, answer)
	default:
		return fsm.Result{}, fmt.Errorf("%w: the FSM answered %T", ErrAmbiguous, answer)
	}
}

// commitError says whether a failed append may still take place.
func commitError(err error) error {
	switch {
	case errors.Is(err, ErrNoLeader), errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}

// proposal is a forwarded command.
type proposal struct {
	Command []byte `json:"command"`
}

func (n *Node) handlePropose(ctx context.Context, p proposal) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, n.t.propose)
	defer cancel()
	if _, err := fsm.Decode(p.Command); err != nil {
		return fsm.Result{}, remoteError(err)
	}
	result, err := n.commit(ctx, p.Command)
	return result, remoteError(err)
}
