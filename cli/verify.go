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
	"sluice/words"
)

func verifyCmd(a *app) *cobra.Command {
	var r api.VerifyRequest
	var id string
	var detach, cancel bool
	cmd := &cobra.Command{
		Use: "verify LINK", Short: "Compare both sides record by record; exit 10 unless they are equal",
		Long: `Compare both sides of a link record by record: key, value, headers, timestamp,
order and offset. What the source has when it begins is compared; the target is
given some seconds to have it too. The answer is one of three:

  equal       all that the link selects was compared and is the same
  differs     something is missing at the target, or is another, or too much
  incomplete  what was compared is the same, and something was not compared:
              it is named with the reason

What the source's own retention deletes, or is about to delete, may be gone at
the target. On a compacted topic a side may lack a record once it has a later one
of the same key, and a tombstone after delete.retention.ms; any other that it
lacks is a difference. The comparison runs in the memory of the node asked; Ctrl-C detaches
from it, with exit 10 as there is no answer yet, --id comes back to it. It ends by itself when nobody has asked how it
goes for an hour. A node runs four comparisons at a time.`,
		Example: "  sluice link verify us-eu --topic orders\n  sluice link verify --id v1\n  sluice link verify --id v1 --cancel",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case (len(args) == 1) == (id != ""), len(args) > 1:
				return fmt.Errorf("%s wants one link, or --id of a comparison under way", cmd.CommandPath())
			case cancel && id == "":
				return fmt.Errorf("%s --cancel wants the --id of a comparison", cmd.CommandPath())
			case r.MaxFaults < 0:
				return fmt.Errorf("--max-faults %d: write how many, 0 for none", r.MaxFaults)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.nodes.client()
			if err != nil {
				return err
			}
			if cancel {
				v, err := c.CancelVerify(cmd.Context(), id)
				if err != nil {
					return err
				}
				a.std.note("comparison %s of link %s is told to end", id, v.Job.Link)
				return nil
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
	cmd.Flags().BoolVar(&cancel, "cancel", false, "end the comparison of --id")
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
		p.say("%s: %d of %s, %s of %s offsets, %s", j.ID, j.Done, words.Count(j.Partitions, "partition"), count(j.Offsets), count(j.Total), words.Count(j.Counts.Faults(), "difference"))
		return false, nil
	})
	p.end()
	if err != nil && ctx.Err() != nil {
		a.std.note("detached; it goes on: `sluice link verify --id %s --address %s`", id, a.nodes.address)
		return &badAnswer{} // whoever watched has let go of it, and nobody has said equal
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
	case !v.Job.Equal:
		return &badAnswer{}
	}
	return nil
}

func showVerify(a *app, v *api.Verify) error {
	return a.std.write(v, func(w io.Writer, st style) { verifyText(w, st, v.Job) }, verifyTable(v.Job))
}

func verifyText(w io.Writer, st style, j api.VerifyJob) {
	if j.State == "running" {
		fmt.Fprintf(w, "%s runs on %s: `sluice link verify --id %s`\n", j.ID, j.Node, j.ID)
		return
	}
	word, paint := j.State, red
	if j.Verdict != nil {
		word = string(*j.Verdict)
		paint = map[api.Verdict]color{api.VerdictEqual: green, api.VerdictDiffers: red, api.VerdictIncomplete: yellow}[*j.Verdict]
	}
	fmt.Fprintf(w, "%s link %s: %s\n", st.paint(paint, word), j.Link, sentenceOf(j))
	for _, x := range noted(j.Counts) {
		fmt.Fprintln(w, x)
	}
	if len(j.LeftOut) > 0 {
		leftOutTable(j.LeftOut).text(w, st)
	}
	if len(j.Faults) > 0 {
		faultTable(j.Faults).text(w, st)
	}
	if more := j.Counts.Faults() - int64(len(j.Faults)); more > 0 && j.State == "done" {
		fmt.Fprintf(w, "and %s\n", words.Count(more, "more difference"))
	}
}

