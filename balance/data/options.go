package data

import (
	"fmt"
	"strings"
)

// Goal is one thing to level, or several as a set of bits.
type Goal uint8

// The goals. Replicas and Leaders mean exactly the floor or the ceiling of a
// broker's share; the others mean a band around its share.
const (
	GoalDisk Goal = 1 << iota
	GoalReplicas
	GoalLeaders
	GoalBytesIn
	GoalBytesOut

	DefaultGoals = GoalDisk | GoalReplicas | GoalLeaders
	AllGoals     = DefaultGoals | GoalBytesIn | GoalBytesOut
)

var goalNames = [...]string{"disk", "replicas", "leaders", "bytes-in", "bytes-out"}

// Has reports whether g holds all of want.
func (g Goal) Has(want Goal) bool { return g&want == want }

// String lists the goals in their fixed order, separated by commas.
func (g Goal) String() string {
	var names []string
	for i, name := range goalNames {
		if g.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// ParseGoals reads a list as String writes it, in any order.
func ParseGoals(list string) (Goal, error) {
	var g Goal
	for word := range strings.SplitSeq(list, ",") {
		one, err := parseGoal(strings.TrimSpace(word))
		if err != nil {
			return 0, err
		}
		g |= one
	}
	return g, nil
}

func parseGoal(word string) (Goal, error) {
	for i, name := range goalNames {
		if name == word {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("no goal %q: the goals are %s", word, AllGoals)
}

// Options say what a plan must reach and may cost.
type Options struct {
	Goals     Goal
	DiskBand  float64 // margin around the share: 0.02 means [0.98, 1.02]
	InBand    float64
	OutBand   float64
	DiskLimit float64 // part of a broker's disk, and of each log dir, never exceeded, at the end and while moving
	DirBand   float64 // margin around a log dir's share of its broker's bytes
	MaxBytes  int64   // bytes that may travel between brokers; 0: no limit
	Throttle  int64   // bytes a second that a broker may take, and give, while moving; 0: no estimate
}

// DefaultOptions levels disk, replicas and leaders.
func DefaultOptions() Options {
	return Options{
		Goals: DefaultGoals, DiskBand: 0.02, InBand: 0.05, OutBand: 0.05,
		DiskLimit: 0.80, DirBand: 0.05, Throttle: 50e6,
	}
}

// Validate reports the first option that makes no sense.
func (o Options) Validate() error {
	if o.Goals == 0 || o.Goals&^AllGoals != 0 {
		return fmt.Errorf("no goals: choose from %s", AllGoals)
	}
	for _, b := range []struct {
		name string
		v    float64
	}{{"disk", o.DiskBand}, {"bytes-in", o.InBand}, {"bytes-out", o.OutBand}, {"log dir", o.DirBand}} {
		if !(b.v >= 0.001 && b.v < 1) {
			return fmt.Errorf("%s band %v: must lie in [0.001, 1)", b.name, b.v)
		}
	}
	if !(o.DiskLimit > 0 && o.DiskLimit <= 1) {
		return fmt.Errorf("disk limit %v: must lie in (0, 1]", o.DiskLimit)
	}
	if o.MaxBytes < 0 || o.Throttle < 0 {
		return fmt.Errorf("negative byte limit or throttle")
	}
	return nil
}
