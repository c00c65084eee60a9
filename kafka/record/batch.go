package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Batch is one record batch as the bytes it is, header included. Its methods
// assume what NextBatch and ParseHeader check; a shorter slice panics.
//
// Layout of format 2 (Kafka protocol guide, "Record Batch"), big endian:
//
//	 0 baseOffset            int64
//	 8 batchLength           int32   bytes after this field
//	12 partitionLeaderEpoch  int32
//	16 magic                 int8    2
//	17 crc                   uint32  CRC32C of everything from attributes on
//	21 attributes            int16
//	23 lastOffsetDelta       int32
//	27 baseTimestamp         int64
//	35 maxTimestamp          int64
//	43 producerId            int64
//	51 producerEpoch         int16
//	53 baseSequence          int32
//	57 recordsCount          int32
//	61 records
//
// A batch of formats 0 and 1 is one message (below). It shares offset, size and
// the position of magic; what reads the header takes it too, what sets a field
// does not.
type Batch []byte

// Positions in a batch, named as in the protocol guide.
const (
	posBaseOffset      = 0
	posLength          = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57

	// HeaderSize is the size of a format 2 header in bytes.
	HeaderSize = 61

	// lengthEnd is where the bytes that batchLength counts begin.
	lengthEnd = 12
)

// A batch of formats 0 and 1 is one message (Kafka protocol guide, "Message
// sets"), big endian. Brokers serve it as it lies in segments from before Kafka
// 0.11:
//
//	 0 offset      int64
//	 8 size        int32   bytes after this field
//	12 crc         uint32  CRC32 (IEEE) of everything from magic on
//	16 magic       int8    0 or 1
//	17 attributes  int8    codec; of format 1 also AttrLogAppendTime
//	18 timestamp   int64   format 1 alone
//	   key         int32 length (-1: null), bytes
//	   value       the same
//
// One with a codec is a wrapper: its value is messages, compressed. It carries
// the offset of the last one (KIP-31). Those within carry their own offsets in
// format 0; in format 1 they count from any number, and the last one stands at
// the wrapper's offset. A wrapper with AttrLogAppendTime has the one true
// timestamp of all within (KIP-32).
const (
	posOldCRC        = 12
	posOldAttributes = 17
	posOldKey        = 18 // of format 0
	posOldTimestamp  = 18 // of format 1, the key behind it
)

// Attributes are the bits of a batch's attributes field.
type Attributes int16

// The bits of Attributes (Kafka protocol guide, "Record Batch").
const (
	AttrCodecMask     Attributes = 0x07 // 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd
	AttrLogAppendTime Attributes = 0x08
	AttrTransactional Attributes = 0x10
	AttrControl       Attributes = 0x20
	AttrDeleteHorizon Attributes = 0x40
)

// The codecs, as they stand in a batch's attributes.
const (
	CodecNone   Attributes = 0
	CodecGzip   Attributes = 1
	CodecSnappy Attributes = 2
	CodecLZ4    Attributes = 3
	CodecZstd   Attributes = 4
)

var (
	// ErrCorruptBatch says that a batch contradicts itself or its CRC.
	ErrCorruptBatch = errors.New("corrupt record batch")
	// ErrUnsupportedFormat says that a batch has a message format that is not
	// known yet.
	ErrUnsupportedFormat = errors.New("unsupported message format")
)

// Header is a format 2 header, decoded. Of formats 0 and 1 it is what a header
// of format 2 would say, as far as the message tells without being opened.
type Header struct {
	BaseOffset      int64 // of a wrapper (Batch.Wrapper) the last offset, until it is opened
	Length          int32 // bytes after this field
	LeaderEpoch     int32 // of the log that the batch was read from
	Magic           int8
	CRC             uint32
	Attributes      Attributes
	LastOffsetDelta int32
	BaseTimestamp   int64 // ms since 1970; the delete horizon where AttrDeleteHorizon is set
	MaxTimestamp    int64 // ms since 1970; the append time where AttrLogAppendTime is set
	ProducerID      int64 // -1: none
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32 // records; 0 where the cleaner emptied the batch; 1 of a wrapper until it is opened
}

// Size returns the batch's size in bytes, header included.
func (h *Header) Size() int { return lengthEnd + int(h.Length) }

// LastOffset returns the offset of the last record that the batch was made
// with, which the cleaner may have removed since.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// OfTransaction reports whether the batch is a transaction's records or its marker.
func (h *Header) OfTransaction() bool { return h.Attributes&(AttrTransactional|AttrControl) != 0 }

// Dense reports whether the batch holds a record for each of its offsets.
func (h *Header) Dense() bool { return h.Count == h.LastOffsetDelta+1 }

