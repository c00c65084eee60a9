package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"sluice/fsm"
)

// seats reads members: "a" votes and is the leader, "b" votes; then in any order
// "-" has no vote and is well for a minute, "~" for three seconds, "!" is not
// well; "x" is dead for ten minutes, "X" for two days, "?" is silent; "@y" stands
// in datacenter y.
func seats(text string) []seat {
	var out []seat
	for i, word := range strings.Fields(text) {
		name, dc, _ := strings.Cut(word, "@")
		s := seat{id: raft.ServerID(name[:1]), datacenter: dc, voter: true, leader: i == 0, alive: true, well: -1, dead: -1}
		for _, mark := range name[1:] {
			switch mark {
			case '-':
				s.voter, s.well = false, time.Minute
			case '~':
				s.voter, s.well = false, 3*time.Second
			case '!':
				s.voter = false
			case '?':
				s.alive = false
			case 'x', 'X':
				s.alive, s.well, s.dead = false, -1, 10*time.Minute
				if mark == 'X' {
					s.dead = 48 * time.Hour
				}
			}
		}
		out = append(out, s)
	}
	return out
}

func TestVotes(t *testing.T) {
	lan, wan := Config{Profile: ProfileLAN}, Config{Profile: ProfileWAN}
	for _, c := range []*Config{&lan, &wan} {
		c.Name, c.DataDir = "n", "d"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, members, want string }{
		{"a single node", "a", ""},
		{"one companion waits", "a b~", ""},
		{"and votes", "a b-", "+b"},
		{"founders vote together, and sooner", "a c~ b~", "+b +c"},
		{"founders of five", "a b~ c~ d~ e~", "+b +c"},
		{"a third", "a b c-", "+c"},
		{"a fourth does not", "a b c d-", ""},
		{"two more do, the first", "a b c d- e-", "+d"},
		{"then the second", "a b c d e-", "+e"},
		{"one of two is not well yet", "a b c d- e!", ""},
		{"seven at most", "a b c d e f g h- i-", ""},
		{"four vote, and three would do", "a b c d", "-d"},
		{"not while one is silent", "a b c? d", ""},
		{"a dead one before a living one", "a bx c d", "-b"},
		{"eight", "a b c d e f g h", "-h"},
		{"the leader keeps its vote", "d a b c", "-c"},

		{"a spare stands in for a dead voter", "a b cx d-", "+d"},
		{"whose vote is taken then", "a b cx d", "-c"},
		{"it comes back, and stays without", "a b d c-", ""},
		{"no spare is well", "a b cx d!", ""},
		{"seven with spares", "a b cx d e f g h- i-", "+h"},
		{"eight for a moment", "a b cx d e f g h i-", "-c"},
		{"two are dead, there is one spare", "a b cx dx e f-", "+f"},
		{"the first of them goes", "a b cx dX e f", "-d"},
		{"no more spares: five, one of them dead", "a b cx e f d!x", ""},

		{"of three one stays dead", "a b cX", ""},
		{"of five one stays dead", "a b c d eX", ""},
		{"two of five for a short time", "a b c dx ex", ""},
		{"two of five: three bear one more", "a b c dX eX", "-d"},
		{"the second, whenever it died", "a b c eX d!X", "-e"},
		{"not the third, of five planned", "a b cX d!X e!X", ""},
		{"two of seven", "a b c d e fX gX", "-f"},
		{"three of seven: two go", "a b c d eX fX gX", "-e"},
		{"and no more, below the quorum of seven", "a b c d gX e!X f!X", ""},
		{"nor two more", "a b c dX eX f!X g!X", ""},
		{"two come back and vote again", "a b c d- e-", "+d"},
		{"one comes back", "a b c d- e!X", ""},

		{"the best spread one votes", "a@x b@x c@y d-@x e-@z", "+e"},
		{"votes move to where there are none", "a@x b@x c@x d-@y", "+d"},
		{"from where they crowd, never the leader's", "b@x a@x c@x d@y", "-c"},
		{"and are spread then", "b@x a@x c-@x d@y", ""},
		{"nothing moves while one is dead", "a@x b@x cx@x d!x e-@y", "+e"},
		{"two and one are spread", "a@x b@x c@y d-@y", ""},
	} {
		if got := ballotText(vote(lan.suffrage(), seats(c.members))); got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.name, c.members, got, c.want)
		}
	}
	for _, members := range []string{"a b cX d-", "a b c dX eX"} {
		if got := ballotText(vote(wan.suffrage(), seats(members))); got != "" {
			t.Errorf("wan: %s: %q", members, got)
		}
		never := lan
		never.DeadVoterAfter = -1
		if got := ballotText(vote(never.suffrage(), seats(members))); got != "" {
			t.Errorf("never: %s: %q", members, got)
		}
	}
}

