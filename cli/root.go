package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// formats are what -o understands.
func formats() []string { return []string{"text", "wide", "json", "yaml", "tsv"} }

// defaultTimeout is longer than a node needs at most for one request
// (api.MaxWait), so that the node's own answer comes first: it knows more.
const defaultTimeout = 75 * time.Second

func rootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Keeps Apache Kafka clusters in step across datacenters",
		Long: `Sluice copies topics between Apache Kafka clusters, each record exactly once
and at the same offset, and goes on through the death of any of its nodes.

Exit codes: 0 good, 1 failed, 2 usage, 10 asked and the answer is bad.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.accept()
		},
	}
	globalFlags(root, a)
	root.AddCommand(
		statusCmd(a),
		eventsCmd(a),
		applyCmd(a),
		planCmd(a),
		diffCmd(a),
		deleteCmd(a),
		validateCmd(a),
		getCmd(a),
		exportCmd(a),
		linkCmd(a),
		clusterCmd(a),
		balanceCmd(a),
		operationCmd(a),
		generateCmd(a),
		versionCmd(a),
	)
	root.AddCommand(localCmds(a)...)
	root.CompletionOptions.DisableDefaultCmd = true
	wantVerb(root)
	return root
}

func globalFlags(root *cobra.Command, a *app) {
	f, s, n := root.PersistentFlags(), &a.std, &a.nodes
	f.StringVarP(&s.format, "output", "o", "text", "how to write answers: "+strings.Join(formats(), ", "))
	f.StringVar(&n.address, "address", s.Getenv("SLUICE_ADDRESS"), "node to ask, several with commas; default SLUICE_ADDRESS or "+DefaultAddress)
	f.StringVar(&n.tokenFile, "token-file", s.Getenv("SLUICE_TOKEN_FILE"), "file with the API's token; default SLUICE_TOKEN_FILE")
	f.StringVar(&n.caFile, "ca-file", s.Getenv("SLUICE_CA_FILE"), "PEM that https addresses are checked with; default SLUICE_CA_FILE")
	f.BoolVar(&n.consistent, "consistent", false, "ask the leader before reading")
	f.Uint64Var(&n.minIndex, "min-index", 0, "wait until the node asked has that index")
	f.StringVar(&s.color, "color", "auto", "auto, always or never; NO_COLOR is obeyed")
	f.BoolVar(&s.noHeaders, "no-headers", false, "leave out the heads of tables")
	f.DurationVar(&n.timeout, "timeout", defaultTimeout, "give up after that long")
	f.BoolVar(&s.yes, "yes", false, "do not ask before dangerous verbs")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "nothing but data and errors")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say more")
}

// accept is called when flags and arguments were understood.
func (a *app) accept() error {
	switch {
	case !slices.Contains(formats(), a.std.format):
		return fmt.Errorf("-o %q is none of %s", a.std.format, strings.Join(formats(), ", "))
	case !slices.Contains([]string{"auto", "always", "never"}, a.std.color):
		return fmt.Errorf("--color %q is none of auto, always, never", a.std.color)
	case a.nodes.timeout <= 0:
		return fmt.Errorf("--timeout %s is not positive", a.nodes.timeout)
	}
	a.nodes.address = cmp.Or(a.nodes.address, DefaultAddress)
	a.started = true
	return nil
}

// wantVerb lets every group of verbs refuse to run without one.
func wantVerb(c *cobra.Command) {
	for _, sub := range c.Commands() {
		wantVerb(sub)
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s wants a verb: %s", cmd.CommandPath(), strings.Join(verbs(cmd), ", "))
			}
			hint := ""
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("; did you mean %q?", near[0])
			}
			return fmt.Errorf("%s does not know the verb %q%s", cmd.CommandPath(), args[0], hint)
		}
		c.SuggestionsMinimumDistance = 2
		c.RunE = func(*cobra.Command, []string) error { return nil }
	}
}

func verbs(c *cobra.Command) []string {
	var out []string
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			out = append(out, sub.Name())
		}
	}
	return out
}

// Run carries out one command line and returns its exit code: 0 good, 1
// failed, 2 usage, 10 asked and the answer is bad.
func Run(ctx context.Context, args []string, env Env, local Local) int {
	a := &app{std: streams{Env: env}, local: local}
	root := rootCmd(a)
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	return a.finish(root.ExecuteContext(ctx))
}
