package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/words"
)

// ClusterHealth says whether the Sluice cluster itself is well, and how many
// more of its voters may die. Of links and their streams Status tells.
type ClusterHealth struct {
	Meta
	Well      bool           `json:"well" doc:"Nothing is wrong, and nothing is unknown that it takes to say so."`
	Problems  []string       `json:"problems" doc:"Why it is not well, for a person."`
	ClusterID string         `json:"clusterId"`
	Feature   uint32         `json:"feature" doc:"Feature level: what all nodes know and the facts may hold. It rises by itself."`
	Voters    Voters         `json:"voters"`
	Members   []MemberHealth `json:"members" doc:"Those that are not well first."`
}

// Voters are the members that decide, by a quorum of them.
type Voters struct {
	Planned int  `json:"planned" doc:"How many vote once all members are well: an odd number of them, seven at most."`
	Count   int  `json:"count" doc:"How many there are, with those that are dead."`
	Alive   int  `json:"alive" doc:"How many of them the node that answers hears, and can write. Without a quorum that is what it alone knows."`
	Needed  int  `json:"needed" doc:"How many have to agree: the quorum."`
	MayFail *int `json:"mayFail" doc:"How many more may die before nothing can be changed; null: not known, since the node that answers hears no leader."`
}

// MemberHealth is a member with what else it takes to be well.
type MemberHealth struct {
	Node
	Behind           *uint64 `json:"behind" doc:"Commands that it had not applied yet when it reported, of those that another node had; null: not known."`
	ClockMillis      *int64  `json:"clockMillis" doc:"Milliseconds that its clock is ahead of that of the node that answers; null: not known."`
	ClockErrorMillis *int64  `json:"clockErrorMillis" doc:"By how many milliseconds that may be wrong; null: not known."`
}

// Bounds of what is well.
const (
	behindMost = 1000        // commands: as many as a leader sends at once, and some more
	clocksMost = time.Second // that clocks are apart, surely
)

func healthRoutes(s *Server, h huma.API) {
	seeing(s, h, "/v1/health", "getHealth", "Whether the Sluice cluster is well, and how many more of its voters may die; with or without a leader",
		func(p *picture, _ *ReadParams) (ClusterHealth, error) { return health(p), nil })
}

// AskHealth asks whether the Sluice cluster is well.
func AskHealth(ctx context.Context, c *Client) (*ClusterHealth, error) {
	return get[ClusterHealth](ctx, c, "/v1/health", nil)
}

// health judges the cluster.
func health(p *picture) ClusterHealth {
	h := ClusterHealth{Meta: p.meta("ClusterHealth"), ClusterID: p.v.ClusterID, Feature: p.v.Feature, Problems: obstacles(&p.state)}
	nodes := p.nodes()
	for _, n := range nodes {
		h.Members = append(h.Members, memberHealth(p, n))
	}
	for _, m := range p.members {
		if p.v.Node(m.ID) == nil { // in Raft, and not in the facts yet
			h.Members = append(h.Members, memberHealth(p, p.node(nil, m)))
		}
	}
	slices.SortStableFunc(h.Members, func(a, b MemberHealth) int {
		return cmp.Compare(len(faults(p, &b)), len(faults(p, &a)))
	})
	for i := range h.Members {
		h.Problems = append(h.Problems, faults(p, &h.Members[i])...)
	}
	ending, _ := p.expiring(nodes)
	h.Problems = append(h.Problems, ending...)
	h.Voters = voters(p, h.Members)
	h.Problems = append(h.Problems, h.Voters.faults()...)
	h.Well = len(h.Problems) == 0
	return h
}

// memberHealth adds what a member's report tells of it. An old report tells
// nothing of now, and without a quorum nobody knows how far the others are.
func memberHealth(p *picture, n Node) MemberHealth {
	x, m := MemberHealth{Node: n}, p.member(n.ID)
	if p.fresh(m.Heard) && p.state.Quorum {
		x.Behind = new(m.Behind)
	}
	if m.Clock != nil && p.fresh(m.Clock.At) {
		x.ClockMillis, x.ClockErrorMillis = new(m.Clock.Offset.Milliseconds()), new(m.Clock.Error.Milliseconds())
	}
	return x
}

// faults is what is wrong with a member.
func faults(p *picture, m *MemberHealth) []string {
	var out []string
	if text := m.unwell(); text != "" {
		out = append(out, text)
	}
	if m.State != stateSilent && m.Disk == nil {
		out = append(out, fmt.Sprintf("node %s does not say whether it can write to its disk (version %s)", m.Name, cmp.Or(m.Version, "unknown")))
	}
	if m.Behind != nil && *m.Behind > behindMost {
		out = append(out, fmt.Sprintf("node %s is behind: it has yet to apply %s", m.Name, words.Count(*m.Behind, "command")))
	}
	if m.ClockMillis == nil {
		return out
	}
	apart := time.Duration(*m.ClockMillis) * time.Millisecond
	direction := "ahead of"
	if apart < 0 {
		apart, direction = -apart, "behind"
	}
	if apart-time.Duration(*m.ClockErrorMillis)*time.Millisecond > clocksMost {
		out = append(out, fmt.Sprintf("the clock of node %s is %s %s that of node %s", m.Name, apart, direction, p.nodeName(p.state.NodeID)))
	}
	return out
}

// voters counts those who decide.
func voters(p *picture, members []MemberHealth) Voters {
	v := Voters{Planned: p.state.Voters}
	for i := range members {
		if !p.member(members[i].ID).Voter {
			continue
		}
		v.Count++
		if members[i].State != stateSilent && !members[i].Failing() {
			v.Alive++
		}
	}
	if v.Count == 0 { // this node knows of no cluster yet
		return v
	}
	v.Needed = v.Count/2 + 1
	if p.state.Quorum {
		v.MayFail = new(max(0, v.Alive-v.Needed))
	}
	return v
}

// faults is what is wrong with the voters beside each of them.
func (v Voters) faults() []string {
	var out []string
	if v.Count < v.Planned {
		out = append(out, fmt.Sprintf("%d of %d planned members %s: a member gets its vote when it has been well for some seconds", v.Count, v.Planned, words.Verb(v.Count, "votes", "vote")))
	}
	if v.MayFail != nil && *v.MayFail == 0 && v.Planned > 2 {
		out = append(out, fmt.Sprintf("no voter may fail: %d of %d are well, and %d are needed", v.Alive, v.Count, v.Needed))
	}
	return out
}
