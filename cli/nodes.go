package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

// DefaultAddress is asked when neither --address nor SLUICE_ADDRESS is set.
const DefaultAddress = "http://127.0.0.1:8080"

// nodes are those that a verb asks, and how.
type nodes struct {
	address    string
	tokenFile  string
	caFile     string
	consistent bool
	minIndex   uint64
	timeout    time.Duration
}

// client is made when a verb needs it, so that other verbs need no node.
func (n *nodes) client() (*api.Client, error) {
	return api.NewClient(api.ClientConfig{
		Addresses: strings.Split(n.address, ","), TokenFile: n.tokenFile, CAFile: n.caFile, Consistent: n.consistent, MinIndex: n.minIndex,
	})
}

// ask asks within --timeout.
func (n *nodes) ask(ctx context.Context, do func(ctx context.Context, c *api.Client) error) error {
	c, err := n.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	return do(ctx, c)
}

// answer asks for one thing.
func answer[T any](ctx context.Context, n *nodes, question func(context.Context, *api.Client) (T, error)) (out T, err error) {
	err = n.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		out, err = question(ctx, c)
		return err
	})
	return out, err
}

// verb is what a command runs that does nothing but ask.
func (n *nodes) verb(do func(ctx context.Context, c *api.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return n.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error { return do(ctx, c, args) })
	}
}

// poll asks again and again. It ends when tell says that it has heard enough,
// or with ctx's error when ctx ends.
func poll[T any](ctx context.Context, every time.Duration, ask func(context.Context) (T, error), tell func(T, error) (enough bool, err error)) error {
	for {
		answer, err := ask(ctx)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if enough, err := tell(answer, err); enough || err != nil {
			return err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch asks for the same until ctx ends, each time within --timeout.
func watch[T any](ctx context.Context, n *nodes, every time.Duration, ask func(context.Context, *api.Client) (T, error), tell func(T, error) error) error {
	c, err := n.client()
	if err != nil {
		return err
	}
	err = poll(ctx, every, func(ctx context.Context) (T, error) {
		ctx, cancel := context.WithTimeout(ctx, n.timeout)
		defer cancel()
		return ask(ctx, c)
	}, func(answer T, err error) (bool, error) { return false, tell(answer, err) })
	if ctx.Err() != nil {
		return nil //nolint:nilerr // who watched has seen enough
	}
	return err
}

// explain words an error that is not the API's: where it happened, and what
// to do next.
func (n *nodes) explain(err error) *api.Problem {
	var p *api.Problem
	var op *net.OpError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &op) && op.Op == "dial":
		why := "cannot be reached"
		if errors.Is(err, syscall.ECONNREFUSED) {
			why = "refuses connections"
		}
		return &api.Problem{
			Code: "unreachable", Detail: fmt.Sprintf("%s %s: %v", strings.ReplaceAll(n.address, ",", ", "), why, op),
			Next: "is `sluice server` running there? name a node with --address or SLUICE_ADDRESS",
		}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Problem{
			Code: api.CodeTimeout, Detail: fmt.Sprintf("no answer from %s within %s: %v", n.address, n.timeout, err),
			Next: "ask another node with --address, or allow more with --timeout",
		}
	}
	return &api.Problem{Code: "failed", Detail: err.Error()}
}
