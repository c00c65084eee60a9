package main

import (
	"fmt"
	"sync/atomic"
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

// killAt makes node i die at its nth step of a kind from now on: before a
// write reaches the wire, behind it, or with an answer unread.
func (s *sim) killAt(i, nth int, kind func(*step) bool) {
	n, left := s.nodes[i], int64(nth)
	n.tap.set(func(st step) bool {
		if kind(&st) && atomic.AddInt64(&left, -1) == 0 {
			n.die()
		}
		return n.dead.Load()
	})
}

// mortal are the steps at which a node is killed.
var mortal = []struct {
	name string
	most int // steps counted before the deadly one
	is   func(*step) bool
}{
	{"any step", 300, func(st *step) bool { return true }},
	{"Kafka request unsent", 100, func(st *step) bool { return st.kafka && st.at == beforeWrite }},
	{"produce unsent", 40, func(st *step) bool { return st.produce() && st.at == beforeWrite }},
	{"produce sent", 40, func(st *step) bool { return st.produce() && st.at == afterWrite }},
	{"target's answer unread", 60, func(st *step) bool { return st.kafka && st.to == euHost && st.at == afterRead }},
	{"peer message unsent", 100, func(st *step) bool { return !st.kafka && st.at == beforeWrite }},
	{"peer message unread", 100, func(st *step) bool { return !st.kafka && st.at == afterRead }},
}

// killSomewhere lets a node die at a random step, and returns what happened.
func (s *sim) killSomewhere(i int) string {
	s.t.Helper()
	m := mortal[s.rand.IntN(len(mortal))]
	nth := 1 + s.rand.IntN(m.most)
	s.killAt(i, nth, m.is)
	n := s.nodes[i]
	for end := time.Now().Add(20 * time.Second); !n.dead.Load() && time.Now().Before(end); {
		s.watch(10 * time.Millisecond)
	}
	s.kill(i)
	return fmt.Sprintf("node %d at %s %d", i, m.name, nth)
}

// TestSimKills: nodes die at random steps and start again from their data
// dirs, one after another; every fifth time all of them.
func TestSimKills(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		longest := time.Duration(0)
		for round := 1; round <= 15; round++ {
			i := s.any()
			what := s.killSomewhere(i)
			if round%5 == 0 {
				for i := range s.nodes {
					s.kill(i)
				}
				what += ", then all"
				for i := 1; i <= trio; i++ {
					s.start(i)
				}
			}
			took := s.until("copying goes on without "+what, 30*time.Second, s.load.moves())
			s.t.Logf("killed %s: every partition moved after %v", what, took)
			if round%5 != 0 {
				longest = max(longest, took)
			}
			s.watch(time.Duration(s.rand.IntN(4000)) * time.Millisecond)
			if s.nodes[i] == nil {
				s.start(i)
			}
			s.watch(time.Duration(s.rand.IntN(8000)) * time.Millisecond)
		}
		if longest > 8*time.Second {
			s.t.Errorf("a killed node was missed for %v", longest)
		}
		s.finish()
	})
}

// TestSimBegin: nodes die again and again while they find each other, while
// the link is declared and while the first mappings are made, before and
// behind each of their steps.
func TestSimBegin(t *testing.T) {
	runSim(t, map[string]int32{"orders": 12}, func(s *sim) {
		s.load.run()
		for i := 1; i <= trio; i++ {
			s.start(i)
		}
		s.until("there is a leader", time.Minute, func() bool { return s.leader() != 0 && len(s.view().Nodes) == trio })
		doom := func(i int) { s.killAt(i, 1+s.rand.IntN(400), mortal[s.rand.IntN(len(mortal))].is) }
		s.meanwhile = func() {
			for i := 1; i <= trio; i++ {
				if s.nodes[i].dead.Load() {
					s.kill(i)
					s.start(i)
					doom(i)
				}
			}
		}
		for i := 1; i <= trio; i++ {
			doom(i)
		}
		s.declare()
		s.watch(30 * time.Second)
		doom = func(int) {}
		for i := 1; i <= trio; i++ {
			s.nodes[i].tap.set(nil)
		}
		s.meanwhile()
		s.meanwhile = nil
		s.finish()
	})
}