// sentenceOf says how a comparison came out.
func sentenceOf(j api.VerifyJob) string {
	n := j.Counts
	scope := fmt.Sprintf("%d of %s in %d of %s", j.Compared.Partitions, words.Count(j.Selected.Partitions, "partition"), j.Compared.Topics, words.Count(j.Selected.Topics, "topic"))
	switch {
	case j.Verdict == nil && j.Error != "":
		return j.Error
	case j.Verdict == nil:
		return fmt.Sprintf("%s compared before it ended", words.Count(n.Compared, "record"))
	case *j.Verdict == api.VerdictEqual:
		return fmt.Sprintf("%s in %s of %s are the same on both sides, up to the source's end at %s", words.Count(n.Compared, "record"),
			words.Count(j.Selected.Partitions, "partition"), words.Count(j.Selected.Topics, "topic"), j.Started.UTC().Format("2006-01-02 15:04:05Z"))
	case *j.Verdict == api.VerdictDiffers:
		return fmt.Sprintf("%d missing, %d extra, %d differing, %d out of order, %d at another offset; %s are the same; compared wholly: %s",
			n.Missing, n.Extra, n.Differing, n.Misordered, n.OffsetMismatch, words.Count(n.Compared, "record"), scope)
	}
	return fmt.Sprintf("%s compared are the same on both sides, but not all was compared; compared wholly: %s", words.Count(n.Compared, "record"), scope)
}

// noted says what is known of records beside those that are the same.
func noted(n api.Counts) []string {
	var out []string
	for _, x := range []struct {
		n    int64
		what string
	}{
		{n.TargetGone, "of the missing were deleted at the target, though the source's own retention keeps them: compare retention.ms and retention.bytes of both topics"},
		{n.Filtered, "source records are left out by the link's filter: no difference"},
		{n.SourceGone, "target offsets hold records that the source has deleted; they are not compared"},
		{n.Trimmed, "offsets were deleted on both sides by retention, or are about to be; they are not compared"},
		{n.Compacted, "records are on one side only because of compaction: the other side has a later record of the key"},
		{n.Tombstones, "tombstones are on one side only: they are older than the other side's delete.retention.ms, after which compaction removes them"},
	} {
		if x.n > 0 {
			out = append(out, count(x.n)+" "+x.what)
		}
	}
	return out
}

// shownLeftOut is how many rows of what was left out a person is shown.
const shownLeftOut = 20

func leftOutTable(list []api.VerifyLeftOut) *table {
	t := &table{cols: []column{
		{head: "NOT COMPARED", flex: true}, {head: "PART"}, {head: "OFFSETS", right: true}, {head: "REASON", flex: true, wrap: true},
	}}
	for _, l := range list[:min(len(list), shownLeftOut)] {
		t.add(c(orDash(l.Topic)), c(orDash(numbers(l.Partitions))), optional(l.Offsets), c(l.Message))
	}
	if more := len(list) - shownLeftOut; more > 0 {
		t.notes = []string{fmt.Sprintf("and %d more; -o json shows all", more)}
	}
	return t
}

func faultTable(list []api.Fault) *table {
	t := &table{cols: []column{
		{head: "DIFFERENCE"}, {head: "TOPIC", flex: true}, {head: "PART", right: true},
		{head: "SOURCE", right: true}, {head: "TARGET", right: true}, {head: "MESSAGE", flex: true, wrap: true},
	}}
	for _, f := range list {
		t.add(c(f.Kind), c(f.Topic), c(fmt.Sprint(f.Partition)), offset(f.Source), offset(f.Target), c(orDash(f.Message)))
	}
	return t
}

// verifyTable is the TSV: how it came out, what was left out, what differs.
func verifyTable(j api.VerifyJob) *table {
	t := &table{cols: []column{
		{key: "kind"}, {key: "topic"}, {key: "partition"}, {key: "source"}, {key: "target"}, {key: "offsets"}, {key: "message"},
	}}
	none := c("-")
	word, said := j.State, j.ID
	if j.State != "running" {
		said = sentenceOf(j)
	}
	if j.Verdict != nil {
		word = string(*j.Verdict)
	}
	t.add(c(word), none, none, none, none, none, c(said))
	for _, l := range j.LeftOut {
		t.add(c(l.Reason), c(orDash(l.Topic)), c(orDash(numbers(l.Partitions))), none, none, offset(l.Offsets), c(l.Message))
	}
	for _, f := range j.Faults {
		t.add(c(f.Kind), c(f.Topic), c(fmt.Sprint(f.Partition)), offset(f.Source), offset(f.Target), none, c(f.Message))
	}
	return t
}

// numbers words ascending numbers as ranges: 0-2,5.
func numbers(list []int32) string {
	var out []string
	for i := 0; i < len(list); {
		last := i
		for last+1 < len(list) && list[last+1] == list[last]+1 {
			last++
		}
		if last == i {
			out = append(out, fmt.Sprint(list[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", list[i], list[last]))
		}
		i = last + 1
	}
	return strings.Join(out, ",")
}
