package data

import (
	"cmp"
	"fmt"
	"slices"

	"sluice/words"
)

// State says what a broker may be asked to do.
type State uint8

// The states of a broker.
const (
	OK       State = iota // holds, gains and loses replicas
	New                   // as OK; expected to be empty
	Draining              // alive, to be emptied, gains nothing
	Cordoned              // keeps what it holds, gains nothing
	Dead                  // gone; its replicas must be placed elsewhere
)

var stateNames = [...]string{"ok", "new", "draining", "cordoned", "dead"}

// String returns the word that the files use.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// ParseState reads the word that the files use; false if there is none such.
func ParseState(word string) (State, bool) {
	i := slices.Index(stateNames[:], word)
	return State(max(i, 0)), i >= 0
}

// leaves reports whether the broker must end without replicas.
func (s State) leaves() bool { return s == Dead || s == Draining }

// gains reports whether the broker may be given replicas.
func (s State) gains() bool { return s == OK || s == New }

// Hold keeps a partition from being changed.
type Hold uint8

// The holds of a partition.
const (
	Free     Hold = iota // anything may change
	Pinned               // replicas stay where they are; the leader may change
	Excluded             // nothing changes
	lost                 // every copy is on a dead broker: nothing can change until one is back
)

// LogDir is one data directory of a broker.
type LogDir struct {
	Path     string
	Capacity int64 // bytes; 0: unknown, an equal share of the broker's disk
}

// Broker is one broker of the cluster.
type Broker struct {
	ID     int32
	Rack   string // empty: a rack of that (empty) name
	Disk   int64  // capacity in bytes; 0: unknown, no disk limit
	NetIn  int64  // capacity in bytes a second; 0: unknown
	NetOut int64  // capacity in bytes a second; 0: unknown
	State  State
	Dirs   []LogDir // empty: not known, or one
}

// Partition is one partition with its replicas, leader first.
type Partition struct {
	Topic    string
	ID       int32
	Replicas []int32 // broker ids, the (preferred) leader first
	Dirs     []int16 // index into the broker's Dirs per replica, -1: not known; nil: none is
	Size     int64   // bytes of one replica
	In       int64   // bytes a second that every replica takes
	Out      int64   // bytes a second that the leader gives
	Hold     Hold
}

// Model is a cluster at one moment. Plan and Check need it in the canonical
// order that Sort makes.
type Model struct {
	Brokers    []Broker    // ascending by id
	Partitions []Partition // ascending by topic and id
}

// Sort puts the model into canonical order, so that a plan does not depend on
// the order of the input.
func (m *Model) Sort() {
	byID := func(a, b Broker) int { return cmp.Compare(a.ID, b.ID) }
	if !slices.IsSortedFunc(m.Brokers, byID) {
		slices.SortFunc(m.Brokers, byID)
	}
	if !slices.IsSortedFunc(m.Partitions, comparePartitions) {
		slices.SortFunc(m.Partitions, comparePartitions)
	}
}

func comparePartitions(a, b Partition) int {
	if c := cmp.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// mostSum is what sizes, rates and capacities may sum up to, so that no sum of
// them overflows.
const mostSum = 1 << 60

// Validate reports the first thing that makes the model unusable: wrong order,
// a duplicate, an unknown broker, a negative figure, sums beyond 2^60, a bad
// log dir.
func (m *Model) Validate() error {
	if len(m.Brokers) == 0 {
		return fmt.Errorf("no brokers")
	}
	ix := newBrokerIndex(m.Brokers)
	sums := 0.0 // of what would overflow first
	for i := range m.Brokers {
		b := &m.Brokers[i]
		if i > 0 && m.Brokers[i-1].ID >= b.ID {
			return fmt.Errorf("broker %d: twice or out of order", b.ID)
		}
		if b.ID < 0 || b.Disk < 0 || b.NetIn < 0 || b.NetOut < 0 {
			return fmt.Errorf("broker %d: negative id or capacity", b.ID)
		}
		if sums += float64(max(b.Disk, b.NetIn, b.NetOut)); sums > mostSum {
			return fmt.Errorf("broker %d: capacities sum up to more than 2^60 bytes", b.ID)
		}
	}
	sums = 0
	for i := range m.Partitions {
		p := &m.Partitions[i]
		if i > 0 && comparePartitions(m.Partitions[i-1], *p) >= 0 {
			return fmt.Errorf("partition %s: twice or out of order", p.Name())
		}
		if sums += float64(max(p.Size, p.In, p.Out)) * float64(len(p.Replicas)); sums > mostSum {
			return fmt.Errorf("partition %s: sizes or rates sum up to more than 2^60 bytes", p.Name())
		}
		if err := p.validate(m, ix); err != nil {
			return fmt.Errorf("partition %s: %w", p.Name(), err)
		}
	}
	return nil
}

func (p *Partition) validate(m *Model, ix brokerIndex) error {
	if len(p.Replicas) == 0 {
		return fmt.Errorf("no replicas")
	}
	if p.Size < 0 || p.In < 0 || p.Out < 0 {
		return fmt.Errorf("negative size or rate")
	}
	if p.Dirs != nil && len(p.Dirs) != len(p.Replicas) {
		return fmt.Errorf("%s for %s", words.Count(len(p.Dirs), "log dir"), words.Count(len(p.Replicas), "replica"))
	}
	for k, id := range p.Replicas {
		b := ix.of(id)
		if b < 0 {
			return fmt.Errorf("unknown broker %d", id)
		}
		if slices.Contains(p.Replicas[:k], id) {
			return fmt.Errorf("broker %d twice", id)
		}
		if p.Dirs == nil {
			continue
		}
		if d := int(p.Dirs[k]); d < -1 || d >= len(m.Brokers[b].Dirs) {
			return fmt.Errorf("broker %d has no log dir %d", id, d)
		}
	}
	return nil
}

// Name returns topic-partition, as Kafka's tools write it.
func (p *Partition) Name() string { return fmt.Sprintf("%s-%d", p.Topic, p.ID) }

// dirOf returns the log dir of partition p on a broker, -1 if it is not there
// or not known.
func (m *Model) dirOf(p, id int32) int16 {
	part := &m.Partitions[p]
	if k := slices.Index(part.Replicas, id); k >= 0 && part.Dirs != nil {
		return part.Dirs[k]
	}
	return -1
}

// limitsDirs reports whether the capacity of a log dir is known.
func (m *Model) limitsDirs() bool {
	return slices.ContainsFunc(m.Brokers, func(b Broker) bool {
		return slices.ContainsFunc(b.Dirs, func(d LogDir) bool { return d.Capacity > 0 })
	})
}

// brokerIndex finds a broker's place by its id.
type brokerIndex struct {
	dense  []int32 // place + 1 by id, for ids below its length
	sparse map[int32]int32
}

func newBrokerIndex(brokers []Broker) brokerIndex {
	ix := brokerIndex{dense: make([]int32, 4096)}
	for i := range brokers {
		id := brokers[i].ID
		switch {
		case id >= 0 && int(id) < len(ix.dense):
			ix.dense[id] = int32(i) + 1
		default:
			if ix.sparse == nil {
				ix.sparse = make(map[int32]int32)
			}
			ix.sparse[id] = int32(i) + 1
		}
	}
	return ix
}

// of returns the place of broker id, -1 if there is none.
func (ix brokerIndex) of(id int32) int32 {
	if id >= 0 && int(id) < len(ix.dense) {
		return ix.dense[id] - 1
	}
	return ix.sparse[id] - 1
}
