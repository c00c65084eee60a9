package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// localCmds are the verbs that need no node, as far as they were handed in.
func localCmds(a *app) []*cobra.Command {
	var out []*cobra.Command
	if a.local.Server != nil {
		out = append(out, serverCmd(a))
	}
	if a.local.Demo != nil {
		out = append(out, demoCmd(a))
	}
	if a.local.CreateCA != nil && a.local.CreateCert != nil && a.local.RenewCert != nil {
		out = append(out, certCmd(a))
	}
	return out
}

func serverCmd(a *app) *cobra.Command {
	var config string
	opts := ServerOptions{Stderr: a.std.Stderr}
	server := &cobra.Command{
		Use: "server", Short: "Run a node", Args: noArgs,
		Example: "  sluice server -c node.yaml\n  sluice server validate -c node.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Verbose = a.verbose
			var err error
			if opts.Token, err = joinToken(a, ""); err != nil {
				return err
			}
			return a.local.Server(cmd.Context(), config, opts)
		},
	}
	server.PersistentFlags().StringVarP(&config, "config", "c", "node.yaml", "configuration of the node")
	server.Flags().BoolVar(&opts.Insecure, "insecure", false, "no TLS between nodes; on loopback only")
	if a.local.CheckConfig != nil {
		server.AddCommand(&cobra.Command{
			Use: "validate", Short: "Check a node's configuration and the files that it names", Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				warnings, err := a.local.CheckConfig(config)
				for _, w := range warnings {
					a.std.warn(w)
				}
				if err == nil {
					a.std.note("%s: no fault", config)
				}
				return err
			},
		})
	}
	if a.local.PrintConfig != nil {
		server.AddCommand(printConfigCmd(a, &config))
	}
	return server
}

func demoCmd(a *app) *cobra.Command {
	opts := DemoOptions{Stdout: a.std.Stdout, Stderr: a.std.Stderr}
	cmd := &cobra.Command{
		Use: "demo", Short: "Two embedded Kafka clusters, three nodes, a link and load, on this machine", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.local.Demo(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.Check, "check", false, "without a person: copy, kill a node, compare both sides, end")
	return cmd
}

func certCmd(a *app) *cobra.Command {
	cert := &cobra.Command{Use: "cert", Short: "Certificates for the peer port"}
	var dir string
	ca := &cobra.Command{
		Use: "ca", Short: "Make a certificate authority: ca.pem and ca.key", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.local.CreateCA(dir); err != nil {
				return err
			}
			a.std.note("wrote %s/ca.pem and %s/ca.key; keep the key away from the nodes", dir, dir)
			return nil
		},
	}
	var hosts []string
	node := &cobra.Command{
		Use: "node NAME", Short: "Make a node's certificate: NAME.pem and NAME.key", Args: oneArg("node name"),
		Example: "  sluice cert node n1 --host n1.example --host 10.0.0.1",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(hosts) == 0 {
				return &usageError{fmt.Errorf("--host is missing: the names and addresses under which other nodes reach %s", args[0])}
			}
			if err := a.local.CreateCert(dir, args[0], hosts); err != nil {
				return err
			}
			a.std.note("wrote %s/%s.pem and %s/%s.key; the node also needs ca.pem", dir, args[0], dir, args[0])
			return nil
		},
	}
	renew := &cobra.Command{
		Use: "renew NAME", Short: "Put a new certificate in the place of a node's: NAME.pem and NAME.key", Args: oneArg("node name"),
		Long: `Put a new certificate and a new key in the place of NAME.pem and NAME.key, for the
node and the hosts that the former certificate is for, which may have expired.
The authority must be the one that signed it, with its key: in --dir, all four
files. Each file is replaced at once and keeps its owner; the former pair is not
kept.

A running node takes up what is put in the place of its files by itself.`,
		Example: "  sluice cert renew n1\n  sluice cert renew n1 --dir /secure/pki",
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := a.local.RenewCert(dir, args[0])
			if err != nil {
				return err
			}
			a.std.note("renewed %[1]s/%[2]s.pem and %[1]s/%[2]s.key, for %[3]s: they end at %[4]s, the former at %[5]s; put both in place on the node, the key first: it takes them up by itself",
				dir, args[0], r.Hosts, r.Until.UTC().Format(time.RFC3339), r.Former.UTC().Format(time.RFC3339))
			return nil
		},
	}
	for _, cmd := range []*cobra.Command{ca, node, renew} {
		cmd.Flags().StringVar(&dir, "dir", ".", "directory of the certificate authority")
		cert.AddCommand(cmd)
	}
	node.Flags().StringSliceVar(&hosts, "host", nil, "host name or IP address of the node, several with commas")
	return cert
}
