package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
)

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
	Rescue      RescueVerbs
	CreateCA    func(dir string) error
	CreateCert  func(dir, name string, hosts []string) error
	// RenewCert puts a new pair in the place of a node's.
	RenewCert func(dir, name string) (RenewedCert, error)
}

// RenewedCert is a certificate that took the place of a former one.
type RenewedCert struct {
	Former, Until time.Time // when both end
	Hosts         string    // that both are for
}

// ServerOptions are the flags of `sluice server`.
type ServerOptions struct {
	Insecure bool     // no mTLS between nodes; on loopback only
	Token    string   // secret to join with; empty: none
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
	Version      string `json:"version"`
	Commit       string `json:"commit"`
	Date         string `json:"date"` // of the commit
	Go           string `json:"go"`
	FeatureLevel uint32 `json:"featureLevel"` // the highest that the build knows
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

// finish reports an error on stderr and gives the exit code.
func (a *app) finish(cmd *cobra.Command, err error) int {
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
		a.std.problem(&api.Problem{Code: "usage", Detail: err.Error(), Next: "see `" + cmd.CommandPath() + " --help`"})
		return exitUsage
	}
	a.std.problem(a.nodes.explain(err))
	return exitFailed
}
