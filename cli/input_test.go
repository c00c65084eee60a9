package cli_test

import (
	"context"
	"io"
	"testing"
	"time"

	"sluice/cli"
)

// TestValidateEndsWithItsContext: a signal ends it also while it waits for
// text that never comes.
func TestValidateEndsWithItsContext(t *testing.T) {
	stdin, never := io.Pipe()
	defer never.Close()
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	env := cli.Env{Stdin: stdin, Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	if code := cli.Run(ctx, []string{"validate", "-f", "-"}, env, cli.Local{}); code != 1 {
		t.Errorf("exit %d", code)
	}
}
