package record

import (
	"fmt"
	"math"
)

// Builder collects records into one batch. The zero value is empty.
type Builder struct {
	raw      []byte // encoded records
	count    int32
	last     int32 // offset delta of the last record
	base     int64 // timestamp of the first record
	maxStamp int64
}

// Reset drops the records and keeps the buffer.
func (b *Builder) Reset() { *b = Builder{raw: b.raw[:0]} }

// Grow makes room for n bytes of records at once.
func (b *Builder) Grow(n int) { b.raw = grow(b.raw, n) }

// Add copies a record in. Offsets are given anew: 0, 1, 2, ...; all else is
// kept.
func (b *Builder) Add(r *Record) { b.AddAt(r, b.count) }

// AddAt is Add with an offset delta, which is larger than that of the record
// before: what lies between stays empty.
func (b *Builder) AddAt(r *Record, delta int32) {
	b.raw = appendRecord(b.raw, r, b.stamp(r.Timestamp), delta)
	b.last = delta
	b.count++
}

// stamp takes the timestamp of the next record in, and returns its distance from
// that of the first.
func (b *Builder) stamp(timestamp int64) (delta int64) {
	if b.count == 0 {
		b.base, b.maxStamp = timestamp, timestamp
	}
	b.maxStamp = max(b.maxStamp, timestamp)
	return timestamp - b.base
}

// Count returns the number of records.
func (b *Builder) Count() int { return int(b.count) }

// Size returns the bytes of the batch before compression, header included.
func (b *Builder) Size() int { return HeaderSize + len(b.raw) }

// Build appends the batch to dst, which may be nil, compressed with codec:
// CreateTime, base offset 0, leader epoch -1, no producer (Rewrite sets
// it), CRC valid. It returns the batch alone, which aliases dst where its
// capacity suffices. The Builder is as before. Without records it returns nil.
func (c *Codec) Build(dst []byte, codec Attributes, from *Builder) (Batch, error) {
	if from.count == 0 {
		return nil, nil
	}
	start := len(dst)
	out := append(dst, make([]byte, HeaderSize)...)
	out, err := c.compress(codec, out, from.raw)
	if err != nil {
		return nil, fmt.Errorf("compressing a batch of %d records: %w", from.count, err)
	}
	if len(out)-start > math.MaxInt32 {
		return nil, fmt.Errorf("building a batch of %d bytes: %w", len(out)-start, ErrOverBudget)
	}
	if len(out) <= cap(dst) && cap(out) != cap(dst) { // some encoders want more room than they use
		out = append(dst[:start], out[start:]...)
	}
	b := Batch(out[start:])
	b[posMagic] = 2
	b.SetLength()
	b.SetBaseOffset(0)
	b.SetLeaderEpoch(-1)
	b.SetAttributes(codec)
	b.SetLastOffsetDelta(from.last)
	b.SetCount(from.count)
	b.SetTimestamps(from.base, from.maxStamp)
	b.SetProducer(-1, -1, -1)
	b.UpdateCRC()
	return b, nil
}
