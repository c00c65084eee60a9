package system

import (
	"context"
	"slices"
	"testing"
	"time"

	"sluice/api"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

// Brokers of the target, then of the source, are restarted one after another;
// leaders move, and nobody lends a hand.
func TestRollingRestart(t *testing.T) {
	three := kafkalab.Config{Brokers: 3, Overrides: map[string]string{"min.insync.replicas": "2"}}
	w := NewWorld(t, WorldConfig{Source: three, Target: three, Replicas: 3, Link: "  targetTopics: {replicationFactor: 3}\n"})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, side := range []struct {
		name string
		c    *kafkalab.Cluster
	}{{"target", w.Dst}, {"source", w.Src}} {
		for i := range side.c.Brokers() {
			w.Watch.Mark()
			if err := side.c.RestartBroker(ctx, i); err != nil {
				t.Fatal(err)
			}
			if err := side.c.WaitInSync(ctx, w.Topic.Name); err != nil {
				t.Fatal(err)
			}
			gap := w.moved(60 * time.Second)
			t.Logf("%s broker %d restarted: longest wait for a new record %v", side.name, i, gap.New)
		}
	}
	w.Moving(20 * time.Second)
	w.Equal()
}

// Half of the target's brokers die and come back, with requests open.
func TestTargetBrokerKilled(t *testing.T) {
	w := NewWorld(t, WorldConfig{})
	for round := range Rounds(2, 10) {
		if err := w.Dst.KillBroker(0); err != nil {
			t.Fatal(err)
		}
		if err := w.Dst.StartBroker(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		gap := w.Moving(60 * time.Second)
		t.Logf("round %d: target broker killed: new records %v after its return", round, gap.New)
	}
	w.Equal()
}

// Leaving drains, hands leadership over and ends cleanly; a further node joins.
func TestLeaveAndJoin(t *testing.T) {
	w := NewWorld(t, WorldConfig{})
	w.Spread()
	leader := w.Leader()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w.Watch.Mark()
	if _, err := leader.Client().Leave(ctx); err != nil {
		t.Fatal(err)
	}
	<-leader.end
	w.moved(20 * time.Second)
	longest := time.Duration(0)
	for _, g := range w.Watch.Gaps() {
		longest = max(longest, g.Pause)
	}
	t.Logf("the leader left: longest pause %v", longest)
	if longest > time.Second {
		t.Errorf("longest pause %v, at most 1 s", longest)
	}
	if s := w.alive().Status(); len(s.Nodes) != 2 {
		t.Errorf("%d members after one of three left", len(s.Nodes))
	}
	w.Watch.Mark()
	n4 := w.Join()
	rig.Until(t, 40*time.Second, "the new node votes and owns partitions", func() bool {
		s := n4.Status()
		return s != nil && len(w.Owns(n4, n4)) > 0 && slices.ContainsFunc(s.Nodes, func(m api.Node) bool {
			return m.Name == n4.Name && m.Role == "voter"
		})
	})
	gap := w.moved(20 * time.Second)
	t.Logf("n4 joined: longest wait for a new record %v", gap.New)
	w.Equal()
}
