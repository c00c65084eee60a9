package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/manifest"
	"sluice/words"
)

func clusterCmd(a *app) *cobra.Command {
	cluster := &cobra.Command{Use: "cluster", Short: "The nodes of the Sluice cluster"}
	cluster.AddCommand(&cobra.Command{
		Use: "members", Short: "List the nodes, those that are not well first", Args: noArgs,
		RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, _ []string) error { return get(ctx, a, c, "Node") }),
	})
	if a.local.Server != nil {
		cluster.AddCommand(joinCmd(a))
	}
	cluster.AddCommand(healthCmd(a), transferCmd(a), leaveCmd(a), removeCmd(a), bansCmd(a), unbanCmd(a), tokenCmd(a), snapshotCmd(a))
	if a.local.Rescue != nil {
		cluster.AddCommand(recoverCmd(a))
	}
	return cluster
}

// joinCmd runs a new node: it is a server whose peers stand in the command.
func joinCmd(a *app) *cobra.Command {
	var config, token string
	opts := ServerOptions{Stderr: a.std.Stderr}
	cmd := &cobra.Command{
		Use: "join PEER...", Short: "Run this machine's node as a new member of the cluster that the peers belong to",
		Long: `Run this machine's node and let it join the cluster that the peers (host:port
of their peer ports) belong to. It begins without a vote, carries work at once,
and gets a vote after ten healthy seconds where there is room: an odd number of
members votes, seven at most. Afterwards ` + "`sluice server`" + ` is enough.

A node that no member's node.yaml lists needs a token, which ` + "`sluice cluster token create`" + `
makes on a member: in a file, or in SLUICE_JOIN_TOKEN.`,
		Example: "  sluice cluster join n1.example:7400 -c node.yaml --token-file n4.token",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s wants the peer address of at least one node, host:port", cmd.CommandPath())
			}
			for _, p := range args {
				if err := manifest.CheckAddress(p); err != nil {
					return fmt.Errorf("%s: the address of a peer %w", cmd.CommandPath(), err)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Join, opts.Verbose = args, a.verbose
			var err error
			if opts.Token, err = joinToken(a, token); err != nil {
				return err
			}
			return a.local.Server(cmd.Context(), config, opts)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "node.yaml", "configuration of the node")
	cmd.Flags().BoolVar(&opts.Insecure, "insecure", false, "no TLS between nodes; on loopback only")
	cmd.Flags().StringVar(&token, "token-file", "", "file with the token to join with; default: the token in SLUICE_JOIN_TOKEN, if any")
	return cmd
}

// joinToken is the secret that a node joins with, of a file or of the
// environment: a command line is seen by every user of the machine.
func joinToken(a *app, file string) (string, error) {
	if file == "" {
		return strings.TrimSpace(a.std.Getenv("SLUICE_JOIN_TOKEN")), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		// The path is not shown: it may be the token.
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return "", fmt.Errorf("reading the token to join with: %w; give the path of a file that holds it, not the token itself", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("%s holds no token to join with", file)
	}
	return token, nil
}

func leaveCmd(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "leave", Short: "The node asked hands over its tasks, leaves for good and ends", Args: noArgs,
		Long: `The node at --address hands its tasks over, gives up leadership, leaves the
cluster for good and ends. To stop a node for a while just stop its process.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.std.noTable(); err != nil {
				return err
			}
			s, err := answer(cmd.Context(), &a.nodes, func(ctx context.Context, c *api.Client) (*api.Status, error) { return c.Status(ctx, 0, 0) })
			if err != nil {
				return err
			}
			if dryRun {
				a.std.note("node %s would leave the cluster; nothing was changed", s.Node)
				return nil
			}
			if err := a.std.confirm("Node %s at %s will leave the cluster for good.", s.Node, a.nodes.address); err != nil {
				return err
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error { return leave(ctx, a, c, s) })
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

// leave is done when the node has gone from the members, as another node says.
func leave(ctx context.Context, a *app, c *api.Client, s *api.Status) error {
	ack, err := c.Leave(ctx)
	if err != nil {
		return err
	}
	p := a.std.progress()
	defer p.end()
	all := a.nodes
	all.address = strings.Join(append([]string{a.nodes.address}, others(a.nodes.address, s)...), ",")
	if c, err = all.client(); err != nil {
		return err
	}
	left := "has left"
	err = poll(ctx, 200*time.Millisecond, func(ctx context.Context) (*api.Status, error) { return c.Status(ctx, 0, 0) }, func(s *api.Status, err error) (bool, error) {
		switch {
		case err == nil && s.Node != ack.Name && !slices.ContainsFunc(s.Nodes, func(n api.Node) bool { return n.Name == ack.Name }):
			return true, nil
		case err == nil:
			p.say("node %s hands over %s", ack.Name, words.Count(tasksOf(s, ack.Name), "task"))
		case errors.Is(err, syscall.ECONNREFUSED):
			left = "has ended; see with `sluice cluster members --address` of another node that it is gone"
			return true, nil
		}
		return false, nil
	})
	if err != nil {
		return &badAnswer{fmt.Sprintf("node %s has begun to leave and is not gone yet; it goes on by itself, see `sluice cluster members`", ack.Name)}
	}
	p.end()
	ack.State = "left"
	return a.std.say(ack, "node %s %s", ack.Name, left)
}

// others are the addresses of the other nodes, to be asked as the first address
// is. One on loopback is another machine's, unless this node's is too.
func others(address string, s *api.Status) []string {
	first, _, _ := strings.Cut(address, ",")
	scheme := ""
	if strings.HasPrefix(first, "https://") {
		scheme = "https://"
	}
	loopback := func(address string) bool {
		return strings.HasPrefix(address, "127.") || strings.HasPrefix(address, "localhost") || strings.HasPrefix(address, "[::1]")
	}
	_, host, found := strings.Cut(first, "://")
	if !found {
		host = first
	}
	var out []string
	for _, n := range s.Nodes {
		if n.HTTP != "" && n.Name != s.Node && loopback(n.HTTP) == loopback(host) {
			out = append(out, scheme+n.HTTP)
		}
	}
	return out
}

func tasksOf(s *api.Status, node string) int {
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.Tasks
		}
	}
	return 0
}

func removeCmd(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "remove NODE", Short: "Take out a node that is gone for good", Args: oneArg("node"),
		Long: `Take out a node that is dead and does not come back, and ban its certificate:
whoever has it gets nothing from any node, until ` + "`sluice cluster unban`" + ` lifts that.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.std.noTable(); err != nil {
				return err
			}
			if dryRun {
				a.std.note("would remove node %s; nothing was changed", args[0])
				return nil
			}
			if err := a.std.confirm("Node %s is taken out of the cluster, and its certificate is banned; with its data dir it cannot come back.", args[0]); err != nil {
				return err
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				ack, err := c.RemoveMember(ctx, args[0])
				if err != nil {
					return err
				}
				if ack.State == api.StateBanned {
					return a.std.say(ack, "node %s is removed, and its certificate is banned until `sluice cluster unban %s`", ack.Name, ack.Name)
				}
				return a.std.say(ack, "node %s is removed", ack.Name)
			})
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}
