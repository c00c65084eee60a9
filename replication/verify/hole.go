package verify

import (
	"cmp"
	"fmt"
	"slices"
)

// hole is a batch that was not opened.
type hole struct {
	from, to int64 // offsets, to is behind the last one
	records  int64
}

// holes are the target offsets where what was not opened stands, in their
// order: batches of the target, and copies of the source's.
type holes struct {
	target, source []hole
	names          []string // of the first ones
}

// namedHoles is how many batches are named of a partition.
const namedHoles = 5

func (y *holes) name(side string, h hole) {
	if len(y.names) < namedHoles {
		y.names = append(y.names, fmt.Sprintf("%s offsets %d to %d", side, h.from, h.to-1))
	}
}

// within reports whether one of the holes reaches into lo to hi.
func within(list []hole, lo, hi int64) bool {
	i, _ := slices.BinarySearchFunc(list, lo, func(h hole, at int64) int { return cmp.Compare(h.to-1, at) })
	return i < len(list) && list[i].from <= hi
}