// NextBatch splits the first batch off records, without copying. An empty or
// partial rest (normal at the end of a fetched partition) gives a nil batch,
// nil rest and no error. A batch of a later format than 2 is returned with
// ErrUnsupportedFormat; only Magic and BaseOffset may be asked of it.
// ErrCorruptBatch ends the walk.
func NextBatch(records []byte) (batch Batch, rest []byte, err error) {
	if len(records) <= posMagic {
		return nil, nil, nil
	}
	length := int(int32(binary.BigEndian.Uint32(records[posLength:])))
	if length < leastSize(0)-lengthEnd {
		return nil, nil, fmt.Errorf("%w: length %d", ErrCorruptBatch, length)
	}
	if length > len(records)-lengthEnd {
		return nil, nil, nil
	}
	size := lengthEnd + length
	batch, rest = Batch(records[:size:size]), records[size:]
	switch m := batch.Magic(); {
	case m < 0 || m > 2:
		return batch, rest, fmt.Errorf("%w: magic %d at offset %d", ErrUnsupportedFormat, m, batch.BaseOffset())
	case size < leastSize(m):
		return nil, nil, fmt.Errorf("%w: length %d", ErrCorruptBatch, length)
	}
	return batch, rest, nil
}

// leastSize is the size in bytes of a batch of a format that holds nothing.
func leastSize(magic int8) int {
	return [...]int{posOldKey + 2*4, posOldTimestamp + 8 + 2*4, HeaderSize}[magic]
}

// ParseHeader decodes and checks the header of the whole batch that b begins
// with. It does not look at the CRC. Errors: ErrCorruptBatch,
// ErrUnsupportedFormat.
func ParseHeader(b []byte) (Header, error) {
	batch, _, err := NextBatch(b)
	if err != nil {
		return Header{}, err
	}
	if batch == nil {
		return Header{}, fmt.Errorf("%w: cut off after %d bytes", ErrCorruptBatch, len(b))
	}
	h := batch.Header()
	switch last := h.LastOffset(); {
	case h.BaseOffset < 0 || h.LastOffsetDelta < 0 || last < h.BaseOffset:
		return h, fmt.Errorf("%w: offset %d, last delta %d", ErrCorruptBatch, h.BaseOffset, h.LastOffsetDelta)
	case h.Count < 0 || int64(h.Count) > int64(h.LastOffsetDelta)+1:
		return h, fmt.Errorf("%w: %d records, last delta %d", ErrCorruptBatch, h.Count, h.LastOffsetDelta)
	}
	return h, nil
}

// Header decodes the header without checks.
func (b Batch) Header() Header {
	if b.Old() {
		return oldHeader(b)
	}
	_ = b[HeaderSize-1]
	be := binary.BigEndian
	return Header{
		BaseOffset:      int64(be.Uint64(b[posBaseOffset:])),
		Length:          int32(be.Uint32(b[posLength:])),
		LeaderEpoch:     int32(be.Uint32(b[posLeaderEpoch:])),
		Magic:           int8(b[posMagic]),
		CRC:             be.Uint32(b[posCRC:]),
		Attributes:      Attributes(be.Uint16(b[posAttributes:])),
		LastOffsetDelta: int32(be.Uint32(b[posLastOffsetDelta:])),
		BaseTimestamp:   int64(be.Uint64(b[posBaseTimestamp:])),
		MaxTimestamp:    int64(be.Uint64(b[posMaxTimestamp:])),
		ProducerID:      int64(be.Uint64(b[posProducerID:])),
		ProducerEpoch:   int16(be.Uint16(b[posProducerEpoch:])),
		BaseSequence:    int32(be.Uint32(b[posBaseSequence:])),
		Count:           int32(be.Uint32(b[posCount:])),
	}
}

// Old reports whether the batch is a message of format 0 or 1.
func (b Batch) Old() bool { return uint8(b.Magic()) < 2 }

// Wrapper reports whether the batch is a message of format 0 or 1 that holds
// others, so that only who opens it knows the first offset.
func (b Batch) Wrapper() bool { return b.Old() && b.Attributes()&AttrCodecMask != CodecNone }

// BeginsBefore reports whether the batch begins, or may begin, before an offset.
func (b Batch) BeginsBefore(offset int64) bool { return b.Wrapper() || b.BaseOffset() < offset }

// oldHeader is Header of formats 0 and 1.
func oldHeader(b Batch) Header {
	at := b.MaxTimestamp()
	return Header{
		BaseOffset: b.BaseOffset(), Length: int32(binary.BigEndian.Uint32(b[posLength:])), LeaderEpoch: -1, Magic: b.Magic(),
		CRC: binary.BigEndian.Uint32(b[posOldCRC:]), Attributes: b.Attributes(), BaseTimestamp: at, MaxTimestamp: at,
		ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Count: 1,
	}
}

// Magic returns the message format: 0, 1 or 2.
func (b Batch) Magic() int8 { return int8(b[posMagic]) }

