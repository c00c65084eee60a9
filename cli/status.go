package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

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
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on showing it until q or Ctrl-C")
	cmd.Flags().BoolVar(&f.untilHealth, "exit-when-healthy", false, "wait until everything copies or waits for records, or there is no link; exit 10 after --timeout")
	cmd.Flags().IntVar(&f.tasks, "tasks", 8, "how many tasks to show, the worst ones; -1: all")
	cmd.Flags().IntVar(&f.events, "events", 5, "how many events to show, the newest ones")
	cmd.Flags().DurationVar(&f.every, "every", time.Second, "how often --watch looks")
	return cmd
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
