package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/manifest"
	"sluice/words"
)

func linkCmd(a *app) *cobra.Command {
	link := &cobra.Command{Use: "link", Short: "Links: what is copied from where to where"}
	link.AddCommand(
		&cobra.Command{
			Use: "ls", Aliases: []string{"list"}, Short: "List links, worst first", Args: noArgs,
			RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, _ []string) error { return get(ctx, a, c, "Link") }),
		},
		describeCmd(a),
		pauseCmd(a),
		resumeCmd(a),
		retryCmd(a),
		resolveCmd(a),
		adoptCmd(a),
		deleteLinkCmd(a),
		verifyCmd(a),
	)
	return link
}

func describeCmd(a *app) *cobra.Command {
	events := 10
	cmd := &cobra.Command{
		Use: "describe LINK", Short: "Show all of one link: its settings, its streams worst first, its events", Args: oneArg("link"),
		RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, args []string) error {
			l, err := c.Link(ctx, args[0])
			if err != nil {
				return err
			}
			l.Events = l.Events[:min(events, len(l.Events))]
			return a.std.write(l, func(w io.Writer, st style) { linkText(w, st, l) }, taskTable(l.Tasks))
		}),
	}
	cmd.Flags().IntVar(&events, "events", events, "how many events to show")
	return cmd
}

func linkText(w io.Writer, st style, l *api.LinkDetail) {
	line := func(key, format string, args ...any) { fmt.Fprintf(w, "%-14s %s\n", key, fmt.Sprintf(format, args...)) }
	line("Link", "%s: %s -> %s", l.Name, l.Source, l.Target)
	state := l.State
	if string(l.Condition) != l.State {
		state += ", " + st.paint(colored(l.Condition).color, string(l.Condition))
	}
	if len(l.Unconfirmed) > 0 {
		state += fmt.Sprintf(" (%s not confirmed)", strings.Join(l.Unconfirmed, ", "))
	}
	line("State", "%s", state)
	line("Topics", "%s", strings.Join(l.Include, ", "))
	if len(l.Exclude) > 0 {
		line("Excluded", "%s", strings.Join(l.Exclude, ", "))
	}
	line("Names", "%s", cmp.Or(l.Rename, "{topic}"))
	line("Start", "%s", l.Start)
	line("Offsets", "%s; copies: %s; writers: %s", l.Offsets, l.Copies, l.Writers)
	line("Gaps", "%s (of transactions)", l.Gaps)
	line("On loss", "%s; on a deleted source topic: %s", l.OnLoss, l.OnSourceDeleted)
	if l.Filter != nil {
		line("Filter", "%s", filterText(l.Filter))
		line("Filtered", "%s", filteredText(l.Tasks))
	}
	line("Limit", "%s", cmp.Or(l.Limit, "none"))
	line("Created", "%s", moment(l.CreatedAt, l.AsOf).text)
	line("Copied", "%s", topicsText(l))
	t := l.Totals
	line("Streams", "%d, %d stopped; %s records copied", t.Streams, t.Stopped, count(t.Records))
	lag := lagOf(t)
	if t.LagRecords != nil {
		lag += " records, " + seconds(t.LagSeconds).text + " behind"
	}
	line("Lag", "%s", lag)
	line("Rate", "%s", rate(t.BytesPerSecond).text)
	line("As of", "%s, %s", l.AsOf.Format("2006-01-02 15:04:05Z"), freshness(l.Meta))
	topicsNotCopied(w, st, l)
	for _, x := range l.Tasks {
		if x.Message != "" {
			fmt.Fprintf(w, "\n%s %s: %s\n", st.paint(colored(x.State).color, "! "+stream(x)), x.State, x.Message)
			hint(w, l.Name, x)
		}
	}
	if tasks := taskTable(l.Tasks); len(tasks.rows) > 0 {
		fmt.Fprintln(w)
		tasks.text(w, st)
	}
	if events := eventTable(l.Events, l.AsOf); len(events.rows) > 0 {
		fmt.Fprintln(w)
		events.text(w, st)
	}
}

// filterText says in one line what a filter does.
func filterText(f *fsm.Filter) string {
	var out []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			out = append(out, what+" "+strings.Join(names, ", "))
		}
	}
	if f.Keep != "" {
		out = append(out, "keeps "+strings.Join(strings.Fields(f.Keep), " "))
	}
	add("masks", f.Mask)
	add("hashes", f.Hash)
	add("drops headers", f.DropHeaders)
	var renames []string
	for _, r := range f.RenameHeaders {
		renames = append(renames, r.From+" as "+r.To)
	}
	add("renames headers", renames)
	return strings.Join(append(out, "on unparseable: "+manifest.OnUnparseable(f)), "; ")
}

// filteredText sums up what the filter did; of streams of which that is not known
// it says so.
func filteredText(tasks []api.Task) string {
	var n api.Filtered
	known, unknown := 0, 0
	for _, x := range tasks {
		switch {
		case x.Kind != fsm.KindCopy.String():
		case x.Filtered == nil:
			unknown++
		default:
			known++
			n.Dropped, n.Changed, n.Unparseable = n.Dropped+x.Filtered.Dropped, n.Changed+x.Filtered.Changed, n.Unparseable+x.Filtered.Unparseable
		}
	}
	if known == 0 {
		return "not known"
	}
	out := fmt.Sprintf("%s dropped, %s changed, %s unparseable, since their owners have the streams", count(n.Dropped), count(n.Changed), count(n.Unparseable))
	if unknown > 0 {
		out += fmt.Sprintf("; of %s it is not known", words.Count(unknown, "stream"))
	}
	return out
}

// hint says what a person can do about a stopped stream.
func hint(w io.Writer, link string, x api.Task) {
	r := reason.Of(x.State)
	if r.Severity != reason.Stopped {
		return
	}
	if x.From != nil {
		fmt.Fprintf(w, "  %s offsets %s\n", x.Side, offsets(x.From, x.To))
	}
	advise(w, link, r)
	if x.State == fsm.CodeSourceDeleted {
		fmt.Fprintf(w, "  sluice link resolve %s --topic %s --end\n", link, x.Topic)
		return
	}
	fmt.Fprintf(w, "  sluice link retry %s --topic %s --partition %d\n", link, x.Topic, x.Partition)
	fmt.Fprintf(w, "  sluice link resolve %s --topic %s --partition %d --continue|--recopy\n", link, x.Topic, x.Partition)
}