func ballotText(b ballot) string {
	var out []string
	for _, id := range b.give {
		out = append(out, "+"+string(id))
	}
	if b.take != "" {
		out = append(out, "-"+string(b.take))
	}
	return strings.Join(out, " ")
}

// TestVotesEndWell: whatever members come, die and return, votes come to rest,
// with as many voters as there may be, and no step costs a quorum that was there
// or brings the voters below the quorum of the planned ones.
func TestVotesEndWell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := suffrage{most: rapid.SampledFrom([]int{3, 5, 7}).Draw(t, "most"), after: 10 * time.Second, replace: 5 * time.Minute, forsake: time.Hour}
		var members []seat
		for i := range rapid.IntRange(1, 9).Draw(t, "members") {
			s := seat{
				id: raft.ServerID(rune('a' + i)), datacenter: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "datacenter"),
				leader: i == 0, voter: i == 0, alive: true, well: -1, dead: -1,
			}
			if i > 0 {
				s.well = time.Minute
			}
			members = append(members, s)
		}
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			rest(t, rules, members)
			i := rapid.IntRange(0, len(members)-1).Draw(t, "member")
			if s := &members[i]; s.leader {
				continue
			} else if s.dead >= 0 {
				s.dead, s.alive = -1, true
			} else if alive, voters := standing(members); !s.voter || alive-1 >= quorumOf(voters) { // a cluster without a quorum decides nothing
				s.dead, s.alive, s.well = rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Minute, 2 * time.Hour}).Draw(t, "dead"), false, -1
			}
			if s := &members[i]; !s.voter && s.alive {
				s.well = time.Minute
			}
		}
		rest(t, rules, members)
	})
}

// standing counts the voters, and those of them that are alive.
func standing(members []seat) (alive, voters int) {
	for _, s := range members {
		if s.voter {
			voters++
			alive += count(s.alive)
		}
	}
	return alive, voters
}

// rest carries out ballots until there is none.
func rest(t *rapid.T, rules suffrage, members []seat) {
	planned := plannedVoters(len(members), rules.most)
	for step := 0; ; step++ {
		if step > 4*len(members) {
			t.Fatalf("votes change without end: %+v", members)
		}
		alive, voters := standing(members)
		b := vote(rules, members)
		if len(b.give) == 0 && b.take == "" {
			all := !slices.ContainsFunc(members, func(s seat) bool { return !s.alive })
			if voters > planned || all && voters != planned {
				t.Fatalf("at rest with %d of %d voters alive, planned %d: %+v", alive, voters, planned, members)
			}
			return
		}
		for i := range members {
			s := &members[i]
			if slices.Contains(b.give, s.id) {
				s.voter, s.well = true, -1
			}
			if s.id == b.take {
				if s.leader || !s.voter {
					t.Fatalf("the vote of %+v is taken", s)
				}
				s.voter = false
				if s.alive {
					s.well = time.Minute
				}
			}
		}
		now, after := standing(members)
		if alive >= quorumOf(voters) && now < quorumOf(after) {
			t.Fatalf("a step costs the quorum: %d of %d were alive, %d of %d are: %+v", alive, voters, now, after, b)
		}
		if after < voters && after < quorumOf(planned) || after > rules.most+1 {
			t.Fatalf("%d voters, planned are %d", after, planned)
		}
	}
}

// leaderVoters are the voters as the leader knows them.
func (s *sim) leaderVoters() []raft.ServerID {
	if l := s.leader(); l != nil {
		return votersOf(l.consensus.servers())
	}
	return nil
}

