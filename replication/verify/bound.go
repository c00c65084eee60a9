package verify

import (
	"sluice/fsm"
	"sluice/replication/offsets"
)

// ends are the ends of both logs of a stream.
type ends struct {
	source, target         int64 // last stable offset when the job began, high watermark before that
	sourceHead, targetHead int64 // log starts now
	targetNow              int64 // high watermark
}

// bounds is what of a stream is compared.
type bounds struct {
	mapping              offsets.Translation
	sourceFrom, sourceTo int64
	targetFrom, targetTo int64
	behind, trimmed      int64
}

// bound decides from which to which offset both sides are compared.
func bound(m offsets.Translation, translated bool, progress fsm.Progress, e ends) bounds {
	b := bounds{mapping: m}
	begin := m.Start()
	if translated {
		// Segments beyond the progress are not known yet.
		b.sourceTo = max(begin, min(e.source, progress.Source))
	} else {
		// What the target has, and what it must have since it was acknowledged.
		b.sourceTo = max(begin, min(e.source, max(m.Source(e.targetNow), progress.Source)))
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
	b.sourceFrom = min(m.From(max(begin, e.sourceHead), e.targetHead), b.sourceTo)
	b.trimmed = b.sourceFrom - begin
	b.targetFrom = min(max(m.Target(b.sourceFrom), e.targetHead), b.targetTo)
	return b
}
