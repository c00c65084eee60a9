package system

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/api"
	"sluice/test/claim"
	"sluice/test/kafkalab"
	"sluice/test/load"
)

// TestDeaths lets one cluster of nodes live through what kills, stops and
// replaces processes, under load. Both sides are compared after each.
func TestDeaths(t *testing.T) {
	t.Parallel()
	// A killed broker comes back once its session has timed out.
	w := NewWorld(t, WorldConfig{Target: kafkalab.Config{Overrides: map[string]string{"broker.session.timeout.ms": "2000"}}})
	w.Scenario("latency", func(t *testing.T) { w.latency(t, 4*time.Second) })
	w.Scenario("owner killed", w.ownerKilled)
	w.Scenario("leader killed", w.leaderKilled)
	w.Scenario("owner paused", w.ownerPaused)
	w.Scenario("all killed", w.allKilled)
	w.Scenario("target broker killed", w.targetBrokerKilled)
	w.Scenario("the leader leaves, another joins", w.leaveAndJoin)
}

func (w *World) ownerKilled(t *testing.T) {
	worst := time.Duration(0)
	rounds := claim.Rounds(3, 20)
	for round := range rounds {
		w.Spread()
		leader := w.Leader()
		victim := w.List()[round%3]
		if victim == leader {
			victim = w.List()[(round+1)%3]
		}
		owned := w.Owns(leader, victim)
		gaps := w.After(victim.Kill)
		t.Logf("round %d: killed %s, owner of %d: longest gap %v", round, victim.Name, len(owned), gaps[0].New)
		worst = max(worst, gaps[0].New)
		victim.Start()
		w.Moving()
	}
	t.Logf("%d rounds, longest gap %v", rounds, worst)
	claim.Bar(t, "longest gap", worst, 5*time.Second)
}

func (w *World) leaderKilled(t *testing.T) {
	worst, pause := time.Duration(0), time.Duration(0)
	rounds := claim.Rounds(2, 10)
	for round := range rounds {
		w.Spread()
		leader := w.Leader()
		owned := w.Owns(w.alive(), leader)
		gaps := w.After(leader.Kill)
		rest := others(gaps, owned)
		t.Logf("round %d: killed leader %s, owner of %d: longest gap %v, of the others %v", round, leader.Name, len(owned), gaps[0].New, rest)
		worst, pause = max(worst, gaps[0].New), max(pause, rest)
		leader.Start()
		w.Moving()
	}
	t.Logf("%d rounds, longest gap %v, of other nodes' partitions %v", rounds, worst, pause)
	claim.Bar(t, "longest gap", worst, 10*time.Second)
	claim.Bar(t, "longest pause of other nodes' partitions", pause, time.Second)
}

// others is the longest pause among partitions that are not of the set.
func others(gaps []load.Gap, set map[string]bool) time.Duration {
	longest := time.Duration(0)
	for _, g := range gaps {
		if !set[fmt.Sprintf("%s/%d", g.Topic, g.Partition)] {
			longest = max(longest, g.Pause)
		}
	}
	return longest
}

// ownerPaused stops a node for longer than it takes to give it up for dead. It
// wakes with requests on its connections, and takes part again by itself.
func (w *World) ownerPaused(t *testing.T) {
	worst := time.Duration(0)
	stopped := time.Duration(claim.Rounds(8, 60)) * time.Second
	for round := range claim.Rounds(1, 5) {
		w.Spread()
		victim := w.List()[round%3]
		began := time.Now()
		gaps := w.After(victim.Pause)
		t.Logf("round %d: paused %s: longest gap %v", round, victim.Name, gaps[0].New)
		worst = max(worst, gaps[0].New)
		Settle(t, time.Until(began.Add(stopped)))
		victim.Resume()
		w.Moving()
		w.Spread()
	}
	claim.Bar(t, "longest gap", worst, 5*time.Second)
}

func (w *World) allKilled(t *testing.T) {
	for _, n := range w.List() {
		n.Kill()
	}
	for _, n := range w.List() {
		n.Start()
	}
	began := time.Now()
	w.Moving()
	took := time.Since(began)
	t.Logf("copying %v after the last start", took)
	claim.Bar(t, "copying after the last start", took, 20*time.Second)
}

// targetBrokerKilled has the target's broker die and come back, with requests
// open.
func (w *World) targetBrokerKilled(t *testing.T) {
	for round := range claim.Rounds(1, 10) {
		if err := w.Dst.KillBroker(0); err != nil {
			t.Fatal(err)
		}
		if err := w.Dst.StartBroker(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		gap := w.Moving()
		t.Logf("round %d: target broker killed: new records %v after its return", round, gap.New)
	}
}

// leaveAndJoin: leaving drains, hands leadership over and ends cleanly; a
// further node joins. The node that left is still in the world's list: nothing
// comes after this.
func (w *World) leaveAndJoin(t *testing.T) {
	w.Spread()
	leader := w.Leader()
	w.Watch.Mark()
	if _, err := leader.Client().Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-leader.end
	w.moved()
	longest := time.Duration(0)
	for _, g := range w.Watch.Gaps() {
		longest = max(longest, g.Pause)
	}
	t.Logf("the leader left: longest pause %v", longest)
	claim.Bar(t, "longest pause", longest, time.Second)
	if s := w.alive().Status(); len(s.Nodes) != 2 {
		t.Errorf("%d members after one of three left", len(s.Nodes))
	}
	w.Watch.Mark()
	n4 := w.Join()
	until(t, "the new node votes and owns partitions", func() error {
		s := n4.Status()
		if s == nil {
			return fmt.Errorf("%s does not answer", n4.Name)
		}
		votes := slices.ContainsFunc(s.Nodes, func(m api.Node) bool { return m.Name == n4.Name && m.Role == "voter" })
		if owns := len(w.Owns(n4, n4)); !votes || owns == 0 {
			return fmt.Errorf("%s votes: %v, owns partitions: %v", n4.Name, votes, owns > 0)
		}
		return nil
	})
	gap := w.moved()
	t.Logf("n4 joined: longest wait for a new record %v", gap.New)
}
