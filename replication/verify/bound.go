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

// bounds is what of a stream is compared.
type bounds struct {
	mapping              offsets.Translation
	sourceFrom, sourceTo int64
	targetFrom, targetTo int64
	floor, head, due     int64 // see comparison
	behind               int64
	trimmed, sourceGone  int64
}

// bound decides from which to which offset both sides are compared.
//
// All that the source still holds is read, so that what the target lost alone
// is found, but for what the source is about to delete too.
func bound(m offsets.Translation, translated bool, progress fsm.Progress, e ends) bounds {
	b := bounds{mapping: m, head: e.targetHead, due: e.due}
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
		b.sourceTo = m.Settled(b.sourceTo)
		b.targetTo = m.Target(b.sourceTo)
	}
	b.behind = max(0, e.source-b.sourceTo)
	if b.behind == 0 && !translated {
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
	b.sourceGone = max(0, min(b.targetFrom, m.Target(max(m.Start(), e.sourceHead)))-max(e.targetHead, m.Target(m.Start())))
	return b
}
