package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

// Env is what a command line runs in.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Terminal       bool       // Stdout is one
	Watched        bool       // Stderr is one
	Height         func() int // of the terminal in lines, now; 0: unknown
	Interactive    bool       // Stdin is one: a person can be asked
}

// OSEnv is the environment of this process.
func OSEnv() Env {
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Terminal: terminal(os.Stdout), Watched: terminal(os.Stderr), Interactive: terminal(os.Stdin), Height: func() int { return height(os.Stdout) },
	}
}

func terminal(f *os.File) bool { return isTerminal(f) && os.Getenv("TERM") != "dumb" }

// Local are the verbs that need no node. A nil one is not offered.
type Local struct {
	Version func() VersionInfo
	// Server runs a node until ctx ends. peers are asked besides the join list
	// of the configuration.
	Server func(ctx context.Context, configFile string, opts ServerOptions) error
	// CheckConfig checks a node's configuration; warnings are for a person.
	CheckConfig func(configFile string) (warnings []string, err error)
	// PrintConfig writes the configuration as it holds, with where each value
	// comes from.
	PrintConfig func(w io.Writer, configFile string, origin bool) error
	Demo        func(ctx context.Context, opts DemoOptions) error
	CreateCA    func(dir string) error
	CreateCert  func(dir, name string, hosts []string) error
}

// ServerOptions are the flags of `sluice server`.
type ServerOptions struct {
	Insecure bool     // no mTLS between nodes; on loopback only
	Join     []string // asked besides those of the configuration
	Verbose  bool
	Stderr   io.Writer
}

// DemoOptions are the flags of `sluice demo`.
type DemoOptions struct {
	Check          bool // no person: copy, kill, compare, end
	Stdout, Stderr io.Writer
}

// VersionInfo says which build this is.
type VersionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Date    string `json:"date"` // of the commit
	Go      string `json:"go"`
}

// app is one run of the command line.
type app struct {
	env   Env
	local Local
	flags flags
	// started is set once flags and arguments are accepted: what fails before
	// is a mistake of usage.
	started bool
}

// flags are the global ones.
type flags struct {
	output     string
	address    string
	tokenFile  string
	caFile     string
	consistent bool
	minIndex   uint64
	color      string
	noHeaders  bool
	timeout    time.Duration
	yes        bool
	quiet      bool
	verbose    bool
}

// DefaultAddress is asked when neither --address nor SLUICE_ADDRESS is set.
const DefaultAddress = "http://127.0.0.1:8080"

// Run carries out one command line and returns its exit code: 0 good, 1
// failed, 2 usage, 10 asked and the answer is bad.
func Run(ctx context.Context, args []string, env Env, local Local) int {
	a := &app{env: env, local: local}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	return a.finish(err)
}

// client is made when a verb needs it, so that other verbs need no node.
func (a *app) client() (*api.Client, error) {
	return api.NewClient(api.ClientConfig{
		Addresses: strings.Split(a.address(), ","), TokenFile: a.flags.tokenFile, CAFile: a.flags.caFile,
		Consistent: a.flags.consistent, MinIndex: a.flags.minIndex,
	})
}

func (a *app) address() string {
	if a.flags.address != "" {
		return a.flags.address
	}
	return DefaultAddress
}

// withClient runs a verb that asks a node, within --timeout.
func (a *app) withClient(ctx context.Context, do func(ctx context.Context, c *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
	defer cancel()
	c, err := a.client()
	if err != nil {
		return err
	}
	return do(ctx, c)
}

// ask makes sure that a person wants what is about to happen.
func (a *app) ask(format string, args ...any) error {
	if a.flags.yes {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	if !a.env.Interactive {
		return &usageError{fmt.Errorf("%s; nobody can be asked here: give --yes to do it, or --dry-run to look", what)}
	}
	fmt.Fprintf(a.env.Stderr, "%s\nGo on? [y/N] ", what)
	var answer string
	if _, err := fmt.Fscanln(a.env.Stdin, &answer); err != nil && !errors.Is(err, io.EOF) && answer != "" {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errors.New("not confirmed; nothing was changed")
	}
	return nil
}

// note tells something on the side; it is not data.
func (a *app) note(format string, args ...any) {
	if !a.flags.quiet {
		fmt.Fprintf(a.env.Stderr, format+"\n", args...)
	}
}

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
		return nil
	}
}
