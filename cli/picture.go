package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sluice/api"
	"sluice/words"
)

// statusFlags are those of `sluice status`.
type statusFlags struct {
	watch       bool
	untilHealth bool
	tasks       int
	events      int
	every       time.Duration
}

// check finds what makes no sense.
func (f *statusFlags) check() error {
	switch {
	case f.watch && f.untilHealth:
		return errors.New("--watch goes on until it is told to end, --exit-when-healthy until all is well: choose one")
	case f.every <= 0:
		return fmt.Errorf("--every %s is not positive; write 1s or 500ms", f.every)
	case f.tasks < -1:
		return fmt.Errorf("--tasks %d: write how many, or -1 for all", f.tasks)
	case f.events < 0:
		return fmt.Errorf("--events %d: write how many, 0 for none", f.events)
	}
	return nil
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
	for _, p := range s.Warnings {
		fmt.Fprintf(w, "%s %s\n", st.paint(yellow, "warning:"), p)
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
		fmt.Fprintln(w, st.paint(dim, fmt.Sprintf("and %s, none worse (--tasks -1 shows all)", words.Count(hidden, "more task"))))
	}
	section(eventTable(s.Events, s.AsOf))
}

func headline(w io.Writer, st style, s *api.Status) {
	health := map[api.Health]color{api.Healthy: green, api.Working: yellow, api.Unhealthy: red}[s.Health]
	leader := "leader " + s.Leader
	if s.Leader == "" {
		leader = st.paint(red, "no leader")
	}
	paused := ""
	if n := s.Totals.Paused; n > 0 {
		paused = ", " + st.paint(yellow, words.Count(n, "stream")+" paused")
	}
	fmt.Fprintf(w, "%s  %s  %s  %s in all, lag %s, %s%s\n", st.paint(health, string(s.Health)), leader, freshness(s.Meta),
		words.Count(s.Totals.Streams, "stream"), lagOf(s.Totals), rate(s.Totals.BytesPerSecond).text, paused)
}

// lagOf words the lag in records of all streams that are not paused.
func lagOf(t api.Totals) string {
	switch {
	case t.LagRecords != nil:
		return count(*t.LagRecords)
	case t.LagUnknown > 0:
		return "unknown of " + words.Count(t.LagUnknown, "stream")
	}
	return "unknown"
}

// section is a part of the picture that may show fewer rows than it has.
type section struct {
	what  string                  // one of its rows
	rows  int                     // that it has here
	all   int                     // that there are
	lines func(rows int) []string // with what stands above and below them
}

// statusLines is the picture in at most so many lines. The longest parts give
// way, the lowest first, and say how much is left out.
func statusLines(st style, s *api.Status, most int) []string {
	st.single = true
	parts := sections(st, s)
	shown := make([]int, len(parts))
	for i, p := range parts {
		shown[i] = min(p.rows, max(most, 1))
	}
	var head strings.Builder
	headline(&head, st, s)
	for {
		out := []string{strings.TrimSuffix(head.String(), "\n")}
		longest := -1
		for i, p := range parts {
			out = append(out, p.lines(shown[i])...)
			if more := p.all - shown[i]; more > 0 {
				out = append(out, st.paint(dim, "and "+words.Count(more, "more "+p.what)))
			}
			if shown[i] > 1 && (longest < 0 || shown[i] >= shown[longest]) {
				longest = i
			}
		}
		if len(out) <= most || longest < 0 {
			return out
		}
		shown[longest]--
	}
}

func sections(st style, s *api.Status) []section {
	var out []section
	for _, x := range []struct {
		what, mark string
		said       []string
	}{{"problem", st.paint(red, "!"), s.Problems}, {"warning", st.paint(yellow, "warning:"), s.Warnings}} {
		if n := len(x.said); n > 0 {
			out = append(out, section{x.what, n, n, func(rows int) []string {
				var lines []string
				for _, p := range x.said[:rows] {
					lines = append(lines, x.mark+" "+p)
				}
				return lines
			}})
		}
	}
	for _, x := range []struct {
		what string
		t    *table
		all  int
	}{
		{"node", nodeTable(s.Nodes), len(s.Nodes)},
		{"link", linkTable(s.Links), len(s.Links)},
		{"task", taskTable(s.Tasks), s.TaskCount},
		{"event", eventTable(s.Events, s.AsOf), len(s.Events)},
	} {
		if len(x.t.rows) == 0 {
			continue
		}
		out = append(out, section{x.what, len(x.t.rows), x.all, func(rows int) []string {
			var b strings.Builder
			b.WriteString("\n")
			part := *x.t
			part.rows = part.rows[:rows]
			part.text(&b, st)
			return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		}})
	}
	return out
}
