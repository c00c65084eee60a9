package verify

import (
	"testing"

	"sluice/fsm"
	"sluice/replication/offsets"
	"sluice/test/oracle"
)

func TestBound(t *testing.T) {
	// Enough segments that the first ones count as thinned: 0, 10, 20, ...
	// leave two source offsets out each.
	var long []fsm.Segment
	for i := range int64(fsm.MaxSegments/4 + 10) {
		long = append(long, fsm.Segment{Source: 10 * i, Target: 8 * i})
	}
	end := long[len(long)-1]
	for _, tc := range []struct {
		name                           string
		phase                          fsm.Phase
		segments                       []fsm.Segment
		progress                       fsm.Progress
		sourceEnd, targetEnd           int64 // at the job's start
		sourceHead, targetHead, target int64 // now
		start, due                     int64
		want                           [4]int64
		behind, trimmed, sourceGone    int64
	}{
		{name: "all is there", segments: oracle.Segments(0, 0), sourceEnd: 100, targetEnd: 90, target: 100, want: [4]int64{0, 100, 0, 100}},
		{name: "the source has grown and was copied", segments: oracle.Segments(0, 0), sourceEnd: 100, targetEnd: 90, target: 150, want: [4]int64{0, 100, 0, 100}},
		{name: "the target lags", segments: oracle.Segments(0, 0), sourceEnd: 100, target: 70, want: [4]int64{0, 70, 0, 70}, behind: 30},
		{name: "the target lags behind what was acknowledged", segments: oracle.Segments(0, 0), progress: fsm.Progress{Source: 80, Target: 80}, sourceEnd: 100, target: 70, want: [4]int64{0, 80, 0, 70}, behind: 20},
		{name: "the target has more than the source", segments: oracle.Segments(0, 0), sourceEnd: 100, targetEnd: 105, target: 110, want: [4]int64{0, 100, 0, 105}},
		{name: "shifted", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, targetEnd: 70, target: 70, want: [4]int64{40, 100, 10, 70}},
		{name: "nothing copied yet", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, target: 10, want: [4]int64{40, 40, 10, 10}, behind: 60},
		{name: "the source ends before the start", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 30, target: 10, want: [4]int64{40, 40, 10, 10}},
		{name: "retention at the source", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, target: 70, sourceHead: 50, want: [4]int64{50, 100, 20, 70}, sourceGone: 10},
		{name: "retention at the target", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, target: 70, targetHead: 30, want: [4]int64{40, 100, 30, 70}},
		{name: "retention at the target, the source's is due", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, target: 70, targetHead: 30, due: 55, want: [4]int64{55, 100, 30, 70}, trimmed: 15},
		{name: "retention at both, the source's further", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, target: 70, sourceHead: 60, targetHead: 20, want: [4]int64{60, 100, 30, 70}, trimmed: 10, sourceGone: 10},
		{name: "retention at both, the target's further", segments: oracle.Segments(40, 10), start: 40, sourceEnd: 100, target: 70, sourceHead: 50, targetHead: 30, want: [4]int64{50, 100, 30, 70}, trimmed: 10},
		{name: "retention took all at the target", segments: oracle.Segments(0, 0), sourceEnd: 100, target: 100, targetHead: 100, want: [4]int64{0, 100, 100, 100}},
		{name: "retention took all at the source", segments: oracle.Segments(0, 0), sourceEnd: 100, target: 100, sourceHead: 100, want: [4]int64{100, 100, 100, 100}, sourceGone: 100},
		{name: "the mapping begins behind the link's start", segments: oracle.Segments(40, 10), start: 20, sourceEnd: 100, target: 70, want: [4]int64{20, 100, 10, 70}},
		{name: "the mapping is older than the link's start", segments: oracle.Segments(40, 10), start: 60, sourceEnd: 100, target: 70, want: [4]int64{40, 100, 10, 70}},
		{name: "retention took all", segments: oracle.Segments(0, 0), sourceEnd: 100, target: 100, sourceHead: 100, targetHead: 100, want: [4]int64{100, 100, 100, 100}, trimmed: 100},
		{name: "a declared gap", segments: oracle.Segments(0, 0, 50, 20), sourceEnd: 100, target: 70, want: [4]int64{0, 100, 0, 70}},
		{name: "inside a declared gap", segments: oracle.Segments(0, 0, 50, 20), sourceEnd: 40, target: 20, want: [4]int64{0, 40, 0, 20}},
		{name: "translated, in step", phase: fsm.PhaseTranslated, segments: oracle.Segments(0, 0), progress: fsm.Progress{Source: 16, Target: 15}, sourceEnd: 16, target: 15, want: [4]int64{0, 16, 0, 15}},
		{name: "translated, beyond the progress", phase: fsm.PhaseTranslated, segments: oracle.Segments(0, 0), progress: fsm.Progress{Source: 16, Target: 15}, sourceEnd: 30, target: 28, want: [4]int64{0, 16, 0, 15}, behind: 14},
		{name: "translated, the target has more than the source", phase: fsm.PhaseTranslated, segments: oracle.Segments(0, 0), progress: fsm.Progress{Source: 16, Target: 15}, sourceEnd: 16, targetEnd: 18, target: 19, want: [4]int64{0, 16, 0, 18}},
		{name: "translated, the source ends before what was copied", phase: fsm.PhaseTranslated, segments: oracle.Segments(0, 0), progress: fsm.Progress{Source: 16, Target: 16}, sourceEnd: 10, targetEnd: 16, target: 16, want: [4]int64{0, 10, 0, 16}},
		{name: "translated, the source's end is well known", phase: fsm.PhaseTranslated, segments: long, progress: fsm.Progress{Source: end.Source + 5, Target: end.Target + 5},
			sourceEnd: end.Source + 3, target: end.Target + 5, want: [4]int64{0, end.Source + 3, 0, end.Target + 3}},
		{name: "translated, the source's end lies where segments are thinned out", phase: fsm.PhaseTranslated, segments: long, progress: fsm.Progress{Source: end.Source + 5, Target: end.Target + 5},
			sourceEnd: 35, target: end.Target + 5, want: [4]int64{0, 40, 0, 32}},
		{name: "translated, retention at the source where segments are thinned out", phase: fsm.PhaseTranslated, segments: long, progress: fsm.Progress{Source: end.Source, Target: end.Target},
			sourceEnd: end.Source, target: end.Target, sourceHead: 34, want: [4]int64{34, end.Source, 32, end.Target}, sourceGone: 24},
		{name: "translated, retention at the target where segments are thinned out", phase: fsm.PhaseTranslated, segments: long, progress: fsm.Progress{Source: end.Source, Target: end.Target},
			sourceEnd: end.Source, target: end.Target, targetHead: 27, want: [4]int64{0, end.Source, 32, end.Target}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.phase == 0 {
				tc.phase = fsm.PhaseDense
			}
			m := offsets.Translate(&fsm.Mapping{Phase: tc.phase, Segments: tc.segments})
			b := bound(m, tc.phase == fsm.PhaseTranslated, tc.progress, ends{
				start: tc.start, due: tc.due, source: tc.sourceEnd, target: tc.targetEnd, sourceHead: tc.sourceHead, targetHead: tc.targetHead, targetNow: tc.target,
			})
			if got := [4]int64{b.sourceFrom, b.sourceTo, b.targetFrom, b.targetTo}; got != tc.want {
				t.Errorf("source and target ranges %v, want %v", got, tc.want)
			}
			if b.behind != tc.behind || b.trimmed != tc.trimmed || b.sourceGone != tc.sourceGone {
				t.Errorf("behind %d, trimmed %d, gone at the source %d; want %d, %d, %d", b.behind, b.trimmed, b.sourceGone, tc.behind, tc.trimmed, tc.sourceGone)
			}
		})
	}
}
