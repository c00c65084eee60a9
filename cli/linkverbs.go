package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sluice/api"
)

func pauseCmd(a *app) *cobra.Command {
	ch := linkChange{what: "pause", done: "is paused", wait: true}
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) { return c.Pause(ctx, link) }
	return ch.cmd(a, "Stop copying; done when every owner has confirmed")
}

func resumeCmd(a *app) *cobra.Command {
	ch := linkChange{what: "resume", done: "is running"}
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) { return c.Resume(ctx, link) }
	return ch.cmd(a, "Go on copying where it was paused")
}

func deleteLinkCmd(a *app) *cobra.Command {
	ch := linkChange{what: "delete", done: "is deleted; the target keeps its data", wait: true, ask: "Copying stops for good; the target keeps its data."}
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) {
		return c.DeleteLink(ctx, link)
	}
	return ch.cmd(a, "Delete a link; the target keeps its data")
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

func retryCmd(a *app) *cobra.Command {
	var f streamFlags
	ch := linkChange{done: "tries again; see `sluice link describe`"}
	cmd := &cobra.Command{
		Use: "retry LINK", Short: "Try stopped streams again from the same position", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.order(cmd.Context(), a, args[0], "retry", ch) },
	}
	f.register(cmd)
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

func resolveCmd(a *app) *cobra.Command {
	var f streamFlags
	var skip, recopy bool
	var ch linkChange
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
				return f.order(cmd.Context(), a, args[0], "continue", ch)
			}
			ch.ask, ch.done = "All records are copied again; empty or recreate the target topic first.", "is copied again"
			return f.order(cmd.Context(), a, args[0], "recopy", ch)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&skip, "continue", false, "leave out what is lost")
	cmd.Flags().BoolVar(&recopy, "recopy", false, "copy again from the log start")
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

// order gives the streams named an order.
func (f *streamFlags) order(ctx context.Context, a *app, link, order string, ch linkChange) error {
	sel, err := f.selector()
	if err != nil {
		return err
	}
	ch.what = order + " " + f.words()
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) {
		return c.Order(ctx, link, order, sel)
	}
	return ch.run(ctx, a, link)
}
