package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sluice/fsm"
)

// maxDecisions bounds how often a change is decided again.
const maxDecisions = 5

// decide makes one change, once. build looks at the facts and gives the command,
// or nil when they are already as wanted; again tells that an earlier command may
// have been carried out. The facts hold all that was committed before, also by
// other nodes: what is "already so" or not there is so for everybody. build is
// called again when they changed meanwhile or the outcome is not known. The
// result's index is in the View afterwards.
//
// A command whose outcome is not known is proposed again as it was, never
// another one: what it expects of the link holds for one of the two only, so
// that the change is not made twice, nor over one that somebody made in between.
// From then on no error says that nothing was changed.
func (s *Server) decide(ctx context.Context, build func(v *fsm.View, again bool) (fsm.Command, error)) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var d doubt
	var last error
	for range maxDecisions {
		if err := s.reread(ctx); err != nil {
			return fsm.Result{}, d.or(err)
		}
		v := s.Control.View()
		cmd, err := build(v, d.cmd != nil)
		switch {
		case err != nil || d.over && cmd != nil:
			return fsm.Result{}, d.or(err)
		case cmd == nil:
			return fsm.Result{Index: v.Index}, nil
		case d.cmd != nil:
			cmd = d.cmd
		}
		r, err := s.Control.Propose(ctx, cmd)
		switch {
		case errors.Is(err, ErrAmbiguous):
			d.cmd, d.err = cmd, err
		case err != nil:
			return fsm.Result{}, d.or(err)
		case r.Refused == fsm.RefusedNot:
			return r, s.Control.WaitIndex(ctx, r.Index)
		case d.cmd != nil: // it was carried out before, or something else was
			d.over = true
		case r.Refused == fsm.RefusedTurn:
			last = ofRefusal(r)
		default:
			return r, ofRefusal(r)
		}
	}
	return fsm.Result{}, d.or(last)
}

// doubt is about a command that was perhaps carried out.
type doubt struct {
	cmd  fsm.Command // nil: there is none
	err  error       // why it is not known
	over bool        // it was carried out, or never will be
}

// or words an error that was met: as long as there is a doubt, it is ambiguous.
func (d *doubt) or(err error) error {
	switch {
	case d.cmd == nil:
		return err
	case err == nil:
		return d.err
	}
	return fmt.Errorf("%w; then: %v", d.err, err) //nolint:errorlint // what stands against the change now says nothing of what became of it
}

// reread waits until the View holds all that was committed before.
func (s *Server) reread(ctx context.Context) error {
	index, err := s.Control.Confirm(ctx)
	if err != nil {
		return err
	}
	return s.Control.WaitIndex(ctx, index)
}

// linkNamed finds a link that is not being deleted.
func linkNamed(v *fsm.View, name string) (*fsm.Link, error) {
	l := v.LinkNamed(name)
	switch {
	case l == nil:
		return nil, notFound("link", name)
	case l.Deleting:
		return nil, problem(http.StatusConflict, CodeRefused, "wait until it is gone", "link %s is being deleted", name)
	}
	return l, nil
}
