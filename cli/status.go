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

// statusFlags are those of `sluice status`.
type statusFlags struct {
	watch       bool
	untilHealth bool
	tasks       int
	events      int
	every       time.Duration
}

func (a *app) statusCmd() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use: "status", Short: "Show the whole picture, worst first",
		Long: `Show cluster, nodes, links, the worst tasks and the newest events, with or
without a leader. Exit code 10 when something needs a person.`,
		Example: "  sluice status\n  sluice status --watch\n  sluice status --exit-when-healthy --timeout 2m   # wait until everything copies",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.untilHealth:
				return a.untilHealthy(cmd.Context(), f)
			case f.watch:
				return a.watch(cmd.Context(), f)
			}
			var s *api.Status
			err := a.withClient(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
				s, err = c.Status(ctx, a.taskLimit(f), f.events)
				return err
			})
			if err != nil {
				return err
			}
			if err := a.showStatus(s); err != nil {
				return err
			}
			if s.Health == api.Unhealthy {
				return &badAnswer{}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on showing it until Ctrl-C")
	cmd.Flags().BoolVar(&f.untilHealth, "exit-when-healthy", false, "wait until everything copies or waits for records; exit 10 after --timeout")
	cmd.Flags().IntVar(&f.tasks, "tasks", 8, "how many tasks to show, the worst ones; -1: all")
	cmd.Flags().IntVar(&f.events, "events", 5, "how many events to show, the newest ones")
	cmd.Flags().DurationVar(&f.every, "every", time.Second, "how often --watch looks")
	return cmd
}

// taskLimit: what scripts read holds all tasks, unless they say otherwise.
func (a *app) taskLimit(f statusFlags) int {
	const all = 100_000
	if f.tasks < 0 || a.flags.output == "tsv" {
		return all
	}
	return f.tasks
}

func (a *app) showStatus(s *api.Status) error {
	return a.write(s, func(w io.Writer) { a.statusText(w, s) }, taskTable(s.Tasks))
}

// statusText draws the picture.
func (a *app) statusText(w io.Writer, s *api.Status) {
	a.headline(w, s)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "%s %s\n", a.paint(red, "!"), p)
	}
	l := a.look()
	section := func(t *table) {
		if len(t.rows) > 0 {
			fmt.Fprintln(w)
			t.text(w, l)
		}
	}
	section(nodeTable(s.Nodes))
	section(linkTable(s.Links))
	section(taskTable(s.Tasks))
	if hidden := s.TaskCount - len(s.Tasks); hidden > 0 {
		fmt.Fprintln(w, a.paint(dim, fmt.Sprintf("and %d more tasks, none worse (--tasks -1 shows all)", hidden)))
	}
	section(eventTable(s.Events, s.AsOf))
}

func (a *app) headline(w io.Writer, s *api.Status) {
	health := map[api.Health]color{api.Healthy: green, api.Working: yellow, api.Unhealthy: red}[s.Health]
	leader := "leader " + s.Leader
	if s.Leader == "" {
		leader = a.paint(red, "no leader")
	}
	fmt.Fprintf(w, "%s  %s  %s  %s in all, lag %s, %s\n", a.paint(health, string(s.Health)), leader, freshness(s.Meta),
		plural(s.Totals.Streams, "stream"), maybe(s.Totals.LagRecords).text, rate(s.Totals.BytesPerSecond).text)
}

// freshness says on which facts an answer rests.
func freshness(m api.Meta) string {
	if m.AgeMillis == nil {
		return fmt.Sprintf("index %d of %s, never confirmed", m.Index, m.Node)
	}
	return fmt.Sprintf("index %d of %s, %s old", m.Index, m.Node, millis(m.AgeMillis).text)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// watch shows the picture again and again: on a terminal in place, elsewhere
// one after the other. A node that does not answer is waited for.
func (a *app) watch(ctx context.Context, f statusFlags) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	for {
		once, cancel := context.WithTimeout(ctx, a.flags.timeout)
		s, err := c.Status(once, a.taskLimit(f), f.events)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			a.redraw(func(w io.Writer) { fmt.Fprintf(w, "%s %s\n", a.paint(red, "no answer:"), a.explain(err).Detail) })
		case a.flags.output == "text" || a.flags.output == "wide":
			a.redraw(func(w io.Writer) { a.statusText(w, s) })
		default:
			if err := a.showStatus(s); err != nil {
				return err
			}
		}
		select {
		case <-time.After(f.every):
		case <-ctx.Done():
			return nil
		}
	}
}

// redraw writes over what it wrote before, without a flicker: each line is
// cleared to its end, then all that is below.
func (a *app) redraw(draw func(io.Writer)) {
	var b strings.Builder
	draw(&b)
	text := b.String()
	if a.env.Terminal {
		text = a.fit(text)
		text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
	} else {
		text += "\n"
	}
	_ = a.put(text) // nobody watches any more
}

// fit leaves out the lines that the terminal cannot show.
func (a *app) fit(text string) string {
	rows := 0
	if a.env.Height != nil {
		rows = a.env.Height()
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if rows < 3 || len(lines) < rows {
		return text
	}
	return strings.Join(lines[:rows-2], "") + a.paint(dim, fmt.Sprintf("(%d more lines; make the window higher)", len(lines)-rows+2)) + "\n"
}

// untilHealthy waits, and shows on stderr for what.
func (a *app) untilHealthy(ctx context.Context, f statusFlags) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
	defer cancel()
	p := a.progress()
	defer p.end()
	var last *api.Status
	for {
		s, err := c.Status(ctx, a.taskLimit(f), f.events)
		switch {
		case err == nil && s.Health == api.Healthy && len(s.Links) > 0:
			p.end()
			return a.showStatus(s)
		case err == nil:
			last = s
			p.say("%s: %s", s.Health, waitsFor(s))
		case ctx.Err() == nil:
			p.say("no answer: %s", a.explain(err).Detail)
		}
		select {
		case <-time.After(min(f.every, 500*time.Millisecond)):
		case <-ctx.Done():
			p.end()
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			if last == nil {
				return fmt.Errorf("waiting until it is healthy: %w", ctx.Err())
			}
			if err := a.showStatus(last); err != nil {
				return err
			}
			return &badAnswer{fmt.Sprintf("not healthy after %s: %s", a.flags.timeout, waitsFor(last))}
		}
	}
}

func waitsFor(s *api.Status) string {
	switch {
	case len(s.Problems) > 0:
		return s.Problems[0]
	case len(s.Links) == 0:
		return "there is no link yet"
	case len(s.Tasks) > 0:
		t := s.Tasks[0]
		return fmt.Sprintf("%s of link %s is %s", stream(t), t.Link, t.State)
	}
	return "links find their topics"
}
