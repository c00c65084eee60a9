package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
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
	Members   []Member // by name
}

// Member is one node of the cluster.
type Member struct {
	ServerID   string
	Name       string
	Datacenter string
	Address    string
	HTTP       string
	Voter      bool
	Leader     bool
	Leaving    bool
	Life       Life          // as this node's own reports tell
	Heard      bool          // a report came lately and its process is there, whether or not it hears a leader
	ReportAge  time.Duration // since the last report came, -1: none came
	Index      uint64        // of its View, in the last report
	Reconciled uint64        // index whose stops it has carried out
	Tasks      int           // that it reports to run
	Owned      int           // that the facts give it
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
	return s
}

// Members lists the nodes in Raft's configuration or in the facts, by name.
func (n *Node) Members() []Member {
	members := map[string]*Member{}
	v := n.View()
	for _, node := range v.Nodes {
		members[node.ID] = &Member{
			ServerID: node.ID, Name: node.Name, Datacenter: node.Datacenter,
			Address: node.Addr, HTTP: node.HTTP, Leaving: node.Leaving,
		}
	}
	for _, server := range n.consensus.servers() {
		m := members[string(server.ID)]
		if m == nil {
			m = &Member{ServerID: string(server.ID), Address: string(server.Address)}
			members[m.ServerID] = m
		}
		m.Voter = server.Suffrage == raft.Voter
	}
	for t := range v.Tasks {
		if m := members[t.Owner]; m != nil {
			m.Owned++
		}
	}
	leader, _ := n.consensus.leader()
	out := make([]Member, 0, len(members))
	for id, m := range members {
		n.addReport(m)
		m.Leader = id == leader.ServerID
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ServerID, b.ServerID)
	})
	return out
}

// addReport fills in what the node's last report says.
func (n *Node) addReport(m *Member) {
	now := time.Now()
	r := n.liveness.reports.get(m.ServerID)
	m.Index, m.Reconciled, m.Tasks, m.ReportAge = r.Index, r.Reconciled, len(r.Tasks), -1
	if !r.At.IsZero() {
		m.ReportAge = now.Sub(r.At)
	}
	m.Life = judge(now, n.liveness.began, r, n.t)
	m.Heard = !r.Refused && !r.At.IsZero() && m.ReportAge < n.t.silent
}

// Reports returns the last report of each node, by ServerID. The maps inside
// are shared and must not be written to.
func (n *Node) Reports() map[string]Report { return n.liveness.reports.all() }
