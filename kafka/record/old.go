package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// keyValue takes a message apart; false: its lengths do not fit.
func keyValue(b Batch) (key, value []byte, ok bool) {
	in := input{b: b[posOldKey:]}
	if b.Magic() == 1 {
		in.b = b[posOldTimestamp+8:]
	}
	key, value = in.sized32(), in.sized32()
	return key, value, !in.bad && len(in.b) == 0
}

// openOld is Open of formats 0 and 1, whose CRC fits.
func (c *Codec) openOld(b Batch, scratch []byte, limit int) (Records, error) {
	r := Records{Header: b.Header(), Scratch: scratch, delta: -1}
	r.in.b = b
	if b.Wrapper() {
		_, packed, ok := keyValue(b)
		if !ok {
			return Records{}, fmt.Errorf("opening the message at offset %d: %w: lengths that do not fit", b.BaseOffset(), ErrCorruptBatch)
		}
		out, err := c.decompressOld(b, scratch[:0], packed, limit)
		if err != nil {
			return Records{}, fmt.Errorf("opening the message at offset %d: %w", b.BaseOffset(), err)
		}
		r.in.b, r.Scratch = out, out
	}
	if wrong := r.measure(b); wrong != "" {
		return Records{}, fmt.Errorf("opening the message at offset %d: %w: %s", b.BaseOffset(), ErrCorruptBatch, wrong)
	}
	return r, nil
}

// decompressOld decompresses what a wrapper holds. Frames of LZ4 in format 0
// have a wrong checksum in their descriptor: Kafka reckoned it over the frame's
// magic too, others did not, and none was ever checked (KAFKA-3160).
func (c *Codec) decompressOld(b Batch, dst, src []byte, limit int) ([]byte, error) {
	switch codec := b.Attributes() & AttrCodecMask; {
	case codec == CodecLZ4 && b.Magic() == 0:
		defer c.source.Reset(nil)
		head := mendedLZ4(src)
		return unpacked(c.unlz4(dst, head, src[len(head):], limit))
	case codec <= CodecLZ4:
		return c.decompress(codec, dst, src, limit)
	default: // zstd came with format 2 (KIP-110)
		return nil, fmt.Errorf("%w: unknown codec %d", ErrCorruptBatch, codec)
	}
}

// measure checks what the records of b are read from, message by message, and
// makes the header that of all of them; what is wrong is told in words.
func (r *Records) measure(b Batch) (wrong string) {
	first, last := int64(-1), int64(-1)
	r.left = 0
	for rest := r.in.b; len(rest) > 0; r.left++ {
		m, next, err := NextBatch(rest)
		switch {
		case err != nil || m == nil:
			return fmt.Sprintf("message %d of it is cut off", r.left)
		case !m.Old() || m.Wrapper():
			return fmt.Sprintf("message %d of it is compressed itself, or of another format", r.left)
		case m.VerifyCRC() != nil:
			return fmt.Sprintf("message %d of it does not fit its crc", r.left)
		case m.BaseOffset() <= last:
			return fmt.Sprintf("message %d of it has offset %d, not one behind %d", r.left, m.BaseOffset(), last)
		}
		if _, _, ok := keyValue(m); !ok {
			return fmt.Sprintf("message %d of it has lengths that do not fit", r.left)
		}
		if last = m.BaseOffset(); r.left == 0 {
			first = last
		}
		rest = next
	}
	if r.left == 0 {
		return "it holds no message"
	}
	if b.Wrapper() && b.Magic() == 1 {
		r.shift = b.BaseOffset() - last
	}
	delta := b.BaseOffset() - (first + r.shift)
	if r.shift < 0 || last+r.shift > b.BaseOffset() || delta > math.MaxInt32 {
		return fmt.Sprintf("its messages have offsets %d to %d, which do not fit its own", first, last)
	}
	r.Header.BaseOffset, r.Header.LastOffsetDelta, r.Header.Count = first+r.shift, int32(delta), r.left
	return ""
}

// nextOld reads the next message, which was checked.
func (r *Records) nextOld(rec *Record) {
	m, rest, _ := NextBatch(r.in.b)
	*rec = Record{Offset: m.BaseOffset() + r.shift, Timestamp: m.MaxTimestamp()}
	rec.Key, rec.Value, _ = keyValue(m)
	if r.Header.Attributes&AttrLogAppendTime != 0 {
		rec.Timestamp = r.Header.MaxTimestamp
	}
	r.in.b = rest
	r.left--
}

// mendedLZ4 is the descriptor that an LZ4 frame begins with, its checksum put
// right; nil where there is none.
func mendedLZ4(frame []byte) []byte {
	const magic, flags, plain, sized = 4, 4, 7, 15 // bytes; a descriptor tells the size of the content by a flag
	size := plain
	if len(frame) > flags && frame[flags]&0x08 != 0 {
		size = sized
	}
	if len(frame) < size {
		return nil
	}
	head := append([]byte(nil), frame[:size]...)
	head[size-1] = byte(xxh32(head[magic:size-1]) >> 8)
	return head
}

// xxh32 is the hash XXH32, seed 0, of less than 16 bytes.
func xxh32(b []byte) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	h := uint32(p5 + len(b))
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