// BaseOffset returns the first offset; of a wrapper the last one.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b[posBaseOffset:])) }

// LastOffset returns the last offset.
func (b Batch) LastOffset() int64 {
	if b.Old() {
		return b.BaseOffset()
	}
	return b.BaseOffset() + int64(int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:])))
}

// LeaderEpoch returns the epoch of the leader that appended the batch; -1: it
// does not tell.
func (b Batch) LeaderEpoch() int32 {
	if b.Old() {
		return -1
	}
	return int32(binary.BigEndian.Uint32(b[posLeaderEpoch:]))
}

// Count returns the number of records.
func (b Batch) Count() int32 {
	if b.Old() {
		return 1
	}
	return int32(binary.BigEndian.Uint32(b[posCount:]))
}

// Attributes returns the attribute bits.
func (b Batch) Attributes() Attributes {
	switch b.Magic() {
	case 0:
		return Attributes(b[posOldAttributes]) & AttrCodecMask
	case 1:
		return Attributes(b[posOldAttributes]) & (AttrCodecMask | AttrLogAppendTime)
	}
	return Attributes(binary.BigEndian.Uint16(b[posAttributes:]))
}

// MaxTimestamp returns the largest timestamp, ms since 1970; -1: there is none.
func (b Batch) MaxTimestamp() int64 {
	switch b.Magic() {
	case 0:
		return -1
	case 1:
		return int64(binary.BigEndian.Uint64(b[posOldTimestamp:]))
	}
	return int64(binary.BigEndian.Uint64(b[posMaxTimestamp:]))
}

// SetBaseOffset writes the base offset; the CRC does not cover it.
func (b Batch) SetBaseOffset(v int64) { binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(v)) }

// SetLeaderEpoch writes the leader epoch; the CRC does not cover it.
func (b Batch) SetLeaderEpoch(v int32) { binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(v)) }

// SetAttributes writes the attribute bits; UpdateCRC is due.
func (b Batch) SetAttributes(v Attributes) { binary.BigEndian.PutUint16(b[posAttributes:], uint16(v)) }

// SetProducer writes producer id, epoch and the first sequence; UpdateCRC is
// due.
func (b Batch) SetProducer(id int64, epoch int16, seq int32) {
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(id))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(seq))
}

// SetTimestamps writes base and largest timestamp, ms since 1970; UpdateCRC
// is due.
func (b Batch) SetTimestamps(base, largest int64) {
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(base))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(largest))
}

// SetLastOffsetDelta writes the last offset's distance from the base offset;
// UpdateCRC is due.
func (b Batch) SetLastOffsetDelta(v int32) {
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(v))
}

// SetCount writes the number of records; UpdateCRC is due.
func (b Batch) SetCount(v int32) { binary.BigEndian.PutUint32(b[posCount:], uint32(v)) }

// SetLength makes batchLength fit the slice; the CRC does not cover it.
func (b Batch) SetLength() { binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-lengthEnd)) }

// VerifyCRC returns ErrCorruptBatch when the CRC does not fit the bytes.
func (b Batch) VerifyCRC() error {
	if stored, sum := sums(b); sum != stored {
		return fmt.Errorf("%w: crc %08x, bytes give %08x", ErrCorruptBatch, stored, sum)
	}
	return nil
}

// sums are the CRC as it stands there, and that of the bytes.
func sums(b Batch) (stored, sum uint32) {
	if b.Old() {
		return binary.BigEndian.Uint32(b[posOldCRC:]), crc32.ChecksumIEEE(b[posMagic:])
	}
	return binary.BigEndian.Uint32(b[posCRC:]), checksum(b[posAttributes:])
}

// UpdateCRC recomputes the CRC from the bytes.
func (b Batch) UpdateCRC() {
	binary.BigEndian.PutUint32(b[posCRC:], checksum(b[posAttributes:]))
}

// Rewrite makes b ready to be produced: base offset 0, leader epoch -1, the
// given producer id, epoch and sequence, transactional and delete-horizon
// bits cleared, and the CRC brought along. Everything else stays. The CRC
// must have been that of the bytes (VerifyCRC, or UpdateCRC after a change of
// the caller's own): a wrong one stays wrong, so that the broker refuses it.
func Rewrite(b Batch, producerID int64, epoch int16, seq int32) {
	before := checksum(b[posAttributes:HeaderSize])
	b.SetBaseOffset(0)
	b.SetLeaderEpoch(-1)
	b.SetAttributes(b.Attributes() &^ (AttrTransactional | AttrDeleteHorizon))
	b.SetProducer(producerID, epoch, seq)
	diff := before ^ checksum(b[posAttributes:HeaderSize])
	crc := binary.BigEndian.Uint32(b[posCRC:]) ^ checksumShift(diff, len(b)-HeaderSize)
	binary.BigEndian.PutUint32(b[posCRC:], crc)
}
