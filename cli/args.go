package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// noArgs refuses arguments with words of its own.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, found %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// oneArg wants exactly one argument, called what.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s wants one %s, found %d", cmd.CommandPath(), what, len(args))
		}
		if args[0] == "" || strings.Contains(args[0], ",") {
			return fmt.Errorf("%s wants one %s, found %q", cmd.CommandPath(), what, args[0])
		}
		return nil
	}
}

// dryRunFlag gives a verb its --dry-run.
func dryRunFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "dry-run", false, "show what would be done, and do nothing")
}
