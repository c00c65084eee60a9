package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice/words"
)

func recoverCmd(a *app) *cobra.Command {
	var config string
	var dryRun, older bool
	cmd := &cobra.Command{
		Use:   "recover [DATADIR...]",
		Short: "After the loss of a quorum for good: make this machine's node a Sluice cluster of its own",
		Long: `The node of node.yaml, which must not run, becomes the only one of a new Sluice
cluster, with all that its data dir holds. The others are members no more: with
their data dirs they cannot come back. What only they had acknowledged is lost.
Where more data dirs are left, name them: the node whose data dir holds most is
to be recovered, and any other is refused.

Nothing is copied until each link is adopted (sluice link adopt LINK).`,
		Example: "  sluice cluster recover -c node.yaml\n  sluice cluster recover -c node.yaml /mnt/n2/sluice",
		RunE: func(_ *cobra.Command, args []string) error {
			dirs, err := a.local.Rescue.Examine(config, args)
			if err != nil {
				return err
			}
			if dryRun {
				return a.std.write(dirs, nil, dirTable(dirs))
			}
			if err := a.std.noTable(); err != nil {
				return err
			}
			a.std.note("%s", strings.TrimSuffix(dirTable(dirs).plain(a.std.style()), "\n"))
			if later := laterOf(dirs); later != nil && !older {
				return fmt.Errorf("%s (node %s) holds more than %s: recover that node, or lose what only it knows with --take-older", later.Dir, later.Node, dirs[0].Dir)
			}
			if err := a.std.confirm("%s", recoverAsks(&dirs[0])); err != nil {
				return err
			}
			r, err := a.local.Rescue.Recover(config)
			if err != nil {
				return err
			}
			return a.std.say(r.Meta(), "node %s is the Sluice cluster %s now, with the facts as of index %d; what it held before is in %s\n%s", r.Node, r.ClusterID, r.Index, r.Kept, rescuedNext)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "node.yaml", "configuration of the node")
	cmd.Flags().BoolVar(&older, "take-older", false, "recover this node although another data dir holds more")
	dryRunFlag(cmd, &dryRun)
	return cmd
}

// recoverAsks says what will be done.
func recoverAsks(d *DataDir) string {
	taken := "It was the only member."
	if len(d.Others) > 0 {
		taken = fmt.Sprintf("%s taken out, and cannot come back with %s.", words.Named("other node", d.Others)+" "+words.Verb(len(d.Others), "is", "are"),
			map[bool]string{true: "its data dir", false: "their data dirs"}[len(d.Others) == 1])
	}
	return fmt.Sprintf("Node %s becomes the only one of a new Sluice cluster, with entry %d of term %d as its last. %s What only they had acknowledged is lost. Its %s stand until adopted. No other node of the Sluice cluster %s may run.",
		d.Node, d.Index, d.Term, taken, words.Count(d.Links, "link"), d.ClusterID)
}

// laterOf is the data dir that holds most of those that hold more than the first.
func laterOf(dirs []DataDir) *DataDir {
	var best *DataDir
	for i := range dirs {
		d := &dirs[i]
		if d.Later && (best == nil || d.Term > best.Term || d.Term == best.Term && d.Index > best.Index) {
			best = d
		}
	}
	return best
}

func dirTable(dirs []DataDir) *table {
	t := &table{cols: []column{
		{key: "dir", head: "DATA DIR", flex: true}, {key: "node", head: "NODE"}, {key: "term", head: "TERM", right: true}, {key: "index", head: "LAST ENTRY", right: true},
		{key: "links", head: "LINKS", right: true}, {key: "streams", head: "STREAMS", right: true}, {key: "cluster", head: "CLUSTER", wide: true},
	}}
	for _, d := range dirs {
		t.add(c(d.Dir), c(d.Node), c(strconv.FormatUint(d.Term, 10)), c(strconv.FormatUint(d.Index, 10)), c(strconv.Itoa(d.Links)), c(strconv.Itoa(d.Streams)), c(d.ClusterID))
	}
	return t
}

// plain is the table as text.
func (t *table) plain(st style) string {
	var b strings.Builder
	t.text(&b, st)
	return b.String()
}
