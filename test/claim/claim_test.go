package claim

import (
	"testing"
	"time"
)

// judge notes a failure instead of failing.
type judge struct {
	testing.TB
	failed bool
}

func (j *judge) Helper()               {}
func (j *judge) Errorf(string, ...any) { j.failed = true }

func TestHowMuch(t *testing.T) {
	for _, c := range []struct {
		prove      string
		full, long bool
		rounds     int
	}{{"", false, false, 3}, {"short", false, true, 3}, {"1", true, true, 20}} {
		t.Setenv("SLUICE_PROVE", c.prove)
		if Full() != c.full || Long() != c.long || Rounds(3, 20) != c.rounds {
			t.Errorf("%q: full %v, long %v, %d rounds", c.prove, Full(), Long(), Rounds(3, 20))
		}
		within, late := &judge{TB: t}, &judge{TB: t}
		Bar(within, "x", time.Second, time.Second)
		Bar(late, "x", busy*time.Second+1, time.Second)
		if within.failed || !late.failed {
			t.Errorf("%q: a bar of one second: %v at 1 s, %v beyond %d s", c.prove, within.failed, late.failed, busy)
		}
		slow := &judge{TB: t}
		if Bar(slow, "x", 2*time.Second, time.Second); slow.failed != c.full {
			t.Errorf("%q: twice the time: failed %v", c.prove, slow.failed)
		}
	}
}
