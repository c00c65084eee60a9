package cluster

import (
	"github.com/hashicorp/raft"

	"sluice/fsm"
)

// members are who belongs to the cluster, as of an index of the facts. Nodes
// tell each other: it is written to disk and goes between versions.
type members struct {
	Index uint64            `json:"index"`
	Names map[string]string `json:"names"` // by ServerID
}

func membersOf(v *fsm.View) members {
	m := members{Index: v.Index, Names: make(map[string]string, len(v.Nodes))}
	for _, n := range v.Nodes {
		m.Names[n.ID] = n.Name
	}
	return m
}

// commonFeature is the highest level that every member says it knows, 0 when
// one of them has not said yet.
func commonFeature(v *fsm.View, servers []raft.Server) uint32 {
	level := uint32(0)
	for i, s := range servers {
		node := v.Node(string(s.ID))
		if node == nil {
			return 0
		}
		if i == 0 || node.Feature < level {
			level = node.Feature
		}
	}
	return level
}
