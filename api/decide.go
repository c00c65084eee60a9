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

// decide makes one change. build looks at the facts and gives the command, or
// nil when they are already as wanted; again tells that an earlier command may
// have been carried out. The facts hold all that was committed before, also by
// other nodes: what is "already so" or not there is so for everybody. build is
// called again when they changed meanwhile or the outcome is not known. The
// result's index is in the View afterwards.
func (s *Server) decide(ctx context.Context, build func(v *fsm.View, again bool) (fsm.Command, error)) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var last error
	for try := range maxDecisions {
		switch err := s.reread(ctx); {
		case err != nil && last != nil:
			return fsm.Result{}, fmt.Errorf("%w; reading again: %w", last, err)
		case err != nil:
			return fsm.Result{}, err
		}
		v := s.Control.View()
		cmd, err := build(v, try > 0)
		if err != nil {
			return fsm.Result{}, err
		}
		if cmd == nil {
			return fsm.Result{Index: v.Index}, nil
		}
		r, err := s.Control.Propose(ctx, cmd)
		switch {
		case errors.Is(err, ErrAmbiguous):
			last = err
			continue
		case err != nil:
			return fsm.Result{}, err
		case r.Refused == fsm.RefusedTurn:
			last = ofRefusal(r)
			continue
		case r.Refused != fsm.RefusedNot:
			return r, ofRefusal(r)
		}
		return r, s.Control.WaitIndex(ctx, r.Index)
	}
	return fsm.Result{}, last
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
