package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const cliIntro = `# The command line

<!-- Made from the verbs: go test ./cli -run TestReferenceIsCurrent -update -->

One binary, ` + "`sluice`" + `, is a node (` + "`sluice server`" + `) and the command line to any node. What ` + "`SLUICE_ADDRESS`" + `, ` + "`SLUICE_TOKEN_FILE`" + ` and ` + "`SLUICE_CA_FILE`" + ` say,
flags say again.
`

// cliReference is the page about all verbs.
func cliReference() string {
	env := Env{Getenv: func(string) string { return "" }}
	root := rootCmd(&app{std: streams{Env: env}, local: testLocal()})
	var b strings.Builder
	b.WriteString(cliIntro)
	describeVerb(&b, root)
	return b.String()
}

func describeVerb(b *strings.Builder, c *cobra.Command) {
	if c.Hidden {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	if about := c.Long; about != "" {
		fmt.Fprintf(b, "%s\n", about)
	} else {
		fmt.Fprintf(b, "%s.\n", c.Short)
	}
	if c.Runnable() && !c.HasSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.UseLine())
	}
	for _, alias := range c.Aliases {
		fmt.Fprintf(b, "\n`%s` means the same.\n", alias)
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.Example)
	}
	flags, title := flagsOf(c), "Flags"
	if !c.HasParent() {
		flags, title = c.PersistentFlags().FlagUsages(), "Flags of every verb"
	}
	if flags != "" {
		fmt.Fprintf(b, "\n%s:\n\n```\n%s```\n", title, flags)
	}
	for _, sub := range c.Commands() {
		describeVerb(b, sub)
	}
}

// flagsOf shows what a verb takes beside the flags of every verb: its own, and
// those that it shares with the verbs beside it.
func flagsOf(c *cobra.Command) string {
	all := pflag.NewFlagSet(c.Name(), pflag.ContinueOnError)
	for _, set := range []*pflag.FlagSet{c.NonInheritedFlags(), c.InheritedFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if c.Root().PersistentFlags().Lookup(f.Name) != f {
				all.AddFlag(f)
			}
		})
	}
	return all.FlagUsages()
}

func TestReferenceIsCurrent(t *testing.T) {
	const path = "../docs/reference/cli.md"
	want := cliReference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != want {
		t.Errorf("docs/reference/cli.md is not what the verbs say (%v); if the change is meant: go test ./cli -run TestReferenceIsCurrent -update", err)
	}
}
