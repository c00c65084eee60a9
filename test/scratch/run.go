package scratch

import (
	"flag"
	"fmt"
	"os"
	"strconv"
)

// Tests is what a testing.M is: tests that run and give an exit code.
type Tests interface{ Run() int }

// runPrefix begins the names of the folders of runs.
const runPrefix = "sluice-test-"

// run is tests with a temporary folder of their own.
type run struct{ tests Tests }

// In gives the tests of a package one temporary folder: t.TempDir and whatever
// asks os.TempDir, in child processes too, is in it. It goes with the run, or
// with the next one where the run is killed. For TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(scratch.In(m).Run()) }
func In(m Tests) Tests { return run{m} }

// Together is In for tests that mostly wait: so many parallel ones run at once.
func Together(m Tests, most int) Tests {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(most)); err != nil {
		panic(err)
	}
	return In(m)
}

// Run runs the tests.
func (r run) Run() (code int) {
	dir, err := Make("", runPrefix)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// For this process and its children, until its end.
	if err := os.Setenv("TMPDIR", dir.Path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = r.tests.Run()
	if err := dir.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, "removing the temporary folder:", err)
		return max(code, 1)
	}
	return code
}
