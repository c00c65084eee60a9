package data

import (
	"fmt"
	"slices"

	"sluice/words"
)

// MaxNamed is how many partitions an Unmet or a Finding names at most.
const MaxNamed = 10

// insert keeps a sorted list of distinct ids.
func insert(ids []int32, id int32) []int32 {
	if i, found := slices.BinarySearch(ids, id); !found {
		return slices.Insert(ids, i, id)
	}
	return ids
}

// name adds a partition's name unless enough are named.
func name(names []string, p *Partition) []string {
	if n := p.Name(); len(names) < MaxNamed && (len(names) == 0 || names[len(names)-1] != n) {
		return append(names, n)
	}
	return names
}

// Bytes writes a count of bytes with a unit of 1000, as in "1.5 TB".
func Bytes(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for ; v >= 999.95 && i < len(units)-1; i++ {
		v /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// have is the verb for so many.
func have(n int) string { return words.Verb(n, "has", "have") }
