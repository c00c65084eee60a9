// Package offsets owns the arithmetic of exactly once: which source record each
// target offset and each sequence number is, where a source record stands at
// the target, and whether the broker surely still holds our producer state.
//
// It is pure: values in, values out. It must not know connections, batches'
// contents or the control plane.
package offsets

import (
	"sort"

	"sluice/fsm"
)

// sequences count from 0 to 2^31-1 and start again at 0 (Kafka's
// DefaultRecordBatch.incrementSequence).
const sequences = int64(1) << 31

// Sequence returns the sequence number of the record that stands, or will
// stand, at the target offset.
func Sequence(m *fsm.Mapping, target int64) int32 {
	d := (target - m.SequenceZero) % sequences
	if d < 0 {
		d += sequences
	}
	return int32(d)
}

// NextSequence is the sequence number behind that of so many records.
func NextSequence(sequence, count int32) int32 {
	return int32((int64(sequence) + int64(count)) % sequences)
}

// OffsetOf is the inverse of Sequence: of the target offsets that have the
// sequence number, the one nearest to near.
func OffsetOf(m *fsm.Mapping, sequence int32, near int64) int64 {
	d := (int64(sequence) - int64(Sequence(m, near))) % sequences
	if d > sequences/2 {
		d -= sequences
	}
	if d < -sequences/2 {
		d += sequences
	}
	return near + d
}

// Where offsets are identical, those before a source's first record are taken at
// the target first.
const (
	MostFilled      = 20_000_000_000 // offsets of a partition at most: an hour's
	FilledPerSecond = 5_000_000      // offsets that a node takes at most, in all partitions
)

// Source returns the source offset of the next record to copy when the
// target's log ends at target. Where a segment ends there, that is the start
// of the next one.
func Source(m *fsm.Mapping, target int64) int64 {
	s := m.Segments
	i := after(s, target)
	if i == 0 {
		return s[0].Source
	}
	return target - s[i-1].Shift()
}

// after is the index of the first segment that begins behind the target
// offset.
func after(s []fsm.Segment, target int64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].Target > target })
}

// Edge is the source offset at which copying on from a target offset leaves its
// segment for the next one that the mapping knows, 0: it knows of none.
func Edge(m *fsm.Mapping, target int64) int64 {
	s := m.Segments
	i := after(s, target)
	if i == 0 || i == len(s) {
		return 0
	}
	return s[i].Target - s[i-1].Shift()
}

// reached reports whether copying on in segment i-1 leads to segment i: it
// skips source offsets, but no target offsets that another writer took.
func reached(s []fsm.Segment, i int) bool { return s[i].Target-s[i-1].Shift() <= s[i].Source }

// Mixed reports whether the mapping cannot tell what stands before the target
// offset: inside a segment that another writer's records ended, only their
// number is known, not their places.
func Mixed(m *fsm.Mapping, target int64) bool {
	s := m.Segments
	i := after(s, target)
	return i > 0 && i < len(s) && target > s[i-1].Target && !reached(s, i)
}

// Until returns the segments that begin up to where a target's log ends.
func Until(m *fsm.Mapping, end int64) []fsm.Segment { return m.Segments[:after(m.Segments, end)] }

// Cut returns the segments that hold for a target whose log lost what stood
// at end and behind: gaps of the source are still ahead, other writers'
// records are not, and so the segments behind them are void.
func Cut(m *fsm.Mapping, end int64) []fsm.Segment {
	s := m.Segments
	n := max(after(s, end), 1)
	for m.Phase == fsm.PhaseDense && n < len(s) && reached(s, n) {
		n++
	}
	return append([]fsm.Segment(nil), s[:n]...)
}

// Target returns where the source offset stands at the target, by the segment
// that it lies in. It is false for an offset before the stream's start and
// for one that a gap between two segments swallowed; the offset returned is
// then that of the next record which has a place.
func Target(m *fsm.Mapping, source int64) (int64, bool) {
	s := m.Segments
	i := sort.Search(len(s), func(i int) bool { return s[i].Source > source })
	if i == 0 {
		return s[0].Target, false
	}
	at := source + s[i-1].Shift()
	if i < len(s) && at >= s[i].Target {
		return s[i].Target, false
	}
	return at, true
}

// Behind returns the segments of a stream that goes on with the source offset
// at the target's log end. Segments that this makes void are left out: those
// behind the log end, and those of which nothing was written.
func Behind(m *fsm.Mapping, source, end int64) []fsm.Segment {
	var kept []fsm.Segment
	for _, s := range m.Segments {
		if s.Target < end && s.Source < source {
			kept = append(kept, s)
		}
	}
	return append(kept, fsm.Segment{Source: source, Target: end})
}

// Placed is one of our batches as it stands in the target's log.
type Placed struct {
	BaseOffset   int64
	BaseSequence int32
}

// Moved returns the segments of a dense mapping as they are once other
// writers' records have moved some of our batches (ours, in the log's order)
// away from where the mapping has them. near is a target offset of the mapping
// less than half of all sequences away from theirs.
func Moved(m *fsm.Mapping, near int64, ours []Placed) []fsm.Segment {
	out := append([]fsm.Segment(nil), m.Segments...)
	moved := false
	for _, b := range ours {
		meant := OffsetOf(m, b.BaseSequence, near)
		if !moved && meant == b.BaseOffset {
			continue
		}
		moved = true
		seg := fsm.Segment{Source: Source(m, meant), Target: b.BaseOffset}
		out = out[:sort.Search(len(out), func(i int) bool { return out[i].Source >= seg.Source || out[i].Target >= seg.Target })]
		if n := len(out); n == 0 || out[n-1].Shift() != seg.Shift() {
			out = append(out, seg)
		}
	}
	return out
}

// Hour in milliseconds, the most that Guarded keeps clear of the expiry.
const hour = int64(3600_000)

// Guarded reports whether the broker surely still holds our producer state:
// the last appended batch (not the one to be sent) is younger than the
// expiration less min(1 h, a quarter of it). All in ms; last is that batch's
// max timestamp, negative: there is none.
func Guarded(last, now, expiration int64) bool {
	if last < 0 {
		return false
	}
	return now-last < expiration-min(hour, expiration/4)
}
