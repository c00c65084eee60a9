package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/fsm"
)

// copies waits until every partition moves, and reports how long that took.
func (s *sim) copies(what string, limit time.Duration) {
	s.t.Helper()
	s.t.Logf("%s: every partition moved after %v", what, s.until("copying goes on: "+what, limit, s.load.moves()))
}

// TestSimCutFromPeers: a node that its peers lose but Kafka does not goes on
// until its successors overtake it, writes nothing twice, and takes part again
// when it is back; followers and the leader in turn.
func TestSimCutFromPeers(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		for round := range 6 {
			i := s.leader()
			if round%2 == 0 {
				i = i%trio + 1
			}
			s.cut(i, s.peers(i)...)
			s.copies(fmt.Sprint("cut off from peers: ", i), 20*time.Second)
			s.watch(time.Duration(s.rand.IntN(20_000)) * time.Millisecond)
			s.copies(fmt.Sprint("still cut off: ", i), 20*time.Second)
			s.healSomehow(i, s.peers(i)...)
			s.until("it takes part again", 30*time.Second, func() bool { return len(s.owned(i)) > 0 && s.leader() != 0 })
			s.watch(time.Duration(s.rand.IntN(5000)) * time.Millisecond)
		}
		s.finish()
	})
}

// healSomehow heals wires; what was held is delivered, or lost with its
// connections.
func (s *sim) healSomehow(i int, hosts ...string) {
	if s.rand.IntN(2) == 0 {
		for _, h := range hosts {
			s.net.Reset(ipOf(i), h)
		}
	}
	s.heal(i, hosts...)
}

// TestSimCutFromKafka: a node that loses the source, the target or both, one
// way or both ways, while its peers see it well. What it owns waits; what it
// had sent and was held is delivered after all or is lost.
func TestSimCutFromKafka(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		s.cut(1, euHost)
		s.until("the others say why its streams stand still", 2*time.Minute, // requests on the wire time out first
			func() bool { return s.told(2, 1, "eu") })
		s.heal(1, euHost)
		s.copies("healed", time.Minute)
		for round := range 8 {
			i := s.any()
			ends := [][]string{{euHost}, {usHost}, {euHost}, {euHost, usHost}}[s.rand.IntN(4)]
			for _, h := range ends {
				switch round % 3 {
				case 0:
					s.net.CutBoth(ipOf(i), h)
				case 1:
					s.net.Cut(ipOf(i), h)
				case 2:
					s.net.Cut(h, ipOf(i)) // acknowledgements are held
				}
			}
			s.watch(time.Duration(1+s.rand.IntN(40)) * time.Second)
			s.healSomehow(i, ends...)
			s.copies(fmt.Sprintf("node %d cut from %v, way %d", i, ends, round%3), time.Minute)
		}
		s.finish()
	})
}

// told reports whether node i can say, of a task of another node, what is
// wrong, in a message with the words.
func (s *sim) told(i, other int, words string) bool {
	for _, m := range (membership{Node: s.nodes[i].cluster}).Members() {
		for _, x := range m.Tasks {
			if m.ID == s.nodes[other].id && m.Version == version && x.State == fsm.CodeUnreachable && strings.Contains(x.Message, words) {
				return true
			}
		}
	}
	return false
}

// TestSimHeldAfterDeath: an owner dies with requests on the wire; they reach
// the target after the successor has gone on.
func TestSimHeldAfterDeath(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		for range 6 {
			i := s.any()
			s.net.Cut(ipOf(i), euHost) // requests are held, the connections stay
			s.watch(time.Duration(100+s.rand.IntN(3000)) * time.Millisecond)
			s.kill(i)
			s.copies(fmt.Sprint("died with held requests: ", i), 20*time.Second)
			s.heal(i, euHost)
			s.watch(time.Duration(s.rand.IntN(3000)) * time.Millisecond)
			s.start(i)
			s.until("it takes part again", 30*time.Second, func() bool { return len(s.owned(i)) > 0 })
		}
		s.finish()
	})
}

