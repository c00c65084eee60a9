package rewrite

import "sluice/kafka/record"

// mostOld bounds the messages of formats 0 and 1 that become one batch, in
// bytes; a larger one stands alone.
const mostOld = 256 << 10

// Upgrade makes one batch of format 2 of the messages of formats 0 and 1 that
// records begin with: of a wrapper alone, of others as many as follow each other
// without a gap. Everything is kept: offsets, keys, values, the codec, and
// timestamps (-1 in format 0, which has none; the append time where the broker
// has stamped them). rest is what stands behind them. An error is about the
// first message.
func (r *Rebuilder) Upgrade(records []byte) (b record.Batch, rest []byte, err error) {
	defer r.shrink()
	r.builder.Reset()
	var first record.Header
	for rest = records; ; {
		old, next, failed := record.NextBatch(rest)
		done := len(records) - len(rest)
		if failed != nil || old == nil || !old.Old() || done > 0 && !follows(old, &first, done) {
			break
		}
		if failed = r.upgrade(old, &first); failed != nil {
			if done == 0 {
				return nil, records, failed
			}
			break
		}
		if rest = next; old.Wrapper() {
			break
		}
	}
	b, err = r.Codec.Build(nil, first.Attributes&record.AttrCodecMask, &r.builder)
	if b != nil {
		b.SetBaseOffset(first.BaseOffset)
		b.SetLastOffsetDelta(first.LastOffsetDelta)
		b.UpdateCRC()
	}
	return b, rest, err
}

// follows reports whether a message goes into the batch that first describes,
// which is made of so many bytes already.
func follows(m record.Batch, first *record.Header, done int) bool {
	return !m.Wrapper() && m.BaseOffset() == first.LastOffset()+1 && done+len(m) <= mostOld
}

// upgrade adds the records of a message to the batch that first describes.
func (r *Rebuilder) upgrade(old record.Batch, first *record.Header) error {
	rs, err := r.open(old)
	if err != nil {
		return err
	}
	if r.builder.Count() == 0 {
		*first = rs.Header
		r.builder.Grow(rs.Size())
	}
	for rec, err := range rs.All() {
		if err != nil {
			return err
		}
		r.builder.AddAt(rec, int32(rec.Offset-first.BaseOffset))
	}
	first.LastOffsetDelta = int32(rs.Header.LastOffset() - first.BaseOffset)
	return nil
}