// TestNineNodes: seven vote, spread over three datacenters; when a voter dies one
// of the others votes in its place, and it comes back without a vote.
func TestNineNodes(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.Datacenter = "x"
		for i := 1; i <= 5; i++ { // a cluster grows where it began
			s.start(i, 1, 2, 3)
		}
		s.until("five of five vote", 3*time.Minute, func() bool { return len(s.leaderVoters()) == 5 })
		for i := 6; i <= 9; i++ {
			s.cfg.Datacenter = string(rune('y' + i%2))
			s.start(i, 1, 2, 3)
		}
		s.until("seven of nine vote, spread", 3*time.Minute, func() bool { return s.crowds() == "x3 y2 z2" })
		voter := s.voter()
		s.kill(voter.i)
		took := s.until("another one votes in its place", 10*time.Minute, func() bool {
			return len(s.leaderVoters()) == 7 && !slices.Contains(s.leaderVoters(), raft.ServerID(voter.self.ServerID)) && s.allAlive()
		})
		if took < spareAfter-time.Second {
			s.t.Errorf("after %v", took)
		}
		s.until("that is an event", time.Minute, func() bool { return hasEvent(s.leader().View(), fsm.CodeVoteTaken) })
		s.cfg.Datacenter = voter.cfg.Datacenter
		s.start(voter.i, 1, 2, 3)
		s.until("it is back", time.Minute, func() bool { return s.leader().liveness.life(voter.self.ServerID, s.leader().began) == LifeAlive })
		time.Sleep(time.Minute)
		if got := s.leaderVoters(); len(got) != 7 {
			s.t.Errorf("%d vote after it came back", len(got))
		}
		s.equal()
	})
}

// voter is one that votes and does not lead.
func (s *sim) voter() *simNode {
	for i := 1; i <= 9; i++ {
		if n := s.nodes[i]; n != nil && n != s.leader() && slices.Contains(s.leaderVoters(), raft.ServerID(n.self.ServerID)) {
			return n
		}
	}
	return nil
}

// crowds counts the voters by datacenter.
func (s *sim) crowds() string {
	by := map[string]int{}
	for _, id := range s.leaderVoters() {
		if node := s.leader().View().Node(string(id)); node != nil {
			by[node.Datacenter]++
		}
	}
	return fmt.Sprintf("x%d y%d z%d", by["x"], by["y"], by["z"])
}

// allAlive reports that the leader takes every voter for alive.
func (s *sim) allAlive() bool {
	l := s.leader()
	return l != nil && !slices.ContainsFunc(s.leaderVoters(), func(id raft.ServerID) bool {
		return string(id) != l.self.ServerID && l.liveness.life(string(id), l.began) != LifeAlive
	})
}

// TestDeadVotersAreForsaken: of five two stay dead. Three vote then, and bear one
// more death; below that nobody loses a vote. Who comes back votes again.
func TestDeadVotersAreForsaken(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.DeadVoterAfter = time.Minute
		s.five()
		var dead []int
		for range 2 {
			dead = append(dead, s.voter().i)
			s.kill(dead[len(dead)-1])
		}
		s.until("three vote", 5*time.Minute, func() bool { return len(s.leaderVoters()) == 3 && s.allAlive() })
		s.kill(s.voter().i)
		s.until("two of three lead on", time.Minute, func() bool { return s.leader() != nil && s.leader().Quorum() })
		s.propose(s.leader(), &fsm.Barrier{})
		time.Sleep(3 * time.Minute)
		if got := len(s.leaderVoters()); got != 3 {
			s.t.Errorf("%d vote; the quorum of five planned voters is 3", got)
		}
		for _, i := range dead {
			s.start(i, 1, 2, 3)
		}
		s.until("who is back votes", 5*time.Minute, func() bool { return len(s.leaderVoters()) == 5 || len(s.leaderVoters()) == 3 && s.allAlive() })
		s.equal()
	})
}

// five starts five nodes and waits until all vote.
func (s *sim) five() {
	s.t.Helper()
	for i := 1; i <= 5; i++ {
		s.start(i, 1, 2, 3)
	}
	s.until("five vote", 3*time.Minute, func() bool { return len(s.leaderVoters()) == 5 && len(s.leader().View().Nodes) == 5 })
}

// TestDeadVotersStayBetweenRegions: there a long cut is no death.
func TestDeadVotersStayBetweenRegions(t *testing.T) {
	runSim(t, func(s *sim) {
		s.cfg.Profile = ProfileWAN
		s.five()
		for range 2 {
			s.kill(s.voter().i)
		}
		time.Sleep(2 * spareAfter)
		if got := len(s.leaderVoters()); got != 5 {
			s.t.Errorf("%d vote, want five as before", got)
		}
	})
}