// TestSimOneWay: wires between nodes that work in one direction only, and slow
// ones.
func TestSimOneWay(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		for range 6 {
			i := s.any()
			for _, h := range s.peers(i) {
				switch s.rand.IntN(4) {
				case 0:
					s.net.Cut(ipOf(i), h)
				case 1:
					s.net.Cut(h, ipOf(i))
				case 2:
					s.net.Delay(ipOf(i), h, time.Duration(s.rand.IntN(2000))*time.Millisecond)
				case 3: // stays
				}
			}
			s.copies(fmt.Sprint("one-way wires at ", i), 40*time.Second)
			s.watch(time.Duration(s.rand.IntN(15_000)) * time.Millisecond)
			s.healSomehow(i, s.peers(i)...)
			s.watch(time.Duration(s.rand.IntN(5000)) * time.Millisecond)
		}
		s.finish()
	})
}

// TestSimSlowWires: everything is far away, and a node dies meanwhile.
func TestSimSlowWires(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		for i := 1; i <= trio; i++ {
			for _, h := range append(s.peers(i), usHost, euHost) {
				d := time.Duration(10+s.rand.IntN(90)) * time.Millisecond
				s.net.Delay(ipOf(i), h, d)
				s.net.Delay(h, ipOf(i), d)
			}
		}
		s.watch(10 * time.Second)
		for range 4 {
			i := s.any()
			s.killSomewhere(i)
			s.copies(fmt.Sprint("far away, without ", i), 30*time.Second)
			s.start(i)
			s.watch(time.Duration(5+s.rand.IntN(10)) * time.Second)
		}
		s.finish()
	})
}

// TestSimOrders: an operator pauses, runs, hands over, restarts and lets a
// node leave, under load.
func TestSimOrders(t *testing.T) {
	runSim(t, simTopics, func(s *sim) {
		s.begin()
		link := s.view().Links[0].ID
		for range 3 {
			s.propose(&fsm.LinkState{Link: link, State: fsm.StatePaused})
			s.watch(3 * time.Second)
			grown := s.load.moves()
			s.watch(3 * time.Second)
			if s.load.behind() == 0 || grown() {
				s.t.Error("a paused link copies")
			}
			s.propose(&fsm.LinkState{Link: link, State: fsm.StateRunning})
			s.copies("run again", 10*time.Second)

			var items []fsm.Assignment
			for t := range s.view().Tasks {
				items = append(items, fsm.Assignment{Task: t.ID, Turn: t.Turn, To: s.nodes[s.any()].id, Handover: true})
			}
			s.propose(&fsm.Assign{Items: items})
			s.copies("handed over", 10*time.Second)

			i := s.leader()
			s.shutdown(i)
			s.copies(fmt.Sprint("leader ended: ", i), 10*time.Second)
			n := s.start(i)
			s.until("it is back", time.Minute, func() bool { return n.cluster.Status().Quorum })
		}
		i := s.any()
		gone := s.nodes[i]
		finish, err := gone.cluster.Leave(s.t.Context(), nil)
		if err == nil {
			err = finish(s.t.Context())
		}
		if err != nil {
			s.t.Fatalf("leaving: %v", err)
		}
		delete(s.nodes, i)
		if err := <-gone.done; err != nil {
			s.t.Errorf("ending after leaving: %v", err)
		}
		s.copies(fmt.Sprint("left: ", i), 5*time.Second)
		s.start(i) // under a new ServerID: a new member
		s.until("it takes part again", 30*time.Second, func() bool { return len(s.owned(i)) > 0 })
		s.finish()
	})
}

// cut cuts all wires between a node and others, both ways.
func (s *sim) cut(i int, hosts ...string) {
	for _, h := range hosts {
		s.net.CutBoth(ipOf(i), h)
	}
}

// heal heals all wires between a node and others; what was held is delivered.
func (s *sim) heal(i int, hosts ...string) {
	for _, h := range hosts {
		s.net.HealBoth(ipOf(i), h)
		s.net.Delay(ipOf(i), h, 0)
		s.net.Delay(h, ipOf(i), 0)
	}
}

func (s *sim) healAll(i int) { s.heal(i, append(s.peers(i), usHost, euHost)...) }

// peers are the hosts of all other nodes.
func (s *sim) peers(i int) []string {
	var out []string
	for j := 1; j <= trio; j++ {
		if j != i {
			out = append(out, ipOf(j))
		}
	}
	return out
}
