package data

import (
	"fmt"

	"sluice/words"
)

// Codes of unmet demands. The goals' names stand for bands that are missed.
const (
	CodeNoPlace   = "no-place"      // hard: replicas stay on a broker that should be empty
	CodeRack      = "rack"          // hard: a rack holds too many copies of a partition
	CodeDiskLimit = "disk-limit"    // hard: a broker ends above its disk limit
	CodeDirLimit  = "log-dir-limit" // hard: a log dir ends above its disk limit
	CodeDirs      = "log-dirs"      // a broker's log dirs end outside their band
	CodeNoSource  = "no-source"     // hard: every copy of a partition is on a dead broker, so it is left out
	CodeGiant     = "giant"         // a partition is larger than a broker's share
)

// unmet lists what the present layout lacks.
func (q *planner) unmet() []Unmet {
	u := &unmetFinder{planner: q, t: q.targets(q.o)}
	u.places()
	u.racks()
	u.limits()
	u.giants()
	u.bands()
	u.sources()
	return u.list
}

type unmetFinder struct {
	*planner
	t    *targets
	list []Unmet
}

func (u *unmetFinder) places() {
	v := Unmet{Code: CodeNoPlace, Hard: true}
	held, n := 0, 0
	for p := range u.m.Partitions {
		if u.m.Partitions[p].Hold == lost {
			continue
		}
		for r := u.first[p]; r < u.first[p+1]; r++ {
			if b := u.at[r]; u.leaves(b) {
				n++
				v.Brokers = insert(v.Brokers, u.m.Brokers[b].ID)
				v.Partitions = name(v.Partitions, &u.m.Partitions[p])
				if u.m.Partitions[p].Hold != Free {
					held++
				}
			}
		}
	}
	if n == 0 {
		return
	}
	v.What = words.Count(n, "replica") + " left on brokers that should be empty"
	v.Help = u.placeHelp(n, held)
	u.list = append(u.list, v)
}

func (u *unmetFinder) placeHelp(n, held int) string {
	living, need := 0, 0
	for b := range u.load {
		if u.state(int32(b)).gains() {
			living++
		}
	}
	for p := range u.m.Partitions {
		for r := u.first[p]; r < u.first[p+1]; r++ {
			if u.leaves(u.at[r]) && u.m.Partitions[p].Hold != lost {
				need = max(need, int(u.rf(int32(p))))
			}
		}
	}
	switch {
	case held == n:
		return "they belong to excluded or pinned partitions: include these"
	case need > living:
		return fmt.Sprintf("%d copies need as many brokers and %d may take any: add brokers or lower the replication factor", need, living)
	}
	if ids := shutOut(u.layout, u.o, u.t); ids != nil {
		return fmt.Sprintf("%s %s room in all but in none of the log dirs: move partitions from one log dir to another there, give the dirs more disk, or raise the disk limit", words.Named("broker", ids), have(len(ids)))
	}
	if u.o.MaxBytes > 0 {
		return "raise the byte limit"
	}
	return "no other broker has room under the disk limit and the rack rule: add brokers or disks, or raise the disk limit"
}

func (u *unmetFinder) racks() {
	v := Unmet{Code: CodeRack, Hard: true}
	n := 0
	for p := range u.m.Partitions {
		bad := false
		for r := u.first[p]; r < u.first[p+1]; r++ {
			if !u.leaves(u.at[r]) && u.crowded(r) {
				bad = true
				v.Brokers = insert(v.Brokers, u.m.Brokers[u.at[r]].ID)
			}
		}
		if bad {
			n++
			v.Partitions = name(v.Partitions, &u.m.Partitions[p])
		}
	}
	if n > 0 {
		v.What = words.Count(n, "partition") + " with more copies in one rack than their spread over the racks needs"
		v.Help = "include them, add brokers or disks in the other racks, or raise the byte or the disk limit"
		u.list = append(u.list, v)
	}
}

func (u *unmetFinder) limits() {
	v := Unmet{Code: CodeDiskLimit, Hard: true}
	over := 0.0
	for b := range u.load {
		if x := float64(u.load[b].bytes); x > u.t.limit[b] && !u.leaves(int32(b)) {
			v.Brokers = append(v.Brokers, u.m.Brokers[b].ID)
			over += x - u.t.limit[b]
		}
	}
	if v.Brokers != nil {
		v.What = fmt.Sprintf("%s with %s in all above %.4g %% of the disk", words.Count(len(v.Brokers), "broker"), Bytes(int64(over)), 100*u.o.DiskLimit)
		v.Help = fmt.Sprintf("add disks or brokers for %s, shorten retention, or raise the disk limit", Bytes(int64(over/u.o.DiskLimit)))
		u.list = append(u.list, v)
	}
}

