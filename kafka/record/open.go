package record

import (
	"fmt"
	"math"
)

// Open checks a whole batch (length, header, CRC) and decompresses its
// records, into scratch[:0] if there is room. At most limit bytes are
// decompressed, and as many held as history: a batch with more is ErrOverBudget. Records of an
// uncompressed batch alias the batch. Of a wrapper of formats 0 and 1 all
// messages are checked; the header then says what format 2 would.
func (c *Codec) Open(b Batch, scratch []byte, limit int) (Records, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Records{}, fmt.Errorf("opening batch: %w", err)
	}
	if h.Size() != len(b) {
		return Records{}, fmt.Errorf("opening batch at offset %d: %w: %d bytes hold %d", h.BaseOffset, ErrCorruptBatch, len(b), h.Size())
	}
	if err := b.VerifyCRC(); err != nil {
		return Records{}, fmt.Errorf("opening batch at offset %d: %w", h.BaseOffset, err)
	}
	if b.Old() {
		return c.openOld(b, scratch, limit)
	}
	r := Records{Header: h, Scratch: scratch, left: h.Count, delta: -1}
	body := []byte(b[HeaderSize:])
	if codec := h.Attributes & AttrCodecMask; codec != CodecNone && h.Count > 0 {
		body, err = c.decompress(codec, scratch[:0], body, limit)
		if err != nil {
			return Records{}, fmt.Errorf("opening batch at offset %d: %w", h.BaseOffset, err)
		}
		r.Scratch = body
	}
	r.in.b = body
	return r, nil
}

// Next parses the next record into rec; false at the end. The error is
// ErrCorruptBatch, wrapped, and final: rec is not to be used then.
func (r *Records) Next(rec *Record) (bool, error) {
	if r.left == 0 {
		if len(r.in.b) != 0 {
			return false, r.corrupt("%d bytes after the last record", len(r.in.b))
		}
		return false, nil
	}
	if r.Header.Magic < 2 {
		r.nextOld(rec)
		return true, nil
	}
	size := r.in.varint()
	body := input{b: r.in.span(int(size))}
	if r.in.bad {
		return false, r.corrupt("a record that is cut off")
	}
	timestampDelta, delta, err := parseRecord(&body, rec)
	switch {
	case err != "":
		return false, r.corrupt("a record with %s", err)
	case delta <= r.delta || delta > r.Header.LastOffsetDelta:
		return false, r.corrupt("offset delta %d after %d", delta, r.delta)
	}
	r.left--
	r.delta = delta
	rec.Offset = r.Header.BaseOffset + int64(delta)
	rec.Timestamp = r.Header.BaseTimestamp + timestampDelta
	if r.Header.Attributes&AttrLogAppendTime != 0 {
		rec.Timestamp = r.Header.MaxTimestamp
	}
	return true, nil
}

// parseRecord reads the body of one record; what is wrong with it is told in
// words.
func parseRecord(body *input, rec *Record) (timestampDelta int64, delta int32, wrong string) {
	body.int8() // attributes: unused
	timestampDelta = body.varlong()
	delta = body.varint()
	rec.Key, rec.Value = body.sized(), body.sized()
	count := body.varint()
	if body.bad || count < 0 || int(count) > len(body.b)/2 {
		return 0, 0, "fields that do not fit"
	}
	rec.HeaderCount, rec.RawHeaders = int(count), body.b
	for range count {
		if key := body.sized(); key == nil {
			return 0, 0, "a header without a key"
		}
		body.sized()
	}
	if body.bad || len(body.b) != 0 {
		return 0, 0, "headers that do not fit"
	}
	return timestampDelta, delta, ""
}

// corrupt names the first offset that may be concerned.
func (r *Records) corrupt(format string, args ...any) error {
	at := r.Header.BaseOffset + int64(r.delta) + 1
	r.left, r.in.b = math.MaxInt32, nil
	return fmt.Errorf("reading the record at offset %d: %w: %s", at, ErrCorruptBatch, fmt.Sprintf(format, args...))
}
