package oracle

import (
	"encoding/binary"
	"hash/crc32"

	"pgregory.net/rapid"

	"sluice/kafka/record"
)

// Old describes messages of format 0 or 1 to be made, as segments from before
// Kafka 0.11 hold them. Brokers no longer write these: 3.9.1 turns what an old
// client produces into format 2, and with 4.3.1 such a client cannot produce.
// Both serve old segments as they lie, so kafkalab puts this in place. Neither
// format has headers, format 0 no timestamps.
type Old struct {
	Magic      int8
	Codec      record.Attributes // none: a message for each entry, else one wrapper
	AppendTime int64             // of format 1: the broker has stamped them; 0: it has not
	Base       int64             // offset that those in a wrapper of format 1 count from; 0: the first entry's
	Java       bool              // compressed as Java did: snappy in xerial frames, LZ4 in format 0 with a wrong checksum of its descriptor
	Entries    []Entry
}

// Encode makes the messages, CRC and all.
func (s Old) Encode(t Failer) []byte {
	t.Helper()
	var out []byte
	for _, e := range s.Entries {
		stamped := s.Codec == record.CodecNone && s.AppendTime != 0
		switch {
		case s.Codec != record.CodecNone && s.Magic == 1 && s.Base != 0:
			e.Offset -= s.Base
		case s.Codec != record.CodecNone && s.Magic == 1:
			e.Offset -= s.Entries[0].Offset
		case stamped:
			e.Timestamp = s.AppendTime
		}
		out = append(out, Message(e, s.Magic, attributes(0, stamped))...)
	}
	if s.Codec == record.CodecNone {
		return out
	}
	last := s.Entries[len(s.Entries)-1]
	wrapper := Entry{Offset: last.Offset, Timestamp: s.AppendTime, Value: s.compressed(t, out)}
	if s.AppendTime == 0 {
		for _, e := range s.Entries {
			wrapper.Timestamp = max(wrapper.Timestamp, e.Timestamp)
		}
	}
	return Message(wrapper, s.Magic, attributes(s.Codec, s.AppendTime != 0))
}

func attributes(codec record.Attributes, stamped bool) byte {
	if stamped {
		codec |= record.AttrLogAppendTime
	}
	return byte(codec)
}

func (s Old) compressed(t Failer, messages []byte) []byte {
	t.Helper()
	out := compress(t, s.Codec, messages, s.Java && s.Codec == record.CodecSnappy)
	if s.Java && s.Codec == record.CodecLZ4 && s.Magic == 0 {
		checksum := 6
		if out[4]&0x08 != 0 { // the descriptor tells the size
			checksum += 8
		}
		out[checksum] ^= 0xff
	}
	return out
}

// Message is one message of format 0 or 1.
func Message(e Entry, magic int8, attributes byte) []byte {
	m := []byte{byte(magic), attributes}
	if magic == 1 {
		m = binary.BigEndian.AppendUint64(m, uint64(e.Timestamp))
	}
	for _, b := range [][]byte{e.Key, e.Value} {
		if b == nil {
			m = binary.BigEndian.AppendUint32(m, 1<<32-1) // -1: null
			continue
		}
		m = binary.BigEndian.AppendUint32(m, uint32(len(b)))
		m = append(m, b...)
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(e.Offset))
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(m)))
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(m))
	return append(out, m...)
}

// Read are the entries as a reader of the messages sees them.
func (s Old) Read() []Entry {
	var out []Entry
	for _, e := range s.Entries {
		switch {
		case s.AppendTime != 0:
			e.Timestamp = s.AppendTime
		case s.Magic == 0:
			e.Timestamp = -1
		}
		e.Headers = nil
		out = append(out, e)
	}
	return out
}

// DrawOld draws messages with ascending offsets from base on.
func DrawOld(t *rapid.T, base int64, dense bool) Old {
	s := Old{
		Magic: int8(rapid.IntRange(0, 1).Draw(t, "magic")), Codec: record.Attributes(rapid.IntRange(0, 3).Draw(t, "codec")),
		Java: rapid.Bool().Draw(t, "java"), Entries: DrawEntries(t, base, dense),
	}
	if s.Magic == 1 && rapid.Bool().Draw(t, "append time") {
		s.AppendTime = 77
	}
	return s
}
