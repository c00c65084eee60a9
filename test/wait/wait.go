// Package wait tells what is slow from what is stuck. A test gives up when
// nothing has moved for long, not when a time is over that a quiet machine
// would have kept.
package wait

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"
)

// Patience is how long nothing may move before a test gives up.
const Patience = 2 * time.Minute

// ErrStuck says that nothing has moved for as long as the caller had patience.
var ErrStuck = errors.New("nothing has moved")

// Until calls f until it returns nil, with a pause of every in between. What
// its error says is where things stand: Until goes on as long as it says what
// it has not said before, and gives up when it has said nothing new for
// patience, or when ctx ends, with f's last error. f says no times, which
// would always be new. An error that Final made ends the waiting at once.
func Until(ctx context.Context, every, patience time.Duration, f func(context.Context) error) error {
	pause := time.NewTimer(every)
	defer pause.Stop()
	said, moved := map[string]bool{}, time.Now()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if end := (finalError{}); errors.As(err, &end) {
			return end.error
		}
		if text := steady(err); !said[text] {
			said[text], moved = true, time.Now()
		}
		if since := time.Since(moved); since > patience {
			return fmt.Errorf("%w for %v; last: %w", ErrStuck, since.Round(time.Second), err)
		}
		pause.Reset(every)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		case <-pause.C:
		}
	}
}

// For is Until without a context, for a test, which fails when it gives up.
func For(t testing.TB, every, patience time.Duration, what string, f func() error) {
	t.Helper()
	if err := Until(context.Background(), every, patience, func(context.Context) error { return f() }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// portNumber is the part of an address that differs from attempt to attempt.
var portNumber = regexp.MustCompile(`:\d+\b`)

// steady is what an error says, without port numbers.
func steady(err error) string { return portNumber.ReplaceAllString(err.Error(), ":") }

// finalError ends a wait: waiting longer cannot help.
type finalError struct{ error }

// Final makes an error with which f ends the waiting.
func Final(err error) error { return finalError{err} }
