package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/words"
)

// eventFlags are those of `sluice events`.
type eventFlags struct {
	link   string
	since  string
	follow bool
	limit  int
}

func eventsCmd(a *app) *cobra.Command {
	var f eventFlags
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happened: lost ranges, takeovers, stops", Args: noArgs,
		Example: "  sluice events --since 1h\n  sluice events --link us-eu --follow",
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := parseSince(f.since, time.Now())
			if err != nil {
				return &usageError{err}
			}
			if f.follow {
				return followEvents(cmd.Context(), a, f, since)
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				e, err := c.Events(ctx, f.link, since, f.limit)
				if err != nil {
					return err
				}
				slices.Reverse(e.Items) // as a log: the newest is the last line
				if n := e.Dropped + e.LastingDropped; n > 0 {
					a.std.note("%s %s no longer kept; losses, stops and acts of operators among them: %d", words.Count(int64(n), "older event"), words.Verb(int64(n), "is", "are"), e.LastingDropped)
				}
				return a.std.write(e, nil, eventTable(e.Items, e.AsOf))
			})
		},
	}
	cmd.Flags().StringVar(&f.link, "link", "", "only of this link, also of one that is deleted")
	cmd.Flags().StringVar(&f.since, "since", "", "only since then: 30m, 2h, 3d or a time (RFC 3339)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on until Ctrl-C")
	cmd.Flags().IntVar(&f.limit, "limit", 200, "how many at most")
	return cmd
}

// parseSince reads a time, or how long before now; empty is the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	days, isDays := strings.CutSuffix(text, "d")
	hours := 1
	if isDays {
		text, hours = days+"h", 24
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("--since %q is neither a duration like 30m, 2h or 3d nor a time like 2026-01-31T12:00:00Z", text)
	}
	return now.Add(-d * time.Duration(hours)), nil
}

// followEvents shows each event once, and once more whenever it happened again.
func followEvents(ctx context.Context, a *app, f eventFlags, since time.Time) error {
	seen := map[uint64]uint32{}
	first := true
	return watch(ctx, &a.nodes, time.Second, func(ctx context.Context, c *api.Client) (*api.Events, error) {
		return c.Events(ctx, f.link, since, f.limit)
	}, func(e *api.Events, err error) error {
		switch {
		case err != nil && first:
			return err
		case err != nil:
			a.std.note("no answer: %s", a.nodes.explain(err).Detail)
			return nil
		}
		first = false
		return showNew(&a.std, e, seen)
	})
}

// showNew writes the events not seen yet; as JSON one object a line.
func showNew(s *streams, e *api.Events, seen map[uint64]uint32) error {
	var fresh []api.Event
	for _, x := range slices.Backward(e.Items) {
		if seen[x.Seq] != x.Count {
			seen[x.Seq] = x.Count
			fresh = append(fresh, x)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if s.format != "json" && s.format != "yaml" {
		err := s.write(nil, nil, eventTable(fresh, e.AsOf))
		s.noHeaders = true // they stand above the first ones
		return err
	}
	for _, x := range fresh {
		b, err := json.Marshal(x)
		if err != nil {
			return fmt.Errorf("writing events: %w", err)
		}
		if err := s.put(string(b) + "\n"); err != nil {
			return err
		}
	}
	return nil
}
