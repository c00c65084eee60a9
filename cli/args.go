package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/manifest"
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
		if strings.Trim(args[0], ".") == "" || strings.ContainsAny(args[0], ",/") { // none of them is in a name
			return fmt.Errorf("%s wants one %s, found %q", cmd.CommandPath(), what, args[0])
		}
		return nil
	}
}

// oneArgAtMost wants one argument, called what, or none.
func oneArgAtMost(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return oneArg(what)(cmd, args)
	}
}

// oneFile wants exactly one argument, the path of a file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("%s wants one file, found %d", cmd.CommandPath(), len(args))
	}
	return nil
}

// dryRunFlag gives a verb its --dry-run.
func dryRunFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "dry-run", false, "show what would be done, and do nothing")
}

// plainFlag says in plain words what is wrong with a flag.
func plainFlag(cmd *cobra.Command, err error) error {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		flag := bad.GetFlag()
		wants, known := map[string]string{
			"bool": "true or false", "duration": "a duration like 500ms, 10s or 2h",
			"int": "a whole number", "int32": "a whole number that fits", "uint64": "a whole number, 0 or more",
		}[flag.Value.Type()]
		if !known {
			return err
		}
		return fmt.Errorf("--%s %q is not %s", flag.Name, bad.GetValue(), wants)
	}
	if bad, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s wants a value", bad.GetFlag().Name)
	}
	if bad, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if bad.GetSpecifiedShortnames() != "" {
			return fmt.Errorf("there is no flag -%s", bad.GetSpecifiedName())
		}
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		name := "--" + bad.GetSpecifiedName()
		return fmt.Errorf("there is no flag %s%s", name, manifest.DidYouMean(name, known...))
	}
	return err
}
