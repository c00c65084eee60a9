package cli

import (
	"context"

	"github.com/spf13/cobra"

	"sluice/api"
)

func transferCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "transfer-leadership [NODE]", Short: "Let another voter lead", Args: oneArgAtMost("node"),
		Long: `Hand leadership to a voter, or where none is named to the one that is best off.
Any node may be asked. It is done when the new leader has proven that it leads;
copying goes on meanwhile.`,
		Example: "  sluice cluster transfer-leadership n2\n  sluice cluster transfer-leadership   # before the leader's machine is restarted",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.std.noTable(); err != nil {
				return err
			}
			node := ""
			if len(args) > 0 {
				node = args[0]
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				ack, err := api.TransferLeadership(ctx, c, node)
				if err != nil {
					return err
				}
				if ack.State == api.StateLedAlready {
					return a.std.say(ack, "node %s leads already", ack.Name)
				}
				return a.std.say(ack, "node %s leads now", ack.Name)
			})
		},
	}
}
