// Command sluice is Sluice: a node of its cluster, and the command line to it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 4 || os.Args[1] != "server" {
		fmt.Fprintln(os.Stderr, "usage: sluice server -c node.yaml")
		os.Exit(2)
	}
	if err := serve(ctx, os.Args[3], false, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sluice:", err)
		os.Exit(1)
	}
}
