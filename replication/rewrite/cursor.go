package rewrite

import (
	"sluice/fsm"
	"sluice/kafka/record"
)

// Cursor is where a stream stands between two batches.
type Cursor struct {
	Source int64 // the next source offset: what lies below is done with
	Target int64 // the target offset that the next record written will get
	Shift  int64 // target minus source offset in the last offset segment
}

// Pass moves the cursor over a batch that is written as it is. When the
// offsets do not differ by Shift there, it returns the segment that begins at
// the batch, which has to be recorded.
func (c *Cursor) Pass(h *record.Header) (seg fsm.Segment, changed bool) {
	seg, changed = c.write(h.BaseOffset)
	c.Source = h.LastOffset() + 1
	c.Target += int64(h.Count) - 1
	return seg, changed
}

// Skip moves the cursor over a batch of which nothing is written: a control
// batch, an aborted one, one that a filter drops.
func (c *Cursor) Skip(h *record.Header) { c.Source = max(c.Source, h.LastOffset()+1) }

// write moves the cursor over one record that is written.
func (c *Cursor) write(source int64) (seg fsm.Segment, changed bool) {
	if changed = c.Target-source != c.Shift; changed {
		seg = fsm.Segment{Source: source, Target: c.Target}
		c.Shift = seg.Shift()
	}
	c.Source = source + 1
	c.Target++
	return seg, changed
}
