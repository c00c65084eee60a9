package cli

import "sluice/api"

// RescueVerbs work on the data dir of a node that does not run.
type RescueVerbs interface {
	// Examine reads the data dir of node.yaml, which comes first, and others.
	Examine(configFile string, others []string) ([]DataDir, error)
	// Recover makes the node of node.yaml the only one of a new Sluice cluster.
	Recover(configFile string) (Rescued, error)
	// Restore does so with the facts of a file, in an empty data dir.
	Restore(configFile, file string) (Rescued, error)
}

// DataDir is what a data dir holds of its Sluice cluster.
type DataDir struct {
	Dir       string   `json:"dir"`
	Node      string   `json:"node"`
	ClusterID string   `json:"clusterId"`
	Term      uint64   `json:"term"`  // of its last entry
	Index     uint64   `json:"index"` // of its last entry
	Later     bool     `json:"later"` // holds more than the first one
	Links     int      `json:"links"`
	Streams   int      `json:"streams"`
	Others    []string `json:"others"` // names of the other members
}

// Rescued is a Sluice cluster of one node that was made.
type Rescued struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	ClusterID  string `json:"clusterId"`
	Node       string `json:"node"`
	Index      uint64 `json:"index"`          // of the facts
	Kept       string `json:"kept,omitempty"` // folder with what the node held before
}

// Meta fills in what every answer says of itself.
func (r Rescued) Meta() Rescued {
	r.APIVersion, r.Kind = api.Version, "Rescued"
	return r
}

// rescuedNext is what a person does after a cluster of one node was made.
const rescuedNext = "start it with `sluice server`; let the others join with empty data dirs; then `sluice link adopt LINK` for each link"
