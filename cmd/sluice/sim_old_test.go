package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/fsm"
)

// old makes every record three days old: no stream is guarded. The target here
// keeps producer state for ever, so these runs show that takeovers wait and
// that positions are right, not what a broker that has forgotten would append;
// that is shown on real brokers.
func (s *sim) old() { s.load.age = 72 * time.Hour }

// stillFor is how long an unguarded takeover waits at least: the lease and a
// request's lifetime from when the new owner began, and a second between the
// two log ends that agree.
const stillFor = 3*time.Second + 5*time.Second + time.Second

// ends notes where the given partitions of the target end.
func (s *sim) ends(tasks []*fsm.Task) map[part]int64 {
	out := map[part]int64{}
	for _, t := range tasks {
		at := part{t.Copy.Stream.TargetTopic, t.Copy.Stream.Partition}
		out[at] = endOf(s.eu, at.topic, at.partition)
	}
	return out
}

// TestSimOldKills: owners of unguarded streams die at random steps; whoever
// takes over waits before it writes.
func TestSimOldKills(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.old()
		s.begin()
		for range 8 {
			i := s.any()
			owned := s.owned(i)
			what := s.killSomewhere(i)
			died, ends := time.Now(), s.ends(owned)
			s.until("a successor writes after "+what, time.Minute, func() bool {
				for at, end := range ends {
					if endOf(s.eu, at.topic, at.partition) > end && time.Since(died) > 100*time.Millisecond {
						return true
					}
				}
				return len(ends) == 0
			})
			if waited := time.Since(died); len(ends) > 0 && waited < stillFor {
				s.t.Errorf("%s: a successor wrote after %v, before a held request was surely dead", what, waited)
			}
			s.copies("killed "+what, 30*time.Second)
			s.start(i)
			s.until("it takes part again", time.Minute, func() bool { return len(s.owned(i)) > 0 })
			s.watch(time.Duration(10+s.rand.IntN(10)) * time.Second)
		}
		s.finish()
	})
}

// TestSimOldCutOff: the owner of unguarded streams that no leader confirms any
// more stops writing within the lease, whoever owns them then.
func TestSimOldCutOff(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.old()
		s.begin()
		s.watch(15 * time.Second)
		for round := range 4 {
			i := s.leader()
			if round%2 == 0 {
				i = i%trio + 1
			}
			var last atomic.Int64 // unix ns of its last produce request
			s.nodes[i].tap.set(func(st step) bool {
				if st.produce() && st.to == euHost {
					last.Store(time.Now().UnixNano())
				}
				return false
			})
			s.cut(i, s.peers(i)...)
			at := time.Now()
			s.watch(20 * time.Second)
			if late := time.Unix(0, last.Load()).Sub(at); late > 3*time.Second {
				s.t.Errorf("node %d wrote %v after it was cut off", i, late)
			}
			s.nodes[i].tap.set(nil)
			s.copies(fmt.Sprint("cut off: ", i), 30*time.Second)
			s.healSomehow(i, s.peers(i)...)
			s.until("it takes part again", time.Minute, func() bool { return len(s.owned(i)) > 0 && s.leader() != 0 })
			s.watch(15 * time.Second)
		}
		s.finish()
	})
}

// TestSimOldStopped: an owner is stopped between the check of its lease and
// the write of an unguarded request, while its streams change hands; then it
// writes. The broker still knows the producer, so it refuses or acknowledges
// what the successor wrote already: nothing is written twice, and the owner
// stops.
func TestSimOldStopped(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.old()
		s.begin()
		s.watch(15 * time.Second)
		for range 4 {
			i := s.any()
			thaw := make(chan struct{})
			var stopped, late atomic.Int64
			s.nodes[i].tap.set(func(st step) bool {
				if st.at == beforeWrite && st.produce() && st.to == euHost {
					select {
					case <-thaw:
					default:
						stopped.Add(1)
						<-thaw
						late.Add(1)
					}
				}
				return false
			})
			s.until("a request is about to be written", 10*time.Second, func() bool { return stopped.Load() > 0 })
			s.cut(i, s.peers(i)...)
			s.copies(fmt.Sprint("stopped before its write: ", i), time.Minute)
			close(thaw)
			s.watch(2 * time.Second)
			if late.Load() == 0 {
				s.t.Error("no late write was tried")
			}
			s.nodes[i].tap.set(nil)
			s.heal(i, s.peers(i)...)
			s.until("it takes part again", time.Minute, func() bool { return len(s.owned(i)) > 0 && s.leader() != 0 })
			s.watch(15 * time.Second)
		}
		s.finish()
	})
}

// turnUnguarded bounds that wait: five requests of 30 s, the lease, and some.
const turnUnguarded = 4 * time.Minute

// TestSimWallJumps: a node's wall clock jumps ahead and back, with fresh and
// with old records. A jump by days makes guarded streams unguarded, and a
// lease that the wall clock calls old is none until a leader confirms again.
// A stream that changed hands lately waits then until no request of the former
// owner can be held any more, of which a guarded one may have had a windowful.
func TestSimWallJumps(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		for round := range 8 {
			i := s.any()
			by := []time.Duration{72 * time.Hour, -72 * time.Hour, time.Hour, -time.Minute}[s.rand.IntN(4)]
			s.nodes[i].wall.Store(int64(by))
			s.copies(fmt.Sprintf("node %d is ahead by %v", i, by), turnUnguarded)
			s.watch(time.Duration(s.rand.IntN(15_000)) * time.Millisecond)
			if round%2 == 1 {
				j := i%trio + 1
				what := s.killSomewhere(j)
				s.copies("killed "+what, turnUnguarded)
				s.start(j)
			}
			s.nodes[i].wall.Store(0)
			s.copies(fmt.Sprint("its clock is right again: ", i), turnUnguarded)
		}
		s.finish()
	})
}

// TestSimLeadersMove: partitions of both Kafka clusters change their brokers,
// under load and while nodes die.
func TestSimLeadersMove(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		for range 6 {
			s.us.ShufflePartitionLeaders()
			s.watch(time.Duration(s.rand.IntN(1000)) * time.Millisecond)
			s.eu.ShufflePartitionLeaders()
			var what []string
			if s.rand.IntN(2) == 0 {
				what = append(what, s.killSomewhere(s.any()))
			}
			s.copies("leaders moved "+strings.Join(what, ""), 30*time.Second)
			for i := 1; i <= trio; i++ {
				if s.nodes[i] == nil {
					s.start(i)
				}
			}
			s.watch(time.Duration(s.rand.IntN(8000)) * time.Millisecond)
		}
		s.finish()
	})
}
