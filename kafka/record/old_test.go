package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// readAll opens all batches, one after the other.
func readAll(c *record.Codec, batches []byte, limit int) (out []oracle.Entry, err error) {
	for b, err := range record.Batches(batches) {
		if err != nil {
			return out, err
		}
		es, err := oracle.Read(c, b, limit)
		if err != nil {
			return out, err
		}
		out = append(out, es...)
	}
	return out, nil
}

// TestOldFormats reads messages of formats 0 and 1 that no code of ours or of
// franz-go's has made: plain ones and wrappers, of every codec that they had.
func TestOldFormats(t *testing.T) {
	file, err := os.ReadFile("testdata/old.hex")
	if err != nil {
		t.Fatal(err)
	}
	null := []byte(nil)
	entry := func(offset, timestamp int64, key, value []byte) oracle.Entry {
		return oracle.Entry{Offset: offset, Timestamp: timestamp, Key: key, Value: value}
	}
	zero := []oracle.Entry{entry(20, -1, []byte("k20"), []byte("a")), entry(21, -1, null, []byte("b")), entry(23, -1, []byte("k23"), null)}
	one := []oracle.Entry{entry(20, 1500000000000, []byte("k20"), []byte("a")), entry(21, 1500000000001, null, []byte("b")), entry(23, -1, []byte("k23"), null)}
	stamped := make([]oracle.Entry, len(one))
	for i, e := range one {
		stamped[i] = entry(e.Offset, 1600000000000, e.Key, e.Value)
	}
	want := map[string][]oracle.Entry{
		"0 plain":         {entry(7, -1, []byte("k"), []byte("v7")), entry(8, -1, null, []byte{}), entry(9, -1, []byte{}, null)},
		"1 plain":         {entry(7, 1500000000000, []byte("k"), []byte("v7")), entry(8, -1, null, []byte{}), entry(10, 1500000000002, []byte{}, null)},
		"0 gzip":          zero,
		"0 snappy xerial": zero,
		"0 lz4 broken":    zero, // the frame's descriptor has the checksum that Kafka 0.8 wrote
		"0 lz4":           zero,
		"1 gzip":          one,
		"1 snappy":        one,
		"1 snappy xerial": one,
		"1 lz4":           one,
		"1 append time":   stamped,
		"1 compacted":     {entry(41, 1500000000000, []byte("k41"), []byte("a")), entry(43, 1500000000001, []byte("k43"), []byte("b"))},
	}
	c := record.NewCodec()
	for line := range strings.Lines(string(file)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), "\t")
		raw, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(c, raw, plenty)
		if err != nil || !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s: there is no such message", name)
	}
}

// TestOpenReadsOldMessages of every kind that the oracle draws, and tells of a
// wrapper where it begins.
func TestOpenReadsOldMessages(t *testing.T) {
	c := record.NewCodec()
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Int64Range(0, 1<<50).Draw(t, "base")
		s := oracle.DrawOld(t, base, rapid.Bool().Draw(t, "dense"))
		raw := s.Encode(t)
		got, err := readAll(c, raw, plenty)
		if err != nil || !reflect.DeepEqual(got, s.Read()) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, s.Read())
		}
		rs, err := c.Open(record.Batch(raw)[:firstSize(raw)], nil, plenty)
		if err != nil {
			t.Fatal(err)
		}
		first, last, count := s.Entries[0].Offset, s.Entries[0].Offset, int32(1)
		if s.Codec != record.CodecNone {
			last, count = s.Entries[len(s.Entries)-1].Offset, int32(len(s.Entries))
		}
		if h := rs.Header; h.BaseOffset != first || h.LastOffset() != last || h.Count != count || h.ProducerID != -1 || h.LeaderEpoch != -1 || h.OfTransaction() {
			t.Fatalf("header %+v, want %d records from %d to %d", h, count, first, last)
		}
	})
}

func firstSize(raw []byte) int {
	b, _, _ := record.NextBatch(raw)
	return len(b)
}

// TestOldBatch: what can be asked of a message without opening it.
func TestOldBatch(t *testing.T) {
	es := oracle.At(20, 21, 23)
	plain := record.Batch(oracle.Old{Magic: 1, AppendTime: 5, Entries: es[:1]}.Encode(t))
	wrapper := record.Batch(oracle.Old{Magic: 0, Codec: record.CodecGzip, Entries: es}.Encode(t))
	if plain.Wrapper() || !plain.Old() || plain.BaseOffset() != 20 || plain.LastOffset() != 20 || plain.BeginsBefore(20) || !plain.BeginsBefore(21) ||
		plain.Attributes() != record.AttrLogAppendTime || plain.MaxTimestamp() != 5 || plain.Count() != 1 || plain.LeaderEpoch() != -1 {
		t.Errorf("%+v", plain.Header())
	}
	if !wrapper.Wrapper() || wrapper.BaseOffset() != 23 || wrapper.LastOffset() != 23 || !wrapper.BeginsBefore(1) || wrapper.MaxTimestamp() != -1 || wrapper.Attributes() != record.CodecGzip {
		t.Errorf("%+v", wrapper.Header())
	}
	if b := (oracle.Source{Base: 20, Entries: es}).Encode(t); b.Old() || b.Wrapper() || b.BeginsBefore(20) {
		t.Error("a batch of format 2 is taken for a message")
	}
	skip, err := record.NewAborted([]record.AbortedTxn{{ProducerID: 7, FirstOffset: 3}}).Skip(record.NewCodec(), plain)
	if skip || err != nil {
		t.Errorf("a message belongs to a transaction: %v, %v", skip, err)
	}
}

