package recovery

import (
	"testing"

	"sluice/fsm"
)

// TestAgainAndAgain: a fault that comes back each time a pipe is opened is
// waited for ever longer, and one that names a loss which is none does not show
// as that.
func TestAgainAndAgain(t *testing.T) {
	for _, c := range []struct {
		f    Fault
		over int
		want fsm.Code
	}{
		{Faulty(TopicChanged, fsm.CodeUnreachable, "m"), 1, fsm.CodeUnreachable},
		{Faulty(OutOfRange, fsm.CodePositionLost, "m"), 20, fsm.CodeUnreachable},
		{Faulty(Diverged, fsm.CodeSourceTruncated, "m"), 3, fsm.CodeUnreachable},
	} {
		w, ok := againAndAgain(c.f, c.over).(Wait)
		if !ok || w.Code != c.want || w.Message != "m" || w.For != Backoff(c.over) {
			t.Errorf("%v: %+v", c.f, w)
		}
	}
}
