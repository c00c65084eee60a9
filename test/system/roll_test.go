package system

import (
	"testing"

	"sluice/test/claim"
	"sluice/test/kafkalab"
)

// Brokers of the target, then of the source, are restarted one after another;
// leaders move, and nobody lends a hand.
func TestRollingRestart(t *testing.T) {
	claim.NeedsLong(t)
	t.Parallel()
	three := kafkalab.Config{Brokers: 3, Overrides: map[string]string{"min.insync.replicas": "2"}}
	w := NewWorld(t, WorldConfig{Source: three, Target: three, Replicas: 3, Link: "  targetTopics: {replicationFactor: 3}\n"})
	for _, side := range []struct {
		name string
		c    *kafkalab.Cluster
	}{{"target", w.Dst}, {"source", w.Src}} {
		for i := range side.c.Brokers() {
			w.Watch.Mark()
			if err := side.c.RestartBroker(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			if err := side.c.WaitInSync(t.Context(), w.Topic.Name); err != nil {
				t.Fatal(err)
			}
			gap := w.moved()
			t.Logf("%s broker %d restarted: longest wait for a new record %v", side.name, i, gap.New)
		}
	}
	w.Moving()
	w.Equal()
}
