package data

import (
	"fmt"
	"math"

	"sluice/words"
)

// dirSpan returns the fullest and the emptiest log dir in parts of their
// shares; 0 and 0 if there is nothing to compare, or if the dirs of some of
// the broker's bytes are not known.
func (b *Broker) dirSpan(bytes []int64, all int64) (most, least float64) {
	total, capacity, known := int64(0), int64(0), true
	for k, n := range bytes {
		total += n
		capacity += b.Dirs[k].Capacity
		known = known && b.Dirs[k].Capacity > 0
	}
	if total == 0 || total != all || len(bytes) < 2 {
		return 0, 0
	}
	least = math.Inf(1)
	for k, n := range bytes {
		w := 1 / float64(len(bytes))
		if known {
			w = float64(b.Dirs[k].Capacity) / float64(capacity)
		}
		x := float64(n) / (w * float64(total))
		most, least = math.Max(most, x), math.Min(least, x)
	}
	return most, least
}

// dirsUnmet lists what the log dirs lack, given the bytes in them and what the
// brokers hold in all.
func dirsUnmet(m *Model, o Options, dirs [][]int64, load []load) []Unmet {
	full := Unmet{Code: CodeDirLimit, Hard: true, Help: "give these dirs more disk, or raise the disk limit"}
	uneven := Unmet{Code: CodeDirs, Help: "partitions are too large, or held, to share these dirs more evenly: add partitions to the largest topics, or widen the band of logdirs"}
	for b := range m.Brokers {
		broker := &m.Brokers[b]
		if broker.State.leaves() {
			continue
		}
		for k, dir := range broker.Dirs {
			if dir.Capacity > 0 && float64(dirs[b][k]) > o.DiskLimit*float64(dir.Capacity) {
				full.Brokers = insert(full.Brokers, broker.ID)
			}
		}
		if most, least := broker.dirSpan(dirs[b], load[b].bytes); most > 1+o.DirBand || most > 0 && least < 1-o.DirBand {
			uneven.Brokers = append(uneven.Brokers, broker.ID)
		}
	}
	var list []Unmet
	if full.Brokers != nil {
		full.What = fmt.Sprintf("%s with a log dir above %.4g %% of its disk", words.Count(len(full.Brokers), "broker"), 100*o.DiskLimit)
		list = append(list, full)
	}
	if uneven.Brokers != nil {
		uneven.What = words.Count(len(uneven.Brokers), "broker") + " with log dirs outside their band at the end"
		list = append(list, uneven)
	}
	return list
}
