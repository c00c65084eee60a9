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

func statusCmd(a *app) *cobra.Command {
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
				return untilHealthy(cmd.Context(), a, f)
			case f.watch:
				return watchStatus(cmd.Context(), a, f)
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				s, err := f.get(ctx, a, c)
				if err != nil {
					return err
				}
				if err := showStatus(a, s); err != nil {
					return err
				}
				if s.Health == api.Unhealthy {
					return &badAnswer{}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on showing it until Ctrl-C")
	cmd.Flags().BoolVar(&f.untilHealth, "exit-when-healthy", false, "wait until everything copies or waits for records, or there is no link; exit 10 after --timeout")
	cmd.Flags().IntVar(&f.tasks, "tasks", 8, "how many tasks to show, the worst ones; -1: all")
	cmd.Flags().IntVar(&f.events, "events", 5, "how many events to show, the newest ones")
	cmd.Flags().DurationVar(&f.every, "every", time.Second, "how often --watch looks")
	return cmd
}

// get asks for as much as is to be shown. What scripts read holds all tasks,
// unless they say otherwise.
func (f *statusFlags) get(ctx context.Context, a *app, c *api.Client) (*api.Status, error) {
	const all = 100_000
	tasks := f.tasks
	if tasks < 0 || a.std.format == "tsv" {
		tasks = all
	}
	return c.Status(ctx, tasks, f.events)
}

func showStatus(a *app, s *api.Status) error {
	return a.std.write(s, func(w io.Writer, st style) { statusText(w, st, s) }, taskTable(s.Tasks))
}

// statusText draws the picture.
func statusText(w io.Writer, st style, s *api.Status) {
	headline(w, st, s)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "%s %s\n", st.paint(red, "!"), p)
	}
	section := func(t *table) {
		if len(t.rows) > 0 {
			fmt.Fprintln(w)
			t.text(w, st)
		}
	}
	section(nodeTable(s.Nodes))
	section(linkTable(s.Links))
	section(taskTable(s.Tasks))
	if hidden := s.TaskCount - len(s.Tasks); hidden > 0 {
		fmt.Fprintln(w, st.paint(dim, fmt.Sprintf("and %d more tasks, none worse (--tasks -1 shows all)", hidden)))
	}
	section(eventTable(s.Events, s.AsOf))
}

func headline(w io.Writer, st style, s *api.Status) {
	health := map[api.Health]color{api.Healthy: green, api.Working: yellow, api.Unhealthy: red}[s.Health]
	leader := "leader " + s.Leader
	if s.Leader == "" {
		leader = st.paint(red, "no leader")
	}
	fmt.Fprintf(w, "%s  %s  %s  %s in all, lag %s, %s\n", st.paint(health, string(s.Health)), leader, freshness(s.Meta),
		plural(s.Totals.Streams, "stream"), lagOf(s.Totals), rate(s.Totals.BytesPerSecond).text)
}

// watchStatus shows the picture again and again: on a terminal in place,
// elsewhere one after the other. A node that does not answer is waited for.
func watchStatus(ctx context.Context, a *app, f statusFlags) error {
	return watch(ctx, &a.nodes, f.every, func(ctx context.Context, c *api.Client) (*api.Status, error) { return f.get(ctx, a, c) },
		func(s *api.Status, err error) error {
			switch {
			case err != nil:
				redraw(&a.std, func(w io.Writer, st style) {
					fmt.Fprintf(w, "%s %s\n", st.paint(red, "no answer:"), a.nodes.explain(err).Detail)
				})
			case a.std.format == "text" || a.std.format == "wide":
				redraw(&a.std, func(w io.Writer, st style) { statusText(w, st, s) })
			default:
				return showStatus(a, s)
			}
			return nil
		})
}

// redraw writes over what it wrote before, without a flicker: each line is
// cleared to its end, then all that is below.
func redraw(s *streams, draw func(io.Writer, style)) {
	var b strings.Builder
	draw(&b, s.style())
	text := b.String()
	if s.Terminal {
		text = fit(s, text)
		text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
	} else {
		text += "\n"
	}
	_ = s.put(text) // nobody watches any more
}

// fit leaves out the lines that the terminal cannot show.
func fit(s *streams, text string) string {
	rows := 0
	if s.Height != nil {
		rows = s.Height()
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if rows < 3 || len(lines) < rows {
		return text
	}
	return strings.Join(lines[:rows-2], "") + s.style().paint(dim, fmt.Sprintf("(%d more lines; make the window higher)", len(lines)-rows+2)) + "\n"
}

// untilHealthy waits, and shows on stderr for what.
func untilHealthy(ctx context.Context, a *app, f statusFlags) error {
	var last *api.Status
	p := a.std.progress()
	defer p.end()
	err := a.nodes.ask(ctx, func(ctx context.Context, c *api.Client) error {
		return poll(ctx, min(f.every, 500*time.Millisecond), func(ctx context.Context) (*api.Status, error) { return f.get(ctx, a, c) },
			func(s *api.Status, err error) (bool, error) {
				if err != nil {
					p.say("no answer: %s", a.nodes.explain(err).Detail)
					return false, nil
				}
				last = s
				if s.Health == api.Healthy {
					p.end()
					return true, showStatus(a, s)
				}
				p.say("%s: %s", s.Health, waitsFor(s))
				return false, nil
			})
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	p.end()
	if last == nil {
		return fmt.Errorf("waiting until it is healthy: %w", err)
	}
	if err := showStatus(a, last); err != nil {
		return err
	}
	return &badAnswer{fmt.Sprintf("not healthy after %s: %s", a.nodes.timeout, waitsFor(last))}
}

func waitsFor(s *api.Status) string {
	switch {
	case len(s.Problems) > 0:
		return s.Problems[0]
	case len(s.Tasks) > 0:
		t := s.Tasks[0]
		return fmt.Sprintf("%s of link %s is %s", stream(t), t.Link, t.State)
	}
	return "links find their topics"
}

// lagOf words the lag of all streams in records.
func lagOf(t api.Totals) string {
	if t.LagRecords == nil {
		return "unknown of " + plural(t.LagUnknown, "stream")
	}
	return count(*t.LagRecords)
}
