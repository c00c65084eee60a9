// Command sluice is Sluice: a node of its cluster, and the command line to it.
// This package only joins the others: it reads node.yaml, builds the parts of
// a node, and starts and stops them in order.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"sluice/cli"
	"sluice/demo"
	"sluice/pki"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := cli.Run(ctx, os.Args[1:], cli.OSEnv(), local())
	stop()
	os.Exit(code)
}

// local are the verbs that run without a node.
func local() cli.Local {
	return cli.Local{
		Version: buildInfo,
		Server: func(ctx context.Context, config string, o cli.ServerOptions) error {
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(collectAt)
			}
			return serve(ctx, config, o)
		},
		CheckConfig: checkFile,
		PrintConfig: printFile,
		Demo:        runDemo,
		Rescue:      rescue{},
		CreateCA:    pki.CreateCA,
		CreateCert:  pki.CreateNodeCert,
		RenewCert: func(dir, name string) (cli.RenewedCert, error) {
			r, err := pki.RenewNodeCert(dir, name)
			return cli.RenewedCert(r), err
		},
	}
}

// collectAt is by how many percent the heap of a node grows before it is
// collected, GOGC's 100 by default. Batches lie in buffers that are used again,
// so there is little garbage: collecting sooner costs next to nothing, and a
// node with thousands of streams is a fifth smaller.
const collectAt = 50

// runDemo runs the nodes of the demo from this very binary.
func runDemo(ctx context.Context, o cli.DemoOptions) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cfg := demo.DefaultConfig()
	cfg.Check, cfg.Binary, cfg.Out, cfg.Err = o.Check, binary, o.Stdout, o.Stderr
	err = demo.Run(ctx, cfg)
	if errors.Is(err, demo.ErrDiffers) {
		return cli.BadAnswer(err.Error())
	}
	return err
}
