package cluster

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"sluice/pki"
)

// Status is the cluster as this node sees it; it can be had without a leader.
type Status struct {
	ClusterID string
	Self      string // ServerID
	Leader    string // ServerID, empty: none known
	Term      uint64
	Index     uint64        // of this node's View
	Confirmed bool          // a leader has confirmed facts to this process
	LeaderAge time.Duration // since a leader last confirmed this node's facts
	Quorum    bool          // that is less than Profile.DeadAfter ago: changes are possible
	Feature   uint32
	Voters    int      // that the cluster has when all of its members are well
	Members   []Member // by name
	// Obstacles are what keeps this node from its cluster or from other nodes
	// and does not pass by itself, in sentences for a person.
	Obstacles []string
}

// Member is one node of the cluster.
type Member struct {
	Report // the last one; ServerID is always there
	Name   string
	Voter  bool
	Life   Life   // as this node's own reports tell
	Heard  bool   // a report came lately and its process is there, whether or not it hears a leader
	Clock  *Clock // nil: not compared with this node's
}

// Status describes the cluster.
func (n *Node) Status() Status {
	v := n.View()
	s := Status{ClusterID: n.tr.Self().ClusterID, Self: n.self.ServerID, Index: v.Index, Feature: v.Feature}
	s.LeaderAge, s.Confirmed = n.ownership.leaderAge()
	s.Quorum = n.ownership.quorum()
	if c := n.consensus.raft.Load(); c != nil {
		_, id := c.LeaderWithID()
		s.Leader, s.Term = string(id), c.CurrentTerm()
	}
	s.Members = n.Members()
	s.Voters = plannedVoters(len(n.consensus.servers()), n.cfg.MaxVoters)
	s.Obstacles = obstacles(n)
	return s
}

func obstacles(n *Node) []string {
	out := n.founder.waiting()
	if why := n.membership.refused.Load(); why != nil {
		out = slices.Concat(out, *why)
	}
	for _, text := range n.tr.Troubles() {
		if !slices.ContainsFunc(out, func(told string) bool { return strings.Contains(told, text) }) {
			out = append(slices.Clip(out), text)
		}
	}
	return out
}

// Members lists the nodes in Raft's configuration or in the facts, by name.
func (n *Node) Members() []Member {
	members := map[string]*Member{}
	member := func(id string) *Member {
		if members[id] == nil {
			members[id] = reported(n.liveness, id)
		}
		return members[id]
	}
	for _, node := range n.View().Nodes {
		member(node.ID).Name = node.Name
	}
	for _, server := range n.consensus.servers() {
		member(string(server.ID)).Voter = server.Suffrage == raft.Voter
	}
	out := make([]Member, 0, len(members))
	for _, m := range members {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ServerID, b.ServerID))
	})
	return out
}

// CertificatesOf lists the certificates that a member uses, as it told this node
// with its last report; nil: it has not, or does not tell.
func CertificatesOf(n *Node, id string) []pki.Held { return n.liveness.reports.certsOf(id) }

// reported is a member as its last report tells.
func reported(l *liveness, id string) *Member {
	now := time.Now()
	r := l.reports.get(id)
	m := &Member{Report: r, Life: judge(now, l.began, r, l.t), Clock: l.reports.clock(id)}
	m.ServerID = id
	m.Heard = !r.Refused && !r.At.IsZero() && now.Sub(r.At) < l.t.silent
	return m
}
