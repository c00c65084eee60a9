package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sluice/api"
)

// dryRunFlag gives a verb its --dry-run.
func dryRunFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "dry-run", false, "show what would be done, and do nothing")
}

func (a *app) pauseCmd() *cobra.Command {
	ch := changeLink{what: "pause", done: "is paused", wait: true}
	cmd := &cobra.Command{
		Use: "pause LINK", Short: "Stop copying; done when every owner has confirmed", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ch.do = func(ctx context.Context, c *api.Client) (*api.Ack, error) { return c.Pause(ctx, args[0]) }
			return a.change(cmd.Context(), args[0], ch)
		},
	}
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

func (a *app) resumeCmd() *cobra.Command {
	ch := changeLink{what: "resume", done: "is running"}
	cmd := &cobra.Command{
		Use: "resume LINK", Short: "Go on copying where it was paused", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ch.do = func(ctx context.Context, c *api.Client) (*api.Ack, error) {
				ack, err := c.Resume(ctx, args[0])
				if err == nil {
					ack.Unconfirmed = []string{} // nobody has to stop
				}
				return ack, err
			}
			return a.change(cmd.Context(), args[0], ch)
		},
	}
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

func (a *app) deleteLinkCmd() *cobra.Command {
	ch := changeLink{what: "delete", done: "is deleted; the target keeps its data", wait: true,
		ask: "Copying stops for good; the target keeps its data."}
	cmd := &cobra.Command{
		Use: "delete LINK", Short: "Delete a link; the target keeps its data", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ch.do = func(ctx context.Context, c *api.Client) (*api.Ack, error) { return c.DeleteLink(ctx, args[0]) }
			return a.change(cmd.Context(), args[0], ch)
		},
	}
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

// streamFlags name streams of a link.
type streamFlags struct {
	topic     string
	partition int32
	given     func() bool // whether the partition was named
}

func (f *streamFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.topic, "topic", "", "only this source topic")
	cmd.Flags().Int32Var(&f.partition, "partition", -1, "only this partition of the topic")
	f.given = func() bool { return cmd.Flags().Changed("partition") }
}

func (f *streamFlags) selector() (api.StreamSelector, error) {
	s := api.StreamSelector{Topic: f.topic}
	if f.given() {
		switch {
		case f.topic == "":
			return s, &usageError{fmt.Errorf("--partition wants --topic too")}
		case f.partition < 0:
			return s, &usageError{fmt.Errorf("--partition %d: the first one is 0", f.partition)}
		}
		s.Partition = &f.partition
	}
	return s, nil
}

func (f *streamFlags) words() string {
	switch {
	case f.topic == "":
		return "stopped streams of"
	case f.partition < 0:
		return "stopped streams of topic " + f.topic + " of"
	}
	return fmt.Sprintf("stream %s/%d of", f.topic, f.partition)
}

func (a *app) retryCmd() *cobra.Command {
	var f streamFlags
	ch := changeLink{done: "tries again; see `sluice link describe`"}
	cmd := &cobra.Command{
		Use: "retry LINK", Short: "Try stopped streams again from the same position", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.order(cmd.Context(), args[0], "retry", f, ch)
		},
	}
	f.register(cmd)
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

func (a *app) resolveCmd() *cobra.Command {
	var f streamFlags
	var skip, recopy bool
	var ch changeLink
	cmd := &cobra.Command{
		Use: "resolve LINK --continue|--recopy", Short: "Decide how stopped streams go on", Args: oneArg("link"),
		Long: `Decide how stopped streams go on.

--continue leaves out what is lost and records the gap.
--recopy copies again from the log start, once you have emptied or recreated
the target topic; nothing is deleted by Sluice.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case skip == recopy:
				return &usageError{fmt.Errorf("choose one of --continue and --recopy")}
			case skip:
				ch.ask, ch.done = "What is lost stays lost; the gap is recorded.", "goes on behind the gap"
				return a.order(cmd.Context(), args[0], "continue", f, ch)
			}
			ch.ask, ch.done = "All records are copied again; empty or recreate the target topic first.", "is copied again"
			return a.order(cmd.Context(), args[0], "recopy", f, ch)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&skip, "continue", false, "leave out what is lost")
	cmd.Flags().BoolVar(&recopy, "recopy", false, "copy again from the log start")
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

func (a *app) order(ctx context.Context, link, order string, f streamFlags, ch changeLink) error {
	sel, err := f.selector()
	if err != nil {
		return err
	}
	ch.what = order + " " + f.words()
	ch.do = func(ctx context.Context, c *api.Client) (*api.Ack, error) {
		ack, err := c.Order(ctx, link, order, sel)
		if err == nil {
			ack.Unconfirmed = []string{}
		}
		return ack, err
	}
	return a.change(ctx, link, ch)
}
