package system

import (
	"testing"

	"sluice/test/kafkalab"
)

// Brokers of the oldest version that the lab has, on both sides: no topic ids
// in produce requests, and the same promises.
func TestOlderBrokers(t *testing.T) {
	t.Parallel()
	old := kafkalab.Config{Version: kafkalab.V3}
	w := NewWorld(t, WorldConfig{Source: old, Target: old})
	w.Spread()
	victim := w.List()[0]
	gaps := w.After(victim.Kill)
	t.Logf("killed %s: longest gap %v", victim.Name, gaps[0].New)
	w.Equal()
}
