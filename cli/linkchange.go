package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/words"
)

// linkChange is what a verb does to a link: looks at it first, asks where the
// verb is dangerous, acts, and waits until the owners have confirmed.
type linkChange struct {
	what   string                       // for a person: what will be done to the link
	ask    string                       // for the question; empty: the verb is harmless
	warn   func(*api.LinkDetail) string // what is said before; nil, empty: nothing
	dryRun bool
	wait   bool
	do     func(ctx context.Context, c *api.Client, link string) (*api.Ack, error)
	done   string // for a person, when it is
	// follow waits until the change is carried out, and says how it ended; nil:
	// the owners are waited for, or nobody.
	follow func(ctx context.Context, c *api.Client, ack *api.Ack) (string, error)
}

// cmd is a verb that is nothing but this change.
func (ch *linkChange) cmd(a *app, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: ch.what + " LINK", Short: short, Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error { return ch.run(cmd.Context(), a, args[0]) },
	}
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

func (ch *linkChange) run(ctx context.Context, a *app, link string) error {
	if err := a.std.noTable(); err != nil {
		return err
	}
	l, err := answer(ctx, &a.nodes, func(ctx context.Context, c *api.Client) (*api.LinkDetail, error) { return c.Link(ctx, link) })
	if err != nil {
		return err
	}
	if ch.warn != nil {
		if text := ch.warn(l); text != "" {
			a.std.note("%s", text)
		}
	}
	of := fmt.Sprintf("%s link %s (%s -> %s, %s", ch.what, link, l.Source, l.Target, words.Count(l.Totals.Streams, "stream"))
	if ch.dryRun {
		a.std.note("would %s, now %s); nothing was changed", of, l.State)
		return nil
	}
	if ch.ask != "" {
		if err := a.std.confirm("This will %s). %s", of, ch.ask); err != nil {
			return err
		}
	}
	return a.nodes.ask(ctx, func(ctx context.Context, c *api.Client) error {
		ack, err := ch.do(ctx, c, link)
		if err != nil {
			return err
		}
		var said string // how it ended
		switch {
		case ch.follow != nil:
			said, err = ch.follow(ctx, c, ack)
			ack.Unconfirmed = []string{}
		case !ch.wait:
			ack.Unconfirmed = []string{} // nobody has to stop
		case ack.Operation != nil:
			if said, err = attend(ctx, a, c, *ack.Operation); err == nil {
				ack.State, ack.Unconfirmed = "deleted", []string{}
			}
		default:
			err = confirmed(ctx, a, c, ack)
		}
		if err != nil && ch.follow != nil {
			return err
		}
		if written := a.std.say(ack, "%s", cmp.Or(said, ackText(ack, ch.done))); written != nil {
			return written
		}
		return err
	})
}

func ackText(ack *api.Ack, done string) string {
	switch {
	case len(ack.Unconfirmed) > 0:
		return unconfirmed(ack.Name, ack.State, ack.Unconfirmed)
	case ack.State == "deleting":
		return fmt.Sprintf("link %s is %s", ack.Name, being(ack.State))
	}
	return fmt.Sprintf("link %s %s", ack.Name, done)
}

// confirmed waits until every owner has reported that it carried the change
// out, and a link that is deleted is gone. ack then says what holds; when the
// time is up before, that is a bad answer.
func confirmed(ctx context.Context, a *app, c *api.Client, ack *api.Ack) error {
	p := a.std.progress()
	defer p.end()
	waits := func() bool {
		if len(ack.Unconfirmed) == 0 && ack.State != "deleting" {
			return false
		}
		p.say("link %s is %s; waiting for %s", ack.Name, being(ack.State), cmp.Or(strings.Join(ack.Unconfirmed, ", "), "the leader"))
		return true
	}
	if !waits() {
		return nil
	}
	err := poll(ctx, 200*time.Millisecond, func(ctx context.Context) (*api.LinkDetail, error) { return c.Link(ctx, ack.Name) }, func(l *api.LinkDetail, err error) (bool, error) {
		var prob *api.Problem
		switch {
		case errors.As(err, &prob) && prob.Code == api.CodeNotFound:
			ack.State, ack.Unconfirmed = "deleted", []string{}
		case err == nil && l.State != "deleting" && ack.State == "deleting":
			ack.State, ack.Unconfirmed = "deleted", []string{} // another of that name is there
		case err == nil:
			ack.Meta, ack.Unconfirmed = l.Meta, l.Unconfirmed
			ack.Meta.Kind = "LinkState"
		}
		return !waits(), nil
	})
	if err != nil {
		return &badAnswer{fmt.Sprintf("not confirmed yet; see `sluice link describe %s`", ack.Name)}
	}
	return nil
}