func TestOpenKeepsToTheBudgetInOldFormats(t *testing.T) {
	e := oracle.Entry{Value: make([]byte, 1<<20)} // of which little is left
	size := len(oracle.Message(e, 0, 0))
	for codec := record.CodecGzip; codec <= record.CodecLZ4; codec++ {
		for _, java := range []bool{false, true} {
			b := record.Batch(oracle.Old{Codec: codec, Java: java, Entries: []oracle.Entry{e}}.Encode(t))
			c := record.NewCodec()
			if _, err := c.Open(b, nil, size-1); !errors.Is(err, record.ErrOverBudget) {
				t.Errorf("codec %d, java %v: limit of size-1: %v, want ErrOverBudget", codec, java, err)
			}
			if rs, err := c.Open(b, nil, size); err != nil || len(rs.Scratch) != size {
				t.Errorf("codec %d, java %v: limit of exactly the size: %v", codec, java, err)
			}
		}
	}
}

// TestOpenRefusesDamagedMessages, whatever part of them is wrong: with the CRC
// of each message right where another part is meant.
func TestOpenRefusesDamagedMessages(t *testing.T) {
	es := oracle.At(20, 21, 23)
	set := func(magic int8, codec record.Attributes) record.Batch {
		return oracle.Old{Magic: magic, Codec: codec, Entries: es}.Encode(t)
	}
	flipped := func(b record.Batch, at int) record.Batch {
		b = bytes.Clone(b)
		b[len(b)-at] ^= 1
		return b
	}
	// around is a wrapper, compressed by nothing but a codec that keeps the bytes readable.
	around := func(magic int8, offset int64, messages ...[]byte) record.Batch {
		return oracle.Message(oracle.Entry{Offset: offset, Value: literal(bytes.Join(messages, nil))}, magic, byte(record.CodecSnappy))
	}
	inner := func(magic int8, offset int64) []byte { return oracle.Message(oracle.At(offset)[0], magic, 0) }
	badCRC := inner(0, 5)
	badCRC[len(badCRC)-1] ^= 1
	short := oracle.Message(oracle.Entry{Offset: 5, Value: []byte("abcd")}, 0, 0)
	for name, b := range map[string]record.Batch{
		"a flipped bit":                 flipped(set(1, record.CodecNone)[:firstSize(set(1, record.CodecNone))], 1),
		"a flipped bit of a wrapper":    flipped(set(0, record.CodecGzip), 3),
		"gzip that is none":             oracle.Message(oracle.Entry{Offset: 5, Value: []byte("abc")}, 0, byte(record.CodecGzip)),
		"snappy that is none":           oracle.Message(oracle.Entry{Offset: 5, Value: []byte("abc")}, 1, byte(record.CodecSnappy)),
		"lz4 that is none":              oracle.Message(oracle.Entry{Offset: 5, Value: []byte("abc")}, 0, byte(record.CodecLZ4)),
		"lz4 of nothing":                oracle.Message(oracle.Entry{Offset: 5, Value: []byte{}}, 0, byte(record.CodecLZ4)),
		"zstd, which came later":        oracle.Message(oracle.Entry{Offset: 5, Value: []byte("abc")}, 1, byte(record.CodecZstd)),
		"a codec that nobody knows":     oracle.Message(oracle.Entry{Offset: 5, Value: []byte("abc")}, 1, 7),
		"a wrapper without a value":     oracle.Message(oracle.Entry{Offset: 5}, 1, byte(record.CodecGzip)),
		"a wrapper around nothing":      around(0, 5),
		"a message that is cut off":     around(0, 5, inner(0, 4), inner(0, 5)[:20]),
		"bytes behind the last message": around(0, 5, inner(0, 5), []byte{0}),
		"a wrapper in a wrapper":        around(0, 5, around(0, 5, inner(0, 5))),
		"a batch of format 2 within":    around(1, 5, oracle.Source{Base: 5, Entries: oracle.At(5)}.Encode(t)),
		"a flipped bit within":          around(0, 5, badCRC),
		"offsets that go back":          around(0, 5, inner(0, 5), inner(0, 4)),
		"an offset twice":               around(1, 5, inner(1, 1), inner(1, 1)),
		"a negative offset":             around(1, 5, inner(1, -1), inner(1, 0)),
		"offsets behind the wrapper's":  around(0, 5, inner(0, 5), inner(0, 6)),
		"more offsets than there are":   around(1, 1, inner(1, 0), inner(1, 1), inner(1, 2)),
		"offsets too far from another":  around(0, 1<<40, inner(0, 0), inner(0, 1<<40)),
		"a key length of -2":            resized(short, 18, -2),
		"a value longer than there is":  resized(short, 22, 5),
		"bytes behind the value":        resized(short, 22, 3),
		"a length of nearly all":        resized(short, 22, 1<<31-1),
	} {
		got, err := readAll(record.NewCodec(), b, plenty)
		if !errors.Is(err, record.ErrCorruptBatch) || len(got) > 0 {
			t.Errorf("%s: %v, %d records", name, err, len(got))
		}
	}
}

// literal is a snappy block of bytes as they are.
func literal(b []byte) []byte {
	out := []byte{byte(len(b)) | 0x80, byte(len(b) >> 7)}
	if len(b) > 0 {
		out = append(out, 61<<2, byte(len(b)-1), byte((len(b)-1)>>8))
	}
	return append(out, b...)
}

// resized puts another length into a message, and the CRC right.
func resized(message []byte, at int, length int32) record.Batch {
	b := bytes.Clone(message)
	b[at], b[at+1], b[at+2], b[at+3] = byte(length>>24), byte(length>>16), byte(length>>8), byte(length)
	mend(b)
	return b
}
