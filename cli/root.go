package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// formats are what -o understands.
func formats() []string { return []string{"text", "wide", "json", "yaml", "tsv"} }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Keeps Apache Kafka clusters in step across datacenters",
		Long: `Sluice copies topics between Apache Kafka clusters, each record exactly once
and at the same offset, and goes on through the death of any of its nodes.

Exit codes: 0 good, 1 failed, 2 usage, 10 asked and the answer is bad.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.flags.output = cmd.Flag("output").Value.String() // also where a verb has an -o of its own
			return a.accept()
		},
	}
	a.globalFlags(root)
	root.AddCommand(a.statusCmd(), a.eventsCmd())
	root.AddCommand(a.manifestCmds()...)
	root.AddCommand(a.getCmd(), a.exportCmd(), a.linkCmd(), a.clusterCmd(), BalanceCmd(), a.generateCmd(), a.versionCmd())
	root.AddCommand(a.localCmds()...)
	root.CompletionOptions.DisableDefaultCmd = true
	wantVerb(root)
	return root
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&a.flags.output, "output", "o", "text", "how to write answers: "+strings.Join(formats(), ", "))
	f.StringVar(&a.flags.address, "address", a.env.Getenv("SLUICE_ADDRESS"), "node to ask, several with commas; default SLUICE_ADDRESS or "+DefaultAddress)
	f.StringVar(&a.flags.tokenFile, "token-file", a.env.Getenv("SLUICE_TOKEN_FILE"), "file with the API's token; default SLUICE_TOKEN_FILE")
	f.StringVar(&a.flags.caFile, "ca-file", a.env.Getenv("SLUICE_CA_FILE"), "PEM that https addresses are checked with; default SLUICE_CA_FILE")
	f.BoolVar(&a.flags.consistent, "consistent", false, "ask the leader before reading")
	f.Uint64Var(&a.flags.minIndex, "min-index", 0, "wait until the node asked has that index")
	f.StringVar(&a.flags.color, "color", "auto", "auto, always or never; NO_COLOR is obeyed")
	f.BoolVar(&a.flags.noHeaders, "no-headers", false, "leave out the heads of tables")
	f.DurationVar(&a.flags.timeout, "timeout", 30*time.Second, "give up after that long")
	f.BoolVar(&a.flags.yes, "yes", false, "do not ask before dangerous verbs")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "nothing but data and errors")
	f.BoolVarP(&a.flags.verbose, "verbose", "v", false, "say more")
}

// accept is called when flags and arguments were understood.
func (a *app) accept() error {
	switch {
	case !slices.Contains(formats(), a.flags.output):
		return fmt.Errorf("-o %q is none of %s", a.flags.output, strings.Join(formats(), ", "))
	case !slices.Contains([]string{"auto", "always", "never"}, a.flags.color):
		return fmt.Errorf("--color %q is none of auto, always, never", a.flags.color)
	case a.flags.timeout <= 0:
		return fmt.Errorf("--timeout %s is not positive", a.flags.timeout)
	}
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

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := VersionInfo{Version: "unknown"}
			if a.local.Version != nil {
				v = a.local.Version()
			}
			return a.write(v, func(w io.Writer) {
				fmt.Fprintf(w, "sluice %s", v.Version)
				if v.Commit != "" {
					fmt.Fprintf(w, " (%s, %s)", v.Commit, v.Date)
				}
				fmt.Fprintf(w, " %s\n", v.Go)
			}, nil)
		},
	}
}

func (a *app) generateCmd() *cobra.Command {
	gen := &cobra.Command{Use: "generate", Short: "Write files for other programs"}
	gen.AddCommand(&cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Completion for a shell", Args: oneArg("shell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), a.env.Stdout
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return &usageError{fmt.Errorf("there is no completion for %q: bash, zsh, fish or powershell", args[0])}
		},
	})
	return gen
}
