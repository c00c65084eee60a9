package data

import "math"

// shutOut lists the brokers that could take a replica which has no place, but
// for their log dirs.
func shutOut(l *layout, o Options, t *targets) []int32 {
	book := newDirBook(&l.positions, o)
	if book == nil {
		return nil
	}
	var all []int32
	for i, at := range l.at {
		r := int32(i)
		if !l.leaves(at) || !l.free(r) {
			continue
		}
		var full []int32
		for b := range l.load {
			d := int32(b)
			if !l.legal(r, d) || float64(l.load[b].bytes+l.size[r]) > t.limit[b] {
				continue
			}
			if book.takes(r, d) {
				full = nil // something else keeps it from there
				break
			}
			full = append(full, l.m.Brokers[b].ID)
		}
		for _, id := range full {
			all = insert(all, id)
		}
	}
	return all
}

// fullDirs lists the brokers that should take more for a goal, but have no room
// for the smallest partition in any log dir.
func fullDirs(l *layout, o Options, t *targets, g Goal) []int32 {
	if !l.m.limitsDirs() {
		return nil
	}
	least := int64(math.MaxInt64)
	for i := range l.m.Partitions {
		if p := &l.m.Partitions[i]; p.Hold == Free && p.Size > 0 {
			least = min(least, p.Size)
		}
	}
	var full []int32
	dirs := dirLoads(l.m)
	for b := range l.load {
		broker, have := &l.m.Brokers[b], &l.load[b]
		lacks := g == GoalDisk && float64(have.bytes) < (1-o.DiskBand)*t.disk[b] ||
			g == GoalReplicas && have.count < t.counts[b].lo ||
			g == GoalBytesIn && float64(have.in) < (1-o.InBand)*t.in[b]
		limit := broker.dirLimits(o)
		if !lacks || limit == nil || !broker.State.gains() {
			continue
		}
		shut := true
		for k, n := range dirs[b] {
			shut = shut && float64(n+least) > limit[k]
		}
		if shut {
			full = append(full, broker.ID)
		}
	}
	return full
}
