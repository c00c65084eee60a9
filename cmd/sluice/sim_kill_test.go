package main

import (
	"testing"
	"time"
)

var simTopics = map[string]int32{"orders": 4, "pay": 2}

// TestSimQuiet is a run without faults.
func TestSimQuiet(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		s.watch(10 * time.Second)
		s.finish()
	})
}
