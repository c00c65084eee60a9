package wait

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const every = 10 * time.Millisecond

// after runs Until in a bubble and returns how long it waited, and its error.
func after(t *testing.T, limit time.Duration, f func(time.Duration) error) (took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		began := time.Now()
		err = Until(ctx, every, time.Minute, func(context.Context) error { return f(time.Since(began)) })
		took = time.Since(began)
	})
	return took, err
}

func TestSlowIsNotStuck(t *testing.T) {
	took, err := after(t, 10*time.Hour, func(d time.Duration) error {
		if d > 2*time.Hour {
			return nil
		}
		return fmt.Errorf("%d of 120", int(d.Minutes()))
	})
	if err != nil || took < 2*time.Hour || took > 2*time.Hour+time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestStuck(t *testing.T) {
	for name, says := range map[string]func(time.Duration) string{
		"the same":                func(time.Duration) string { return "3 of 12" },
		"what was said before":    func(d time.Duration) string { return []string{"refused", "reset"}[d/every%2] },
		"the same of other ports": func(d time.Duration) string { return fmt.Sprintf("127.0.0.1:%d->127.0.0.1:80: refused", 30000+d/every) },
	} {
		t.Run(name, func(t *testing.T) {
			took, err := after(t, 10*time.Hour, func(d time.Duration) error { return errors.New(says(d)) })
			if !errors.Is(err, ErrStuck) || took < time.Minute || took > time.Minute+time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

func TestEndsWithItsContext(t *testing.T) {
	missing := errors.New("missing")
	took, err := after(t, time.Second, func(time.Duration) error { return missing })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, missing) || took != time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestEndsWithAFinalError(t *testing.T) {
	dead := errors.New("dead")
	took, err := after(t, time.Hour, func(time.Duration) error { return fmt.Errorf("asking: %w", Final(dead)) })
	if !errors.Is(err, dead) || took != 0 || !strings.Contains(err.Error(), "dead") {
		t.Errorf("%v after %v", err, took)
	}
}
