package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"sluice/api"
)

// Exit codes, a contract with scripts.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
	exitBad    = 10 // asked, and the answer is bad
)

// usageError is a mistake in the command line itself.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// badAnswer is no failure: the question was answered, and the answer is bad.
// What there is to say has been written already.
type badAnswer struct{ why string }

func (e *badAnswer) Error() string { return e.why }

// finish reports an error on stderr and gives the exit code.
func (a *app) finish(err error) int {
	var usage *usageError
	var bad *badAnswer
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &bad):
		if bad.why != "" {
			a.note("%s", bad.why)
		}
		return exitBad
	case !a.started || errors.As(err, &usage):
		a.complain(&api.Problem{Code: "usage", Detail: err.Error(), Next: "see `sluice --help`"})
		return exitUsage
	}
	a.complain(a.explain(err))
	return exitFailed
}

// complain writes what went wrong: a person's words, or with -o json the
// object that a script reads.
func (a *app) complain(p *api.Problem) {
	if a.flags.output == "json" {
		if p.Type == "" {
			p.Type, p.Title = "about:blank", "Error"
		}
		enc := json.NewEncoder(a.env.Stderr)
		enc.SetIndent("", "  ")
		_ = enc.Encode(p) // nobody is left to tell
		return
	}
	fmt.Fprintf(a.env.Stderr, "%s %s\n", a.paintSide(red, "error:"), p.Detail)
	if p.Next != "" {
		fmt.Fprintf(a.env.Stderr, "       %s\n", p.Next)
	}
}

// explain words an error that is not the API's: where it happened, and what
// to do next.
func (a *app) explain(err error) *api.Problem {
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
			Code: "unreachable", Detail: fmt.Sprintf("%s %s: %v", strings.ReplaceAll(a.address(), ",", ", "), why, op),
			Next: "is `sluice server` running there? name a node with --address or SLUICE_ADDRESS",
		}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Problem{
			Code: api.CodeTimeout, Detail: fmt.Sprintf("no answer from %s within %s: %v", a.address(), a.flags.timeout, err),
			Next: "ask another node with --address, or allow more with --timeout",
		}
	}
	return &api.Problem{Code: "failed", Detail: err.Error()}
}

// BadAnswer is the error of a question that was answered badly; the process
// ends with code 10.
func BadAnswer(why string) error { return &badAnswer{why} }
