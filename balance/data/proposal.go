package data

// Load is what a broker carries.
type Load struct {
	Bytes    int64 `json:"bytes"`
	Replicas int32 `json:"replicas"`
	Leaders  int32 `json:"leaders"`
	In       int64 `json:"in"`  // bytes a second
	Out      int64 `json:"out"` // bytes a second
}

// BrokerFigures is a broker before and after a proposal.
type BrokerFigures struct {
	ID      int32   `json:"id"`
	Rack    string  `json:"rack"`
	State   string  `json:"state"`
	Disk    int64   `json:"disk"`  // capacity in bytes
	Share   int64   `json:"share"` // bytes that its capacity asks for
	Before  Load    `json:"before"`
	After   Load    `json:"after"`
	Peak    int64   `json:"peak"` // the most bytes it holds on the way
	DirsMax float64 `json:"dirsMax,omitempty"`
	DirsMin float64 `json:"dirsMin,omitempty"` // fullest and emptiest log dir after, in parts of its share
}

// Change is what a proposal makes of one partition. From is the list to go
// back to.
type Change struct {
	Partition int     `json:"-"` // place in the model
	Topic     string  `json:"topic"`
	ID        int32   `json:"partition"`
	From      []int32 `json:"from"`
	To        []int32 `json:"to"`
	FromDirs  []int16 `json:"fromDirs,omitempty"` // index into the brokers' log dirs
	ToDirs    []int16 `json:"toDirs,omitempty"`
}

// Step sets the replicas of one partition.
type Step struct {
	Change int     `json:"change"` // place in the proposal's changes
	To     []int32 `json:"to"`
	Dirs   []int16 `json:"dirs,omitempty"`
}

// Stage is steps that are carried out together: until all of them are done, a
// replica that moves takes up disk on both sides.
type Stage struct {
	Steps []Step `json:"steps"`
	Bytes int64  `json:"bytes"`
}

// Bound is what no plan with the same result can undercut, in bytes.
type Bound struct {
	Bytes    int64   `json:"bytes"`    // of all below together
	Disk     int64   `json:"disk"`     // bytes above and below the levels that the result has
	Repair   int64   `json:"repair"`   // copies on brokers that leave, and beyond what racks may hold
	Replicas int64   `json:"replicas"` // the smallest replicas that counts ask for
	In       int64   `json:"bytesIn"`  // the replicas with most bytes-in per byte that bytes-in asks for
	Ratio    float64 `json:"ratio"`    // bytes that travel / Bytes; 1 if both are 0; 0 if only the bound is
}

// Unmet is a demand that the proposal does not meet, and why.
type Unmet struct {
	Code       string   `json:"code"`
	Hard       bool     `json:"hard"` // a rule is broken, not just a band missed
	Brokers    []int32  `json:"brokers,omitempty"`
	Partitions []string `json:"partitions,omitempty"` // at most ten
	What       string   `json:"what"`
	Help       string   `json:"help"`
}

// Finding is something about the cluster as it is that the operator should
// know before a proposal is carried out. It breaks no rule and misses no band.
type Finding struct {
	Code       string   `json:"code"`
	Topic      string   `json:"topic,omitempty"`
	Brokers    []int32  `json:"brokers,omitempty"`
	Partitions []string `json:"partitions,omitempty"` // at most ten
	What       string   `json:"what"`
	Help       string   `json:"help"`
}

// Proposal is what should change and what that costs.
type Proposal struct {
	Changes       []Change        `json:"changes"`
	Stages        []Stage         `json:"stages"`
	Moves         int             `json:"moves"`         // replicas that change brokers
	Bytes         int64           `json:"bytes"`         // that travel between brokers
	LeaderChanges int             `json:"leaderChanges"` // partitions that end under another leader
	DirMoves      int             `json:"dirMoves"`      // replicas that change log dirs on their broker
	DirBytes      int64           `json:"dirBytes"`
	Brokers       []BrokerFigures `json:"brokers"`
	Bound         Bound           `json:"bound"`
	Seconds       float64         `json:"seconds"` // to move all at the throttle; 0: not asked for
	Unmet         []Unmet         `json:"unmet"`
	Findings      []Finding       `json:"findings"`
}

// Empty reports whether there is nothing to do.
func (p *Proposal) Empty() bool { return len(p.Changes) == 0 }

// Apply returns the model as it is once the proposal has been carried out. It
// shares what does not change with m.
func (p *Proposal) Apply(m *Model) *Model {
	after := &Model{Brokers: m.Brokers, Partitions: append([]Partition(nil), m.Partitions...)}
	for i := range p.Changes {
		c := &p.Changes[i]
		part := &after.Partitions[c.Partition]
		part.Replicas = c.To
		if c.ToDirs != nil {
			part.Dirs = c.ToDirs
		}
	}
	return after
}
