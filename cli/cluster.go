package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

func (a *app) clusterCmd() *cobra.Command {
	cluster := &cobra.Command{Use: "cluster", Short: "The nodes of the Sluice cluster"}
	cluster.AddCommand(&cobra.Command{
		Use: "members", Short: "List the nodes, those that are not well first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(cmd.Context(), func(ctx context.Context, c *api.Client) error { return a.get(ctx, c, "Node", "") })
		},
	})
	if a.local.Server != nil {
		cluster.AddCommand(a.joinCmd())
	}
	cluster.AddCommand(a.leaveCmd(), a.removeCmd())
	return cluster
}

// joinCmd runs a new node: it is a server whose peers stand in the command.
func (a *app) joinCmd() *cobra.Command {
	var config string
	opts := ServerOptions{Stderr: a.env.Stderr}
	cmd := &cobra.Command{
		Use: "join PEER...", Short: "Run this machine's node as a new member of the cluster that the peers belong to",
		Long: `Run this machine's node and let it join the cluster that the peers (host:port
of their peer ports) belong to. It begins without a vote, carries work at once,
and gets a vote after ten healthy seconds. Afterwards ` + "`sluice server`" + ` is enough.`,
		Example: "  sluice cluster join n1.example:7400 -c node.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s wants the peer address of at least one node, host:port", cmd.CommandPath())
			}
			for _, p := range args {
				if _, _, err := net.SplitHostPort(p); err != nil {
					return fmt.Errorf("%q is not host:port", p)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Join, opts.Verbose = args, a.flags.verbose
			return a.local.Server(cmd.Context(), config, opts)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "node.yaml", "configuration of the node")
	cmd.Flags().BoolVar(&opts.Insecure, "insecure", false, "no TLS between nodes; on loopback only")
	return cmd
}

func (a *app) leaveCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "leave", Short: "The node asked hands over its tasks, leaves for good and ends", Args: noArgs,
		Long: `The node at --address hands its tasks over, gives up leadership, leaves the
cluster for good and ends. To stop a node for a while just stop its process.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.whom(cmd.Context())
			if err != nil {
				return err
			}
			if dryRun {
				a.note("node %s would leave the cluster; nothing was changed", s.Node)
				return nil
			}
			if err := a.ask("Node %s at %s will leave the cluster for good.", s.Node, a.address()); err != nil {
				return err
			}
			return a.withClient(cmd.Context(), func(ctx context.Context, c *api.Client) error { return a.leave(ctx, c) })
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}

func (a *app) whom(ctx context.Context) (*api.Status, error) {
	var s *api.Status
	err := a.withClient(ctx, func(ctx context.Context, c *api.Client) (err error) {
		s, err = c.Status(ctx, 0, 0)
		return err
	})
	return s, err
}

// leave is done when the node no longer answers.
func (a *app) leave(ctx context.Context, c *api.Client) error {
	ack, err := c.Leave(ctx)
	if err != nil {
		return err
	}
	p := a.progress()
	defer p.end()
	for {
		s, err := c.Status(ctx, 0, 0)
		var op *net.OpError
		switch {
		case ctx.Err() != nil:
			return &badAnswer{fmt.Sprintf("node %s has not left yet; it goes on by itself", ack.Name)}
		case errors.As(err, &op), err == nil && s.Node != ack.Name:
			ack.State = "left"
			p.end()
			return a.write(ack, func(w io.Writer) { fmt.Fprintf(w, "node %s has left\n", ack.Name) }, nil)
		case err == nil:
			p.say("node %s hands over %s", ack.Name, plural(tasksOf(s, ack.Name), "task"))
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func tasksOf(s *api.Status, node string) int {
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.Tasks
		}
	}
	return 0
}

func (a *app) removeCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "remove NODE", Short: "Take out a node that is gone for good", Args: oneArg("node"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dryRun {
				a.note("would remove node %s; nothing was changed", args[0])
				return nil
			}
			if err := a.ask("Node %s is taken out of the cluster; with its data dir it cannot come back.", args[0]); err != nil {
				return err
			}
			return a.withClient(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				ack, err := c.RemoveMember(ctx, args[0])
				if err != nil {
					return err
				}
				return a.write(ack, func(w io.Writer) { fmt.Fprintf(w, "node %s is removed\n", ack.Name) }, nil)
			})
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}
