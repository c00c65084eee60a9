package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

func (a *app) linkCmd() *cobra.Command {
	link := &cobra.Command{Use: "link", Short: "Links: what is copied from where to where"}
	link.AddCommand(
		&cobra.Command{
			Use: "ls", Short: "List links, worst first", Args: noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.withClient(cmd.Context(), func(ctx context.Context, c *api.Client) error { return a.get(ctx, c, "Link", "") })
			},
		},
		a.describeCmd(), a.pauseCmd(), a.resumeCmd(), a.retryCmd(), a.resolveCmd(), a.deleteLinkCmd(), a.verifyCmd(),
	)
	return link
}

func (a *app) describeCmd() *cobra.Command {
	events := 10
	cmd := &cobra.Command{
		Use: "describe LINK", Short: "Show all of one link: its settings, its streams worst first, its events", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withClient(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				l, err := c.Link(ctx, args[0])
				if err != nil {
					return err
				}
				l.Events = l.Events[:min(events, len(l.Events))]
				return a.write(l, func(w io.Writer) { a.linkText(w, l) }, taskTable(l.Tasks))
			})
		},
	}
	cmd.Flags().IntVar(&events, "events", events, "how many events to show")
	return cmd
}

func (a *app) linkText(w io.Writer, l *api.LinkDetail) {
	line := func(key, format string, args ...any) { fmt.Fprintf(w, "%-14s %s\n", key, fmt.Sprintf(format, args...)) }
	line("Link", "%s: %s -> %s", l.Name, l.Source, l.Target)
	state := l.State
	if string(l.Condition) != l.State {
		state += ", " + a.paint(reason(l.Condition).color, string(l.Condition))
	}
	if len(l.Unconfirmed) > 0 {
		state += fmt.Sprintf(" (%s not confirmed)", strings.Join(l.Unconfirmed, ", "))
	}
	line("State", "%s", state)
	line("Topics", "%s", strings.Join(l.Include, ", "))
	if len(l.Exclude) > 0 {
		line("Excluded", "%s", strings.Join(l.Exclude, ", "))
	}
	line("Names", "%s", defaultTo(l.Rename, "{topic}"))
	line("Start", "%s", l.Start)
	line("Offsets", "%s; on loss: %s; copies: %s; writers: %s", l.Offsets, l.OnLoss, l.Copies, l.Writers)
	line("Limit", "%s", defaultTo(l.Limit, "none"))
	line("Created", "%s", moment(l.CreatedAt, l.AsOf).text)
	t := l.Totals
	line("Streams", "%d, %d stopped; %s records copied", t.Streams, t.Stopped, count(t.Records))
	lag := maybe(t.LagRecords).text + " records, " + seconds(t.LagSeconds).text + " behind"
	if t.LagUnknown > 0 {
		lag += fmt.Sprintf("; unknown of %s", plural(t.LagUnknown, "stream"))
	}
	line("Lag", "%s", lag)
	line("Rate", "%s", rate(t.BytesPerSecond).text)
	line("As of", "%s, %s", l.AsOf.Format("2006-01-02 15:04:05Z"), freshness(l.Meta))
	for _, x := range l.Tasks {
		if x.Message != "" {
			fmt.Fprintf(w, "\n%s %s: %s\n", a.paint(reason(x.State).color, "! "+stream(x)), x.State, x.Message)
			a.hint(w, l.Name, x)
		}
	}
	if tasks := taskTable(l.Tasks); len(tasks.rows) > 0 {
		fmt.Fprintln(w)
		tasks.text(w, a.look())
	}
	if events := eventTable(l.Events, l.AsOf); len(events.rows) > 0 {
		fmt.Fprintln(w)
		events.text(w, a.look())
	}
}

// hint says what a person can do about a stopped stream.
func (a *app) hint(w io.Writer, link string, x api.Task) {
	if api.SeverityOf(x.State) != api.SeverityStopped {
		return
	}
	if x.From != nil {
		fmt.Fprintf(w, "  %s offsets %s\n", x.Side, offsets(x.From, x.To))
	}
	fmt.Fprintf(w, "  sluice link retry %s --topic %s --partition %d\n", link, x.Topic, x.Partition)
	fmt.Fprintf(w, "  sluice link resolve %s --topic %s --partition %d --continue|--recopy\n", link, x.Topic, x.Partition)
}

func defaultTo(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// changeLink runs a verb that changes a link: looks at it first, asks where
// the verb is dangerous, acts, and waits until the owners have confirmed.
type changeLink struct {
	what   string // for a person: what will be done to the link %s
	ask    string // for the question; empty: the verb is harmless
	dryRun bool
	wait   bool
	do     func(context.Context, *api.Client) (*api.Ack, error)
	done   string // for a person, when it is
}

func (a *app) change(ctx context.Context, link string, ch changeLink) error {
	var l *api.LinkDetail
	err := a.withClient(ctx, func(ctx context.Context, c *api.Client) (err error) {
		l, err = c.Link(ctx, link)
		return err
	})
	if err != nil {
		return err
	}
	if ch.dryRun {
		a.note("would %s link %s (%s -> %s, %s, now %s); nothing was changed", ch.what, link, l.Source, l.Target, plural(l.Totals.Streams, "stream"), l.State)
		return nil
	}
	if ch.ask != "" {
		if err := a.ask("This will %s link %s (%s -> %s, %s). %s", ch.what, link, l.Source, l.Target, plural(l.Totals.Streams, "stream"), ch.ask); err != nil {
			return err
		}
	}
	return a.withClient(ctx, func(ctx context.Context, c *api.Client) error {
		ack, err := ch.do(ctx, c)
		if err != nil {
			return err
		}
		if ch.wait {
			ack, err = a.confirmed(ctx, c, ack)
		}
		if ack != nil {
			if werr := a.write(ack, func(w io.Writer) { a.ackText(w, ack, ch.done) }, nil); werr != nil {
				return werr
			}
		}
		return err
	})
}

func (a *app) ackText(w io.Writer, ack *api.Ack, done string) {
	switch {
	case len(ack.Unconfirmed) > 0:
		fmt.Fprintln(w, unconfirmed(ack.Name, ack.State, ack.Unconfirmed))
	case ack.State == "deleting":
		fmt.Fprintf(w, "link %s is %s\n", ack.Name, being(ack.State))
	default:
		fmt.Fprintf(w, "link %s %s\n", ack.Name, done)
	}
}

// unconfirmed names the nodes that may still do what a link must not do any
// more.
func unconfirmed(link, state string, nodes []string) string {
	return fmt.Sprintf("link %s is %s; %s not confirmed", link, being(state), strings.Join(nodes, ", "))
}

// being words a state after "is".
func being(state string) string {
	if state == "deleting" {
		return "being deleted"
	}
	return state
}

// confirmed waits until every owner has reported that it carried the change
// out, and a link that is deleted is gone. Then or when the time is up it
// returns what holds; the latter is a bad answer.
func (a *app) confirmed(ctx context.Context, c *api.Client, ack *api.Ack) (*api.Ack, error) {
	p := a.progress()
	defer p.end()
	for len(ack.Unconfirmed) > 0 || ack.State == "deleting" {
		p.say("link %s is %s; waiting for %s", ack.Name, being(ack.State), defaultTo(strings.Join(ack.Unconfirmed, ", "), "the leader"))
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ack, &badAnswer{fmt.Sprintf("not confirmed yet; see `sluice link describe %s`", ack.Name)}
		}
		l, err := c.Link(ctx, ack.Name)
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
	}
	return ack, nil
}