func (u *unmetFinder) giants() {
	if !u.o.Goals.Has(GoalDisk) {
		return
	}
	v := Unmet{Code: CodeGiant}
	for b := range u.load {
		if u.t.pinned[b] {
			v.Brokers = append(v.Brokers, u.m.Brokers[b].ID)
		}
	}
	for r := range u.at {
		if b := u.at[r]; u.t.pinned[b] && float64(u.size[r])*2 > u.t.disk[b] {
			v.Partitions = name(v.Partitions, &u.m.Partitions[u.part[r]])
		}
	}
	if v.Brokers != nil {
		v.What = words.Count(len(v.Brokers), "broker") + " with a partition larger than the broker's share of the disk; the others share the rest"
		v.Help = "give these topics more partitions or a shorter retention"
		u.list = append(u.list, v)
	}
}

// bands compares every goal with where the brokers ended.
func (u *unmetFinder) bands() {
	lead, out := u.fairLeads(), u.outShares()
	for _, goal := range []struct {
		g    Goal
		miss func(b int) bool
	}{
		{GoalDisk, func(b int) bool { return beyond(float64(u.load[b].bytes), u.t.disk[b], u.o.DiskBand) > 0 }},
		{GoalReplicas, func(b int) bool { return outOf(u.load[b].count, u.t.counts[b]) }},
		{GoalLeaders, func(b int) bool { return outOf(u.load[b].leaders, lead[b]) }},
		{GoalBytesIn, func(b int) bool { return beyond(float64(u.load[b].in), u.t.in[b], u.o.InBand) > 0 }},
		{GoalBytesOut, func(b int) bool { return beyond(float64(u.load[b].out), out[b], u.o.OutBand) > 0 }},
	} {
		if !u.o.Goals.Has(goal.g) {
			continue
		}
		v := Unmet{Code: goal.g.String()}
		for b := range u.load {
			if u.t.pool[b] >= 0 && goal.miss(b) {
				v.Brokers = append(v.Brokers, u.m.Brokers[b].ID)
			}
		}
		if v.Brokers != nil {
			v.What = fmt.Sprintf("%s outside the band of %s at the end", words.Count(len(v.Brokers), "broker"), goal.g)
			v.Help = u.bandHelp(goal.g)
			u.list = append(u.list, v)
		}
	}
}

// sources tells which partitions nobody can read until a dead broker is back.
func (u *unmetFinder) sources() {
	v, n := Unmet{Code: CodeNoSource, Hard: true}, 0
	for i := range u.m.Partitions {
		p := &u.m.Partitions[i]
		if p.Hold != lost {
			continue
		}
		n++
		v.Partitions = name(v.Partitions, p)
		for _, id := range p.Replicas {
			v.Brokers = insert(v.Brokers, id)
		}
	}
	if n == 0 {
		return
	}
	v.What = words.Count(n, "partition") + " left out: no living copy to read from, all are on dead brokers"
	v.Help = "bring one of these brokers back: until then nobody can send the records, and if the brokers are gone for good, the records are lost"
	u.list = append(u.list, v)
}

func outOf(n int32, s span) bool { return n < s.lo || n > s.hi }

// bandHelp names the likeliest thing that keeps a band from being reached.
func (u *unmetFinder) bandHelp(g Goal) string {
	for _, v := range u.list {
		if v.Hard {
			return "mend what is said above first"
		}
	}
	held := 0
	for b := range u.load {
		if !u.leaves(int32(b)) {
			held += int(u.load[b].held)
		}
	}
	full := fullDirs(u.layout, u.o, u.t, g)
	switch {
	case u.o.MaxBytes > 0:
		return "raise the byte limit"
	case full != nil:
		return fmt.Sprintf("%s should hold more, but no log dir there has room for even the smallest partition: give the dirs more disk, or raise the disk limit", words.Named("broker", full))
	case held > 0:
		return "include the excluded or pinned partitions"
	case len(u.m.Partitions) < 20*len(u.load):
		return fmt.Sprintf("%s on %s are too few and too large to share more evenly: add partitions, or widen the band", words.Count(len(u.m.Partitions), "partition"), words.Count(len(u.load), "broker"))
	case g == GoalLeaders || g == GoalBytesOut:
		return "the replicas lie so that leads cannot go where they lack: widen the band or add the goal replicas"
	}
	return "no move or swap of partitions of these sizes comes nearer: widen the band, or add partitions to the largest topics"
}
