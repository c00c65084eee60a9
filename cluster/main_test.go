package cluster

import (
	"testing"

	"go.uber.org/goleak"

	"sluice/test/scratch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(scratch.In(m)) }
