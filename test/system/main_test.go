package system

import (
	"flag"
	"os"
	"testing"

	"sluice/test/claim"
	"sluice/test/scratch"
)

// TestMain lets tests that mostly wait do so together, one at a time when
// proving: bars are for a quiet machine.
func TestMain(m *testing.M) {
	flag.Parse()
	together := "4"
	if claim.Full() {
		together = "1"
	}
	if err := flag.Set("test.parallel", together); err != nil {
		panic(err)
	}
	os.Exit(scratch.In(m).Run())
}
