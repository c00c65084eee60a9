package recovery

import (
	"testing"
	"time"

	"sluice/fsm"
)

// TestOldRequests: how long a request that nobody answered is reckoned with.
func TestOldRequests(t *testing.T) {
	l := Lifetimes{Lease: time.Second, Request: 10 * time.Second, Guarded: 100 * time.Second}
	old := Memory{OldRequests: true}
	for name, c := range map[string]struct{ got, want time.Duration }{
		"nobody has written":              {l.Before(&fsm.Copy{}), 0},
		"somebody has written":            {l.Before(&fsm.Copy{Mapping: &fsm.Mapping{}}), 11 * time.Second},
		"guarded, none left":              {l.Opening(Open{Guarded: true}, Memory{}), 0},
		"guarded, some left":              {l.Opening(Open{Guarded: true}, old), 101 * time.Second},
		"unguarded, they were waited for": {l.Opening(Open{}, old), 0},
		"all answered":                    {l.Ended(Fault{}, false), 0},
		"one perhaps written":             {l.Ended(Fault{Perhaps: true}, false), 11 * time.Second},
		"the pipe ended, some under way":  {l.Ended(Fault{}, true), 11 * time.Second},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}
