package record

import "encoding/binary"

// Join adds what is left of an opened batch to a Builder that holds, as the batch
// does, a record for each of its offsets. Only where a record stands is written
// anew, its offset and timestamp deltas: key, value and headers are copied as the
// bytes they are, unread. The error is ErrCorruptBatch, wrapped; nothing of the
// batch is added then.
func (b *Builder) Join(r *Records) error {
	before := *b
	b.Grow(len(r.in.b))
	for r.left > 0 {
		if err := b.joinNext(r); err != nil {
			*b = before
			return err
		}
	}
	if n := len(r.in.b); n != 0 {
		*b = before
		return r.corrupt("%d bytes after the last record", n)
	}
	return nil
}

// joinNext is Join of one record.
func (b *Builder) joinNext(r *Records) error {
	size := r.in.varint()
	body := input{b: r.in.span(int(size))}
	attributes, timestamp, delta := body.int8(), r.Header.BaseTimestamp+body.varlong(), body.varint()
	switch {
	case r.in.bad || body.bad:
		return r.corrupt("a record that is cut off")
	case delta != r.delta+1:
		return r.corrupt("offset delta %d after %d", delta, r.delta)
	}
	r.left--
	r.delta = delta
	if r.Header.Attributes&AttrLogAppendTime != 0 {
		timestamp = r.Header.MaxTimestamp
	}
	distance := b.stamp(timestamp)
	b.raw = binary.AppendVarint(b.raw, int64(1+varintSize(distance)+varintSize(int64(b.count))+len(body.b)))
	b.raw = append(b.raw, byte(attributes))
	b.raw = binary.AppendVarint(b.raw, distance)
	b.raw = binary.AppendVarint(b.raw, int64(b.count))
	b.raw = append(b.raw, body.b...)
	b.last = b.count
	b.count++
	return nil
}
