package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/words"
)

func healthCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Say whether the cluster is well, and how many more nodes may die", Args: noArgs,
		Long: `Say whether the Sluice cluster itself is well: who is there and who votes, how
many more voters may die before nothing can be changed, who is behind, whose
disk takes no writes, whose clock is off. Links and streams are told by
` + "`sluice status`" + `.

A node without a quorum says so, and shows what it knows itself. Exit code 10
when it is not well, or when what it takes to say so is not known.`,
		Example: "  sluice cluster health\n  sluice cluster health --address n3.example:8080   # as n3 sees it",
		RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, _ []string) error {
			h, err := api.AskHealth(ctx, c)
			if err != nil {
				return err
			}
			if err := a.std.write(h, func(w io.Writer, st style) { healthText(w, st, h) }, healthTable(h.Members)); err != nil {
				return err
			}
			if !h.Well {
				return &badAnswer{}
			}
			return nil
		}),
	}
}

func healthText(w io.Writer, st style, h *api.ClusterHealth) {
	well, leader := st.paint(green, "well"), "leader "+h.Leader
	if !h.Well {
		well = st.paint(red, "not well")
	}
	if h.Leader == "" {
		leader = st.paint(red, "no leader")
	}
	fmt.Fprintf(w, "%s  %s  %s\n", well, leader, freshness(h.Meta))
	fmt.Fprintf(w, "%s; feature level %d\n", votersText(h.Voters), h.Feature)
	for _, p := range h.Problems {
		fmt.Fprintf(w, "%s %s\n", st.paint(red, "!"), p)
	}
	fmt.Fprintln(w)
	healthTable(h.Members).text(w, st)
}

// votersText says how many more may die.
func votersText(v api.Voters) string {
	if v.MayFail == nil {
		return fmt.Sprintf("this node hears %d of %s, and no leader; %d are needed", v.Alive, words.Count(v.Count, "voter"), v.Needed)
	}
	more := "no voter may die"
	if n := *v.MayFail; n > 0 {
		more = words.Count(n, "more voter") + " may die"
	}
	return fmt.Sprintf("%d of %s well, %d needed: %s", v.Alive, words.Count(v.Count, "voter"), v.Needed, more)
}

func healthTable(members []api.MemberHealth) *table {
	t := &table{cols: []column{
		{key: "node", head: "NODE", flex: true}, {key: "role", head: "ROLE"}, {key: "state", head: "STATE"}, {key: "age_ms", head: "HEARD", right: true},
		{key: "behind", head: "BEHIND", right: true}, {key: "disk", head: "DISK"}, {key: "disk_since"}, {key: "clock_ms", head: "CLOCK", right: true}, {key: "clock_error_ms"},
		{key: "feature", head: "LEVEL", right: true}, {key: "version", head: "VERSION", flex: true},
		{key: "datacenter", head: "DC", wide: true}, {key: "address", head: "ADDRESS", wide: true}, {key: "id", head: "ID", wide: true},
	}}
	for i := range members {
		m := &members[i]
		why, since := diskCells(&m.Node)
		level := c("-")
		if m.Feature > 0 {
			level = c(strconv.FormatUint(uint64(m.Feature), 10))
		}
		t.add(c(m.Name), c(m.Role), nodeState(&m.Node), millis(m.AgeMillis), behind(m.Behind), why, since, ahead(m.ClockMillis), signed(m.ClockErrorMillis),
			level, c(orDash(m.Version)), c(orDash(m.Datacenter)), c(orDash(m.Address)), c(m.ID))
	}
	return t
}

func behind(n *uint64) cell {
	if n == nil {
		return c("-")
	}
	return number(int64(*n))
}

// ahead words how far a clock is ahead; less than 0: behind.
func ahead(ms *int64) cell {
	x := signed(ms)
	if ms == nil {
		return x
	}
	sign, d := "+", time.Duration(*ms)*time.Millisecond
	if d < 0 {
		sign, d = "-", -d
	}
	x.raw, x.text = x.text, sign+age(d)
	if d < 100*time.Millisecond {
		x.text = "0s"
	}
	return x
}

func signed(n *int64) cell {
	if n == nil {
		return c("-")
	}
	return c(strconv.FormatInt(*n, 10))
}
