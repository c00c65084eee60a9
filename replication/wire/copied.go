package wire

import (
	"sync/atomic"
	"time"
)

// Copied counts what the targets have acknowledged of one topic of a link, over
// all of its partitions that this node had since it started.
type Copied struct {
	records, bytes atomic.Int64
	last           atomic.Int64 // unix ms of the last batch, 0: none
}

// add counts a batch that stands where it should; records is 0 for one that
// does not.
func (c *Copied) add(records, bytes int, at time.Time) {
	if c == nil || records == 0 {
		return
	}
	c.records.Add(int64(records))
	c.bytes.Add(int64(bytes))
	c.last.Store(at.UnixMilli())
}

// Read returns the counts, and when the last batch was acknowledged; the zero
// time: none was.
func (c *Copied) Read() (records, bytes int64, last time.Time) {
	if at := c.last.Load(); at > 0 {
		last = time.UnixMilli(at)
	}
	return c.records.Load(), c.bytes.Load(), last
}

// Meter bounds and counts what goes through a partition.
type Meter struct {
	Limit  *Limiter // of the link
	Share  *Share   // of the target
	Copied *Copied  // of the topic; nil: not counted
}
