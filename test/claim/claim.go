// Package claim says how much a run of the tests is to show. What is claimed of
// Sluice holds in every run; how often and for how long it is tried depends on
// the environment variable SLUICE_PROVE:
//
//	(unset)  few rounds, and nothing that takes minutes: for every commit
//	short    few rounds, and what takes minutes
//	1        all rounds, and the bars that hold on a quiet machine
package claim

import (
	"os"
	"testing"
	"time"
)

// Full reports whether all rounds are asked for, on a quiet machine.
func Full() bool { return os.Getenv("SLUICE_PROVE") == "1" }

// Long reports whether what takes minutes is asked for.
func Long() bool { return Full() || os.Getenv("SLUICE_PROVE") == "short" }

// Rounds is how often something is tried, or for how long: full or few.
func Rounds(few, full int) int {
	if Full() {
		return full
	}
	return few
}

// NeedsLong leaves the test out where nothing that takes minutes is asked for.
func NeedsLong(t testing.TB) {
	t.Helper()
	if !Long() {
		t.Skip("left out: it takes long; SLUICE_PROVE=short or 1 runs it")
	}
}

// busy is how many times longer than on a quiet machine things may take on one
// that others keep busy.
const busy = 5

// Bar fails the test where something took longer than is claimed. On any
// machine but the quiet one of a full proof it may take several times as long.
func Bar(t testing.TB, what string, took, most time.Duration) {
	t.Helper()
	if !Full() {
		most *= busy
	}
	if took > most {
		t.Errorf("%s: %v, at most %v", what, took, most)
	}
}
