package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// plannedVoters is how many of so many members vote once all are well: an odd
// number, for one vote more bears no more deaths, and lets two halves stand
// against each other. Two members vote both: what is committed is on both disks.
func plannedVoters(members, most int) int {
	n := min(members, most)
	if n > 2 && n%2 == 0 {
		n--
	}
	return n
}

// quorumOf is how many of so many voters have to agree.
func quorumOf(voters int) int { return voters/2 + 1 }

// foundingAfter is the health that is asked of the second and third voter of
// a cluster when both are there: until they vote, one death stops everything.
const foundingAfter = 2 * time.Second

// suffrage says how votes are given and taken.
type suffrage struct {
	most    int           // votes
	after   time.Duration // a member that has been well for so long may get one
	replace time.Duration // a voter that has been dead for so long may lose it to another member; 0: never
	forsake time.Duration // or where nobody takes its place; 0: never
}

// seat is a member, as whoever gives and takes votes sees it.
type seat struct {
	id         raft.ServerID
	datacenter string
	voter      bool
	leader     bool
	alive      bool
	well       time.Duration // how long one without a vote has been well; -1: it is not
	dead       time.Duration // how long it has been dead; -1: it is not
}

// assembly is the members with and without a vote, and what is known of them.
type assembly struct {
	rules   suffrage
	planned int // voters
	voters  []seat
	ready   []seat         // without a vote, and well for long enough; the best first
	crowd   map[string]int // voters by datacenter
	lost    int            // voters that are dead for long enough to be replaced
	gone    int            // or to be forsaken
}

func assemble(rules suffrage, seats []seat) *assembly {
	a := &assembly{rules: rules, planned: plannedVoters(len(seats), rules.most), crowd: map[string]int{}}
	for _, s := range seats {
		switch {
		case s.voter:
			a.voters = append(a.voters, s)
			a.crowd[s.datacenter]++
			a.lost += count(rules.isLost(s))
			a.gone += count(rules.forsake > 0 && s.dead >= rules.forsake)
		case s.well >= rules.after:
			a.ready = append(a.ready, s)
		}
	}
	a.sort(a.ready)
	return a
}

func (r suffrage) isLost(s seat) bool { return r.replace > 0 && s.dead >= r.replace }

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// sort puts those first that spread the votes best, then those that have been
// well for longest, then the lower ids.
func (a *assembly) sort(seats []seat) {
	slices.SortFunc(seats, func(x, y seat) int {
		return cmp.Or(cmp.Compare(a.crowd[x.datacenter], a.crowd[y.datacenter]), cmp.Compare(y.well, x.well), cmp.Compare(x.id, y.id))
	})
}

// ballot is what is to be changed next: one vote at a time, but for founders.
type ballot struct {
	give []raft.ServerID
	take raft.ServerID // empty: none
	why  string        // it is taken, for a person, after "node n1 has no vote any more: "
}

// vote decides whose votes are next. What it says is carried out before it is
// asked again. A member that loses its vote stays one, works on, and gets a vote
// again when there is room: so the plan, which counts members, stays as it was,
// and the voters never become fewer than the planned ones' quorum.
func vote(rules suffrage, seats []seat) ballot {
	a := assemble(rules, seats)
	if founders := a.founders(seats); founders != nil {
		return ballot{give: founders}
	}
	if s, ok := a.newcomer(); ok {
		return ballot{give: []raft.ServerID{s.id}}
	}
	return a.surrender()
}

// founders are the first two companions of a single voter, together, since two
// voters would bear no death at all.
func (a *assembly) founders(seats []seat) []raft.ServerID {
	if len(a.voters) != 1 || a.planned < 3 {
		return nil
	}
	var companions []seat
	for _, s := range seats {
		if !s.voter && s.well >= min(a.rules.after, foundingAfter) {
			companions = append(companions, s)
		}
	}
	if len(companions) < 2 {
		return nil
	}
	a.sort(companions)
	return []raft.ServerID{companions[0].id, companions[1].id}
}

// newcomer is who gets a vote: where there are too few voters, where one is dead
// for long, and where the votes crowd in a datacenter. There is one voter too
// many then, for a moment: with it nothing is lost should the next step not come.
func (a *assembly) newcomer() (seat, bool) {
	if len(a.ready) == 0 {
		return seat{}, false
	}
	have := len(a.voters)
	want := plannedVoters(have-a.gone+len(a.ready), a.planned)
	if have-a.lost < want && have <= want {
		return a.ready[0], true
	}
	// The plan is met, and all are there: is it well spread?
	if have != a.planned || slices.ContainsFunc(a.voters, func(s seat) bool { return !s.alive }) {
		return seat{}, false
	}
	return a.ready[0], slices.ContainsFunc(a.voters, func(s seat) bool { return !s.leader && a.crowd[s.datacenter] >= a.crowd[a.ready[0].datacenter]+2 })
}

// surrender is who loses its vote: whom the plan has no place for, and who is
// dead for long where the rest bears one death more without it.
func (a *assembly) surrender() ballot {
	have, rest := len(a.voters), quorumOf(a.planned)
	dead := a.longestDead()
	switch {
	case have > a.planned && dead != nil:
		return ballot{take: dead.id, why: deadFor(*dead) + ", and the others have all the votes that are planned"}
	case have > a.planned:
		return a.surplus()
	case have%2 == 0 && have > 2 && a.lost > 0 && have-1 >= rest, // a quorum of one fewer
		have%2 == 1 && a.gone > 1 && have-2 >= rest: // two are taken, one after the other
		return ballot{take: dead.id, why: deadFor(*dead) + ", and without it a quorum takes fewer of those that are left"}
	}
	return ballot{}
}

func deadFor(s seat) string { return "it has been dead for " + s.dead.Truncate(time.Second).String() }

// longestDead is the voter that has been dead for longest; nil: none is dead.
func (a *assembly) longestDead() *seat {
	var found *seat
	for i, s := range a.voters {
		if s.dead >= 0 && !s.leader && (found == nil || s.dead > found.dead) {
			found = &a.voters[i]
		}
	}
	return found
}

// surplus is a voter too many where all live: of the datacenter with the most
// votes, the highest id. It waits until all are surely there.
func (a *assembly) surplus() ballot {
	var found *seat
	for i, s := range a.voters {
		if !s.alive {
			return ballot{}
		}
		if s.leader {
			continue
		}
		if found == nil || cmp.Or(cmp.Compare(a.crowd[s.datacenter], a.crowd[found.datacenter]), cmp.Compare(s.id, found.id)) > 0 {
			found = &a.voters[i]
		}
	}
	if found == nil {
		return ballot{}
	}
	return ballot{take: found.id, why: "an odd number of members vote, spread over the datacenters"}
}
