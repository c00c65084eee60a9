package api

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sluice/fsm"
)

// nodes gives the nodes of the facts by name, those that are not well first.
func (p *picture) nodes() []Node {
	owned := map[string]int{}
	for t := range p.v.Tasks {
		owned[t.Owner]++
	}
	out := make([]Node, 0, len(p.v.Nodes))
	for i := range p.v.Nodes {
		x := p.node(&p.v.Nodes[i], p.member(p.v.Nodes[i].ID))
		x.Tasks = owned[x.ID]
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Node) int {
		return cmp.Or(boolOrder(a.State != "alive", b.State != "alive"), boolOrder(a.Failing(), b.Failing()), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// stateSilent is the state of a node that is not heard, or hears nobody.
const stateSilent = "silent"

// node shows a node; n is nil where the facts do not know it.
func (p *picture) node(n *fsm.Node, m Member) Node {
	if n == nil {
		n = &fsm.Node{ID: m.ID, Name: m.ID}
	}
	x := Node{
		Name: n.Name, ID: n.ID, Datacenter: n.Datacenter, Address: n.Addr, HTTP: n.HTTP, Role: "non-voter",
		State: stateSilent, AgeMillis: p.age(m.Heard), Version: m.Version, Feature: n.Feature, Index: m.Index, NodeDisk: diskOf(p, m),
		Certificates: certificatesOf(m.Certificates, p.now),
	}
	switch {
	case n.ID == p.state.Leader:
		x.Role = "leader"
	case m.Voter:
		x.Role = "voter"
	}
	if m.Alive && p.fresh(m.Heard) {
		x.State = "alive"
		if n.Leaving {
			x.State = "leaving"
		}
	}
	return x
}

// diskOf is how a member's writes go. That they went well once says nothing of now;
// why they failed is shown until there is other news.
func diskOf(p *picture, m Member) NodeDisk {
	switch {
	case m.Disk == nil, m.Disk.Why == "" && !p.fresh(m.Heard):
		return NodeDisk{}
	case m.Disk.Why == "":
		return NodeDisk{Disk: new("")}
	}
	return NodeDisk{Disk: &m.Disk.Why, DiskSince: new(m.Disk.Since.UTC().Truncate(time.Millisecond))}
}

// unwell says that a node is silent, or cannot write to its disk; empty: neither.
func (n *Node) unwell() string {
	text := ""
	if n.State == stateSilent {
		text = fmt.Sprintf("node %s is silent", n.Name)
	}
	if !n.Failing() {
		return text
	}
	why := fmt.Sprintf("%s, since %s", *n.Disk, n.DiskSince.Format("2006-01-02 15:04:05Z"))
	switch {
	case text == "":
		return fmt.Sprintf("node %s cannot write: %s", n.Name, why)
	case n.AgeMillis == nil || time.Duration(*n.AgeMillis)*time.Millisecond < silentAfter:
		return text + ": " + why
	}
	return fmt.Sprintf("%s; its last report, of %s ago, says: %s", text, (time.Duration(*n.AgeMillis) * time.Millisecond).Truncate(time.Second), why)
}

// boolOrder puts true first.
func boolOrder(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}
