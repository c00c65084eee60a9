package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

func verifyCmd(a *app) *cobra.Command {
	var r api.VerifyRequest
	var id string
	var detach bool
	cmd := &cobra.Command{
		Use: "verify LINK", Short: "Compare both sides record by record; exit 10 if they differ",
		Long: `Compare both sides of a link record by record: key, value, headers, timestamp,
order and offset. The comparison runs in the memory of the node asked; Ctrl-C
detaches from it, --id comes back to it.`,
		Example: "  sluice link verify us-eu --topic orders\n  sluice link verify --id v1",
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (id != "") || len(args) > 1 {
				return fmt.Errorf("%s wants one link, or --id of a comparison under way", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.nodes.client()
			if err != nil {
				return err
			}
			if id == "" {
				r.Link = args[0]
				v, err := c.StartVerify(cmd.Context(), r)
				if err != nil {
					return err
				}
				id = v.Job.ID
				if detach {
					return showVerify(a, v)
				}
			}
			return followVerify(cmd.Context(), a, c, id)
		},
	}
	cmd.Flags().StringSliceVar(&r.Topics, "topic", nil, "only these source topics")
	cmd.Flags().IntVar(&r.MaxFaults, "max-faults", 20, "how many differences to list; all are counted")
	cmd.Flags().StringVar(&id, "id", "", "come back to a comparison")
	cmd.Flags().BoolVar(&detach, "detach", false, "start it, write its id and return")
	return cmd
}

// followVerify shows how a comparison goes until it has ended. Ctrl-C leaves
// it running.
func followVerify(ctx context.Context, a *app, c *api.Client, id string) error {
	p := a.std.progress()
	err := poll(ctx, 300*time.Millisecond, func(ctx context.Context) (*api.Verify, error) { return c.Verify(ctx, id) }, func(v *api.Verify, err error) (bool, error) {
		if err != nil {
			return true, err
		}
		j := v.Job
		if j.State != "running" {
			p.end()
			return true, verdict(a, v)
		}
		p.say("%s: %d of %d partitions, %s of %s offsets, %s", j.ID, j.Done, j.Partitions, count(j.Offsets), count(j.Total), plural(int(j.Counts.Faults()), "difference"))
		return false, nil
	})
	p.end()
	if err != nil && ctx.Err() != nil {
		a.std.note("detached; it goes on: `sluice link verify --id %s --address %s`", id, a.nodes.address)
		return nil //nolint:nilerr // whoever watched has let go of it
	}
	return err
}

func verdict(a *app, v *api.Verify) error {
	if err := showVerify(a, v); err != nil {
		return err
	}
	switch {
	case v.Job.State == "failed":
		return errors.New("the comparison failed: " + v.Job.Error)
	case v.Job.State == "cancelled" || !v.Job.Equal:
		return &badAnswer{}
	}
	return nil
}

func showVerify(a *app, v *api.Verify) error {
	return a.std.write(v, func(w io.Writer, st style) { verifyText(w, st, v.Job) }, faultTable(v.Job.Faults))
}

func verifyText(w io.Writer, st style, j api.VerifyJob) {
	n := j.Counts
	switch {
	case j.State == "running":
		fmt.Fprintf(w, "%s runs on %s: `sluice link verify --id %s`\n", j.ID, j.Node, j.ID)
		return
	case j.State == "done" && j.Equal:
		fmt.Fprintf(w, "%s link %s: %s records in %s are the same on both sides\n", st.paint(green, "equal"), j.Link, count(n.Compared), plural(j.Partitions, "partition"))
	default:
		word := "not equal"
		if j.State != "done" {
			word = j.State
		}
		fmt.Fprintf(w, "%s link %s: of %s records in %s %d missing, %d extra, %d differing, %d out of order, %d at another offset\n", st.paint(red, word), j.Link,
			count(n.Compared), plural(j.Partitions, "partition"), n.Missing, n.Extra, n.Differing, n.Misordered, n.OffsetMismatch)
	}
	for _, x := range []struct {
		n    int64
		what string
	}{
		{n.Behind, "offsets were not replicated yet when it began and are not compared"},
		{n.Trimmed, "offsets were taken by retention and are not compared"},
		{n.Compacted, "records stand on one side only because of compaction"},
		{n.Skipped, "source records are left out by the mapping"},
	} {
		if x.n > 0 {
			fmt.Fprintf(w, "%s %s\n", count(x.n), x.what)
		}
	}
	if len(j.Faults) > 0 {
		faultTable(j.Faults).text(w, st)
	}
	if more := n.Faults() - int64(len(j.Faults)); more > 0 && j.State == "done" {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

func faultTable(list []api.Fault) *table {
	t := &table{cols: []column{
		{key: "kind", head: "FAULT"}, {key: "topic", head: "TOPIC", flex: true}, {key: "partition", head: "PART", right: true},
		{key: "source", head: "SOURCE", right: true}, {key: "target", head: "TARGET", right: true}, {key: "message", head: "MESSAGE", flex: true, wrap: true},
	}}
	for _, f := range list {
		t.add(c(f.Kind), c(f.Topic), c(fmt.Sprint(f.Partition)), offset(f.Source), offset(f.Target), c(orDash(f.Message)))
	}
	return t
}
