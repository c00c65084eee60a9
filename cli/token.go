package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

func tokenCmd(a *app) *cobra.Command {
	token := &cobra.Command{Use: "token", Short: "Tokens with which nodes may join"}
	token.AddCommand(
		createTokenCmd(a),
		&cobra.Command{
			Use: "ls", Aliases: []string{"list"}, Short: "List the tokens that were not used yet", Args: noArgs,
			RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, _ []string) error {
				l, err := c.Admission().Tokens(ctx)
				if err != nil {
					return err
				}
				return a.std.write(l, nil, tokenTable(l.Items, l.AsOf))
			}),
		},
		&cobra.Command{
			Use: "revoke NODE", Short: "Take the token of a node away", Args: oneArg("node"),
			RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, args []string) error {
				ack, err := c.Admission().RevokeToken(ctx, args[0])
				if err != nil {
					return err
				}
				return a.std.say(ack, "the token of node %s is revoked", ack.Name)
			}),
		},
	)
	return token
}

func createTokenCmd(a *app) *cobra.Command {
	var in api.TokenRequest
	var ttl time.Duration
	cmd := &cobra.Command{
		Use: "create NODE", Short: "Make a token with which one node may join once", Args: oneArg("node"),
		Long: `Make a token with which a node of that name, in that datacenter, may join once.
It is written to stdout and not kept: put it into a file that only the node
reads, which ` + "`sluice cluster join --token-file`" + ` names there. A former token of
the node is void.`,
		Example: "  sluice cluster token create n4 --datacenter us-east > n4.token",
		RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, args []string) error {
			in.Node, in.TTLSeconds = args[0], int64(ttl/time.Second)
			if ttl < time.Second {
				return &usageError{fmt.Errorf("--ttl %s is less than a second", ttl)}
			}
			t, err := c.Admission().CreateToken(ctx, in)
			if err != nil {
				return err
			}
			a.std.note("node %s joins with it until %s, once; it is not shown again", t.Token.Node, t.Token.Expires.Format("2006-01-02 15:04:05Z"))
			return a.std.say(t, "%s", t.Secret)
		}),
	}
	cmd.Flags().StringVar(&in.Datacenter, "datacenter", "", "datacenter of the node, as its node.yaml names it; left out: it names none")
	cmd.Flags().DurationVar(&ttl, "ttl", api.DefaultTokenTTL, "how long it lasts, 24h at most")
	return cmd
}

func tokenTable(tokens []api.Token, now time.Time) *table {
	t := &table{cols: []column{
		{key: "node", head: "NODE", flex: true}, {key: "datacenter", head: "DATACENTER"}, {key: "expires", head: "EXPIRES"}, {key: "by", head: "MADE BY", flex: true},
	}}
	for _, x := range tokens {
		t.add(c(x.Node), c(orDash(x.Datacenter)), cell{text: fmt.Sprintf("in %s", x.Expires.Sub(now).Truncate(time.Second)), raw: x.Expires.Format(time.RFC3339)}, c(orDash(x.By)))
	}
	return t
}

func bansCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "bans", Short: "List the nodes that were taken out and are banned", Args: noArgs,
		Long: `List the nodes whose certificates ` + "`sluice cluster remove`" + ` has banned, one line for
each certificate. ` + "`sluice cluster unban NODE`" + ` lifts all bans on a node.`,
		RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, _ []string) error {
			l, err := c.Admission().Bans(ctx)
			if err != nil {
				return err
			}
			return a.std.write(l, nil, banTable(l.Items, l.AsOf))
		}),
	}
}

func banTable(bans []api.Ban, now time.Time) *table {
	t := &table{cols: []column{{key: "node", head: "NODE", flex: true}, {key: "since", head: "SINCE"}, {key: "key", head: "KEY OF ITS CERTIFICATE", flex: true}}}
	for _, x := range bans {
		key := cell{text: x.Key, raw: x.Key}
		if x.Key == "" {
			key.text = "any of its name"
		}
		t.add(c(x.Node), moment(x.Since, now), key)
	}
	return t
}

func unbanCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "unban NODE", Short: "Let a node that was taken out ask to be taken in again", Args: oneArg("node"),
		Long: `Lift the ban that ` + "`sluice cluster remove`" + ` puts on the certificate of a node. The
node may then join as any other: with a token, or listed in node.yaml of the
node that it asks. ` + "`sluice cluster bans`" + ` lists who is banned.`,
		RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, args []string) error {
			ack, err := c.Admission().Unban(ctx, args[0])
			if err != nil {
				return err
			}
			return a.std.say(ack, "node %s is not banned any more", ack.Name)
		}),
	}
}
