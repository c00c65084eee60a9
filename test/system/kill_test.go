package system

import (
	"fmt"
	"testing"
	"time"

	"sluice/test/load"
	"sluice/test/rig"
)

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

func TestOwnerKilled(t *testing.T) {
	w := NewWorld(t, WorldConfig{})
	worst := time.Duration(0)
	rounds := Rounds(3, 20)
	for round := range rounds {
		w.Spread()
		leader := w.Leader()
		victim := w.List()[round%3]
		if victim == leader {
			victim = w.List()[(round+1)%3]
		}
		owned := w.Owns(leader, victim)
		gaps := w.After(victim.Kill, 30*time.Second)
		t.Logf("round %d: killed %s, owner of %d: longest gap %v", round, victim.Name, len(owned), gaps[0].New)
		worst = max(worst, gaps[0].New)
		victim.Start()
		w.Moving(20 * time.Second)
	}
	t.Logf("%d rounds, longest gap %v", rounds, worst)
	if worst > 5*time.Second {
		t.Errorf("longest gap %v, at most 5 s", worst)
	}
	w.Equal()
}

func TestLeaderKilled(t *testing.T) {
	w := NewWorld(t, WorldConfig{})
	worst, pause := time.Duration(0), time.Duration(0)
	rounds := Rounds(2, 10)
	for round := range rounds {
		w.Spread()
		leader := w.Leader()
		owned := w.Owns(w.alive(), leader)
		gaps := w.After(leader.Kill, 30*time.Second)
		rest := others(gaps, owned)
		t.Logf("round %d: killed leader %s, owner of %d: longest gap %v, of the others %v", round, leader.Name, len(owned), gaps[0].New, rest)
		worst, pause = max(worst, gaps[0].New), max(pause, rest)
		leader.Start()
		w.Moving(20 * time.Second)
	}
	t.Logf("%d rounds, longest gap %v, of other nodes' partitions %v", rounds, worst, pause)
	most := time.Second
	if !Proving() {
		most = 5 * time.Second // the machine may be busy
	}
	if worst > 10*time.Second || pause > most {
		t.Errorf("longest gap %v (at most 10 s), of other nodes' partitions %v (at most %v)", worst, pause, most)
	}
	w.Equal()
}

func TestOwnerPaused(t *testing.T) {
	w := NewWorld(t, WorldConfig{})
	worst := time.Duration(0)
	rounds := Rounds(1, 5)
	stopped := 15 * time.Second
	if Proving() {
		stopped = 60 * time.Second
	}
	for round := range rounds {
		w.Spread()
		victim := w.List()[round%3]
		gaps := w.After(victim.Pause, 30*time.Second)
		began := time.Now()
		t.Logf("round %d: paused %s: longest gap %v", round, victim.Name, gaps[0].New)
		worst = max(worst, gaps[0].New)
		rig.Until(t, stopped+10*time.Second, "the pause is over", func() bool { return time.Since(began) > stopped })
		victim.Resume()
		w.Moving(20 * time.Second)
		w.Spread() // it takes part again by itself
	}
	if worst > 5*time.Second && Proving() || worst > 10*time.Second {
		t.Errorf("longest gap %v, at most 5 s", worst)
	}
	w.Equal()
}

func TestAllKilled(t *testing.T) {
	w := NewWorld(t, WorldConfig{})
	for _, n := range w.List() {
		n.Kill()
	}
	for _, n := range w.List() {
		n.Start()
	}
	began := time.Now()
	w.Moving(40 * time.Second)
	took := time.Since(began)
	t.Logf("copying %v after the last start", took)
	if took > 20*time.Second {
		t.Errorf("copying %v after the last start, at most 20 s", took)
	}
	w.Equal()
}
