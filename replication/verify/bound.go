package verify

import (
	"sluice/fsm"
	"sluice/replication/offsets"
)

// ends are the ends of both logs of a stream.
type ends struct {
	start                  int64 // of the link at the source, 0: the log's
	source, target         int64 // last stable offset when the job began, high watermark before that
	sourceHead, targetHead int64 // log starts now
	targetNow              int64 // high watermark
	due                    int64 // source offset below which the source's retention deletes, sooner or later
}

// edges are where there is something to compare.
type edges struct {
	floor int64 // target offset; what stands below it is gone at one side
	head  int64 // log start of the target
	due   int64 // source offset; what stands below it the source's retention deletes too
}

// bounds is what of a stream is compared.
type bounds struct {
	edges
	mapping              offsets.Translation
	sourceFrom, sourceTo int64
	targetFrom, targetTo int64
	behind               int64
	trimmed, sourceGone  int64
}

// seen is what of a stream can be compared. Without a task, or a mapping,
// nothing of it was copied.
type seen struct {
	bounds
	ends
	task   *fsm.Task
	unsure error // retention could not be asked about
}

// bound decides from which to which offset both sides are compared.
//
// All that the source still holds is read, so that what the target lost alone
// is found, but for what the source is about to delete too.
func bound(m offsets.Translation, translated bool, progress fsm.Progress, e ends) bounds {
	b := bounds{mapping: m, edges: edges{head: e.targetHead, due: e.due}}
	begin := min(m.Start(), max(e.start, 0))
	first := max(begin, e.sourceHead)
	if translated {
		// Segments beyond the progress are not known yet.
		b.sourceTo = max(m.Start(), min(e.source, progress.Source))
	} else {
		// What the target has, and what it must have since it was acknowledged.
		b.sourceTo = max(m.Start(), min(e.source, max(m.Source(e.targetNow), progress.Source)))
	}
	if b.sourceTo == progress.Source {
		b.targetTo = progress.Target
	} else {
		// Where it is not known exactly where the end stands, some more is read.
		b.sourceTo = m.Settles(b.sourceTo)
		b.targetTo = m.Target(b.sourceTo)
	}
	b.behind = max(0, e.source-b.sourceTo)
	if b.behind == 0 {
		// What the target had before the source's end was read, and no more,
		// must come from the source.
		b.targetTo = max(b.targetTo, e.target)
	}
	b.targetTo = min(b.targetTo, e.targetNow)
	gone := begin // before it the target has nothing any more
	if e.targetHead > m.Target(m.Start()) {
		gone = m.Source(e.targetHead)
	}
	both := min(m.From(max(m.Start(), e.sourceHead), e.targetHead), b.sourceTo) // here both sides begin
	b.floor = max(m.Target(both), e.targetHead)
	b.sourceFrom = min(max(first, min(e.due, gone)), b.sourceTo)
	b.targetFrom = min(b.floor, b.targetTo)
	b.trimmed = b.sourceFrom - min(first, b.sourceTo) + max(0, min(first, gone)-begin)
	b.sourceGone = max(0, min(b.targetFrom, m.Least(max(m.Start(), e.sourceHead)))-max(e.targetHead, m.Target(m.Start())))
	return b
}

// decide fills the bounds by all else.
func (x *seen) decide() {
	if x.task != nil && x.task.Copy.Mapping != nil {
		x.bounds = bound(x.mapping, x.task.Copy.Mapping.Phase == fsm.PhaseTranslated, x.task.Copy.Progress, x.ends)
	}
}
