package cli

import (
	"context"
	"errors"
	"io"
	"os"

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

// app is one run of the command line: what every verb works with.
type app struct {
	std     streams
	nodes   nodes
	local   Local
	verbose bool
	// started is set once flags and arguments are accepted: what fails before
	// is a mistake of usage.
	started bool
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

// Exit codes, a contract with scripts.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
	exitBad    = 10 // asked, and the answer is bad
)

// usageError is a mistake in the command line itself.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// badAnswer is no failure: the question was answered, and the answer is bad.
// What there is to say has been written already.
type badAnswer struct{ why string }

func (e *badAnswer) Error() string { return e.why }

// BadAnswer is the error of a question that was answered badly; the process
// ends with code 10.
func BadAnswer(why string) error { return &badAnswer{why} }

// finish reports an error on stderr and gives the exit code.
func (a *app) finish(err error) int {
	var usage *usageError
	var bad *badAnswer
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &bad):
		if bad.why != "" {
			a.std.note("%s", bad.why)
		}
		return exitBad
	case !a.started || errors.As(err, &usage):
		a.std.problem(&api.Problem{Code: "usage", Detail: err.Error(), Next: "see `sluice --help`"})
		return exitUsage
	}
	a.std.problem(a.nodes.explain(err))
	return exitFailed
}
