package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sluice/api"
)

func adoptCmd(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "adopt LINK", Short: "Take a link over from a Sluice cluster that is lost for good", Args: oneArg("link"),
		Long: `Takes a link over from a Sluice cluster that is lost for good, or from what this
one was before it was recovered or restored. Each stream compares the ends of
both logs and goes on exactly behind what is in the target, under a producer
epoch that the lost cluster does not have; where that place is not certain it
stops and says so.

No node of the lost cluster may run.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.std.noTable(); err != nil {
				return err
			}
			claim, err := answer(cmd.Context(), &a.nodes, func(ctx context.Context, c *api.Client) (*api.LinkClaim, error) { return api.ClaimOf(ctx, c, args[0]) })
			if err != nil {
				return err
			}
			if dryRun {
				a.std.note("would take link %s over: %s; nothing was changed", args[0], claimText(claim))
				return nil
			}
			if err := a.std.confirm("Link %s is taken over: %s. No node of that Sluice cluster may run.", args[0], claimText(claim)); err != nil {
				return err
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				ack, err := api.Adopt(ctx, c, args[0], claim.ClusterID)
				if err != nil {
					return err
				}
				return a.std.say(ack, "link %s is adopted; its streams look for their places: `sluice link describe %s`", ack.Name, ack.Name)
			})
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

// claimText says whose the link is.
func claimText(c *api.LinkClaim) string {
	if c.ClaimedAt == nil {
		return fmt.Sprintf("it was the Sluice cluster %s's, and the target holds no claim of that one any more", c.ClusterID)
	}
	return fmt.Sprintf("the Sluice cluster %s claims it, by its node %s since %s", c.ClusterID, c.Claimant, c.ClaimedAt.Format("2006-01-02 15:04:05Z"))
}
