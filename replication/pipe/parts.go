package pipe

import (
	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
)

// inParts reports whether a batch becomes several: it is larger than what the
// target takes, or goes beyond where the mapping skips source offsets (a stream
// may have been told to go on past a record inside a batch).
func (t *taking) inParts(b record.Batch, h *record.Header) bool {
	edge := t.edge()
	return t.maxBatch > 0 && len(b) > t.maxBatch && h.Count > 1 || edge > 0 && h.LastOffset() >= edge
}

// edge is the source offset at which a known segment ends, 0: none is known.
func (t *taking) edge() int64 {
	if t.mapping.Phase != fsm.PhaseDense {
		return 0
	}
	return offsets.Edge(&t.mapping, t.in.cursor.Target)
}

// parts sends a batch through the slow path, part by part, and through the filter.
// Parts that stand before a record that cannot be read, or judged, are sound, and
// go.
func (t *taking) parts(b record.Batch, h *record.Header) {
	switch {
	case t.gapInside(h):
		return
	case t.r == nil:
		t.room = rewrite.FirstRoom(b, t.maxOpened)
		return
	case !t.opened(b, t.r.Split(b)):
		return
	}
	for done := false; !done; {
		out, err := t.r.NextPart(rewrite.Job{Cursor: t.in.cursor, Until: t.edge(), Filter: t.filter}, t.maxBatch)
		if !t.opened(b, err) {
			return
		}
		t.rebuilt(out, h, t.apart(out.Batch))
		if at := out.Cursor.Source; out.Stuck != "" {
			t.finish(recovery.AtSource(recovery.Blocked, fsm.CodeUnparseable, at, at+1, out.Stuck))
			return
		}
		done = out.Done > 0
	}
}
