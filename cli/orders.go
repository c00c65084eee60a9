package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/fsm"
	"sluice/fsm/reason"
	"sluice/words"
)

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
	var ch linkChange
	cmd := &cobra.Command{
		Use: "retry LINK", Short: "Try stopped streams again from the same position", Args: oneArg("link"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.order(cmd.Context(), a, args[0], "retry", ch) },
	}
	f.register(cmd)
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

// resolutions are the ways out of a stop, as resolve's flags name them.
var resolutions = []struct{ order, short, ask string }{
	{"continue", "leave out what is lost and record the gap", "What is lost stays lost; the gap is recorded."},
	{"recopy", "copy again from the log start, once the target topic is empty, recreated or deleted",
		"All records are copied again. It begins when the target topic is empty, recreated, or deleted: nothing is deleted by Sluice."},
	{api.OrderEnd, "end streams whose source topic was deleted", "They are copied no more; the target keeps their records."},
}

func resolveCmd(a *app) *cobra.Command {
	var f streamFlags
	var ch linkChange
	chosen := make([]bool, len(resolutions))
	cmd := &cobra.Command{
		Use: "resolve LINK --continue|--recopy|--end", Short: "Decide how stopped streams go on", Args: oneArg("link"),
		Long: `Decide how stopped streams go on, and wait until they do.

--continue leaves out what is lost and records the gap.
--recopy copies again from the log start: into a target topic that you have
emptied or recreated, or that was deleted, which Sluice then creates. Sluice
deletes nothing itself.
--end ends the streams of topics that were deleted at the source; the target
keeps their records.

Ctrl-C ends the waiting, not the order; ` + "`sluice link describe`" + ` shows how it goes.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.Index(chosen, true)
			if i < 0 || slices.Contains(chosen[i+1:], true) {
				return &usageError{errors.New("choose one of --continue, --recopy and --end")}
			}
			ch.ask = resolutions[i].ask
			return f.order(cmd.Context(), a, args[0], resolutions[i].order, ch)
		},
	}
	f.register(cmd)
	for i, r := range resolutions {
		cmd.Flags().BoolVar(&chosen[i], r.order, false, r.short)
	}
	dryRunFlag(cmd, &ch.dryRun)
	return cmd
}

// order gives the streams named an order and waits until they took it.
func (f *streamFlags) order(ctx context.Context, a *app, link, order string, ch linkChange) error {
	sel, err := f.selector()
	if err != nil {
		return err
	}
	ch.what = order + " " + f.words()
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) {
		return c.Order(ctx, link, order, sel)
	}
	if order == string(fsm.OrderContinue) {
		ch.warn = func(l *api.LinkDetail) string { return mayRepeat(l.Tasks, sel) }
	}
	ch.follow = func(ctx context.Context, c *api.Client, ack *api.Ack) (string, error) {
		return carriedOut(ctx, a, c, ack, sel, order)
	}
	return ch.run(ctx, a, link)
}

// outcomesOf words what became of the streams that took an order.
var outcomesOf = map[string][2]string{
	"retry":      {"tries again", "try again"},
	"continue":   {"goes on behind the gap", "go on behind the gap"},
	"recopy":     {"is copied again", "are copied again"},
	api.OrderEnd: {"has ended; the target keeps its records", "have ended; the target keeps their records"},
}

// carriedOut waits until no stream named has the order before it any more. When
// the time is up before, that is a bad answer, and the order stays.
func carriedOut(ctx context.Context, a *app, c *api.Client, ack *api.Ack, sel api.StreamSelector, order string) (string, error) {
	p := a.std.progress()
	defer p.end()
	took := 0
	if ack.Streams != nil {
		took = *ack.Streams
	}
	waiting, again := "not carried out yet", ""
	err := poll(ctx, 200*time.Millisecond, func(ctx context.Context) (*api.LinkDetail, error) { return c.Link(ctx, ack.Name) }, func(l *api.LinkDetail, err error) (bool, error) {
		if err != nil {
			return false, nil //nolint:nilerr // another node may answer, or this one again
		}
		left, first := 0, ""
		again = ""
		for _, t := range l.Tasks {
			switch {
			case t.Kind != fsm.KindCopy.String() || !sel.Means(t.Topic, t.Partition):
			case t.Order == fsm.Order(order):
				left++
				first = cmp.Or(first, fmt.Sprintf("%s: %s", stream(t), t.Message))
			case reason.SeverityOf(t.State) == reason.Stopped && t.Order == "" && order != "retry":
				again = cmp.Or(again, fmt.Sprintf("%s: %s: %s", stream(t), t.State, t.Message))
			}
		}
		if left > 0 {
			waiting = fmt.Sprintf("%d of %s %s: %s", left, words.Count(max(took, left), "stream"), words.Verb(left, "waits", "wait"), first)
			p.say("%s", waiting)
		}
		return left == 0, nil
	})
	if err != nil {
		return "", &badAnswer{fmt.Sprintf("%s; the order stays; see `sluice link describe %s`", waiting, ack.Name)}
	}
	if again != "" {
		return "", &badAnswer{fmt.Sprintf("stopped again: %s; see `sluice link describe %s`", again, ack.Name)}
	}
	became := outcomesOf[order]
	return fmt.Sprintf("link %s: %s %s", ack.Name, words.Count(took, "stream"), words.Verb(took, became[0], became[1])), nil
}
