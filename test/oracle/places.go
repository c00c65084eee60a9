package oracle

import (
	"pgregory.net/rapid"

	"sluice/fsm"
)

// Segments makes a mapping's segments of pairs of a source and a target offset.
func Segments(pairs ...int64) []fsm.Segment {
	var out []fsm.Segment
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, fsm.Segment{Source: pairs[i], Target: pairs[i+1]})
	}
	return out
}

// Places draws where the records of a stream stand, and the segments that
// say so: gaps in the source, and with foreign also other writers' records in
// the target.
func Places(t *rapid.T, foreign bool) (segments, records []fsm.Segment) {
	at, to := rapid.Int64Range(0, 50).Draw(t, "start"), rapid.Int64Range(0, 50).Draw(t, "target start")
	segments = []fsm.Segment{{Source: at, Target: to}}
	for range rapid.IntRange(0, 300).Draw(t, "records") {
		gap, jump := int64(0), int64(0)
		if rapid.IntRange(0, 9).Draw(t, "gap?") == 0 {
			gap = rapid.Int64Range(1, 5).Draw(t, "gap")
		}
		if foreign && rapid.IntRange(0, 9).Draw(t, "jump?") == 0 {
			jump = rapid.Int64Range(1, 5).Draw(t, "jump")
		}
		at, to = at+gap, to+jump
		if p := (fsm.Segment{Source: at, Target: to}); gap != jump && at > segments[len(segments)-1].Source {
			segments = append(segments, p)
		} else if gap != 0 || jump != 0 { // a segment begins behind the one before it
			at, to = at-gap, to-jump
		}
		records = append(records, fsm.Segment{Source: at, Target: to})
		at, to = at+1, to+1
	}
	return segments, records
}
