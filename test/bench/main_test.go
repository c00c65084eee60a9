package bench

import (
	"os"
	"testing"

	"sluice/test/scratch"
)

func TestMain(m *testing.M) { os.Exit(scratch.In(m).Run()) }
