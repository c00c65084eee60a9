package system

import (
	"os"
	"testing"

	"sluice/test/claim"
	"sluice/test/scratch"
)

// TestMain lets tests that mostly wait do so together, one at a time when
// proving: bars are for a quiet machine.
func TestMain(m *testing.M) {
	os.Exit(scratch.Together(m, claim.Rounds(4, 1)).Run())
}
