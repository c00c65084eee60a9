package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// testBatch returns a batch of n uncompressed records with the given values
// repeated, complete but for a producer.
func testBatch(baseOffset int64, n int, value string) Batch {
	b := make(Batch, HeaderSize)
	b[posMagic] = 2
	b.SetBaseOffset(baseOffset)
	b.SetLeaderEpoch(-1)
	b.SetTimestamps(1_700_000_000_000, 1_700_000_000_000)
	b.SetProducer(-1, -1, -1)
	b.SetLastOffsetDelta(int32(n - 1))
	b.SetCount(int32(n))
	for i := range n {
		var r []byte
		r = append(r, 0)                     // attributes
		r = binary.AppendVarint(r, 0)        // timestamp delta
		r = binary.AppendVarint(r, int64(i)) // offset delta
		r = binary.AppendVarint(r, -1)       // no key
		r = binary.AppendVarint(r, int64(len(value)))
		r = append(r, value...)
		r = binary.AppendVarint(r, 0) // no headers
		b = binary.AppendVarint(b, int64(len(r)))
		b = append(b, r...) //nolint:makezero // behind the header
	}
	b.SetLength()
	b.UpdateCRC()
	return b
}

// kmsgBatch decodes b with kmsg, the second opinion on the layout.
func kmsgBatch(t testing.TB, b []byte) kmsg.RecordBatch {
	t.Helper()
	var r kmsg.RecordBatch
	if err := r.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHeaderAgreesWithKmsg(t *testing.T) {
	r := kmsg.RecordBatch{
		FirstOffset: 1 << 40, PartitionLeaderEpoch: 7, Magic: 2, CRC: -5, Attributes: 0x7f, LastOffsetDelta: 11,
		FirstTimestamp: 123456789, MaxTimestamp: 987654321, ProducerID: 1 << 50, ProducerEpoch: 300,
		FirstSequence: math.MaxInt32 - 3, NumRecords: 12, Records: []byte("abc"),
	}
	r.Length = int32(len(r.AppendTo(nil)) - lengthEnd)
	h, err := ParseHeader(r.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	crc := int32(-5)
	want := Header{
		BaseOffset: 1 << 40, Length: r.Length, LeaderEpoch: 7, Magic: 2, CRC: uint32(crc), Attributes: 0x7f,
		LastOffsetDelta: 11, BaseTimestamp: 123456789, MaxTimestamp: 987654321, ProducerID: 1 << 50,
		ProducerEpoch: 300, BaseSequence: math.MaxInt32 - 3, Count: 12,
	}
	if h != want {
		t.Fatalf("got  %+v\nwant %+v", h, want)
	}
	if h.Size() != HeaderSize+3 || h.LastOffset() != 1<<40+11 || !h.Dense() {
		t.Fatal(h.Size(), h.LastOffset(), h.Dense())
	}
}

// TestSetters writes every field and reads it back through kmsg.
func TestSetters(t *testing.T) {
	b := testBatch(0, 3, "value")
	b.SetBaseOffset(1 << 41)
	b.SetLeaderEpoch(9)
	b.SetAttributes(AttrLogAppendTime | 3)
	b.SetProducer(77, 6, 5)
	b.SetTimestamps(10, 20)
	b.SetLastOffsetDelta(30)
	b.SetCount(4)
	b.SetLength()
	b.UpdateCRC()
	r := kmsgBatch(t, b)
	if r.FirstOffset != 1<<41 || r.PartitionLeaderEpoch != 9 || r.Attributes != 0x0b || r.ProducerID != 77 ||
		r.ProducerEpoch != 6 || r.FirstSequence != 5 || r.FirstTimestamp != 10 || r.MaxTimestamp != 20 ||
		r.LastOffsetDelta != 30 || r.NumRecords != 4 || int(r.Length) != len(b)-lengthEnd {
		t.Fatalf("%+v", r)
	}
	if b.BaseOffset() != 1<<41 || b.LastOffset() != 1<<41+30 || b.LeaderEpoch() != 9 || b.Count() != 4 ||
		b.Attributes() != 0x0b || b.MaxTimestamp() != 20 || b.Magic() != 2 {
		t.Fatalf("%+v", b.Header())
	}
	if err := b.VerifyCRC(); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyCRC(t *testing.T) {
	b := testBatch(5, 3, "value")
	for _, at := range []int{posBaseOffset, posLeaderEpoch} { // not covered
		b[at]++
		if err := b.VerifyCRC(); err != nil {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for _, at := range []int{posCRC, posAttributes, posProducerID, posCount, len(b) - 1} {
		b[at]++
		if err := b.VerifyCRC(); !errors.Is(err, ErrCorruptBatch) {
			t.Errorf("byte %d: %v", at, err)
		}
		b[at]--
	}
}

func TestRewrite(t *testing.T) {
	b := testBatch(1000, 3, "value")
	b.SetLeaderEpoch(4)
	b.SetAttributes(0x7f)
	b.UpdateCRC()
	before := append(Batch(nil), b...)
	Rewrite(b, 42, 1, 99)
	want := before.Header()
	want.BaseOffset, want.LeaderEpoch, want.ProducerID, want.ProducerEpoch, want.BaseSequence = 0, -1, 42, 1, 99
	want.Attributes = 0x7f &^ 0x50 // transactional 0x10, delete horizon 0x40
	got := b.Header()
	if err := b.VerifyCRC(); err != nil {
		t.Fatal(err)
	}
	want.CRC = got.CRC
	if got != want || !bytes.Equal(b[HeaderSize:], before[HeaderSize:]) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// TestRewriteAnySize compares the CRC that Rewrite carries along with one
// computed anew, and leaves damage visible.
func TestRewriteAnySize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 1<<22; n += 1 + n/2 {
		b := append(testBatch(1<<40, 1, ""), make([]byte, n)...)
		for i := range b[HeaderSize:] {
			b[HeaderSize+i] = byte(r.Uint32())
		}
		b.SetAttributes(Attributes(r.Uint32() & 0x7f))
		b.UpdateCRC()
		Rewrite(b, r.Int64(), int16(r.Int32()), r.Int32())
		if err := b.VerifyCRC(); err != nil {
			t.Fatalf("%d bytes of records: %v", n, err)
		}
		b[len(b)-1] ^= 1
		Rewrite(b, 1, 2, 3)
		if b.VerifyCRC() == nil {
			t.Fatalf("%d bytes of records: rewriting hid damage", n)
		}
	}
}

func TestNextBatch(t *testing.T) {
	one, two := testBatch(0, 2, "a"), testBatch(2, 3, "bb")
	both := append(append([]byte(nil), one...), two...)
	for cut := range len(both) + 1 {
		var got []int64
		for rest := both[:cut]; ; {
			b, next, err := NextBatch(rest)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if b == nil {
				if next != nil {
					t.Fatalf("cut at %d: rest behind a partial batch", cut)
				}
				break
			}
			got, rest = append(got, b.BaseOffset()), next
		}
		want := 0
		if cut >= len(one) {
			want++
		}
		if cut == len(both) {
			want++
		}
		if len(got) != want {
			t.Fatalf("cut at %d: %d batches, want %d", cut, len(got), want)
		}
	}
	b, _, _ := NextBatch(both)
	if cap(b) != len(one) {
		t.Fatal("appending to a batch would overwrite the next one")
	}
}

// TestNextOldBatch walks over messages of formats 0 and 1 as kmsg makes them, and
// refuses what is too short for one, and later formats.
func TestNextOldBatch(t *testing.T) {
	of := map[byte][]byte{}
	zero := kmsg.MessageV0{Offset: 12, Key: []byte("k"), Value: []byte("v")}
	one := kmsg.MessageV1{Offset: 12, Magic: 1, Timestamp: 77, Key: []byte("k"), Value: []byte("v")}
	of[0], of[1] = zero.AppendTo(nil), one.AppendTo(nil)
	for magic, old := range of {
		binary.BigEndian.PutUint32(old[posLength:], uint32(len(old)-lengthEnd))
		b, rest, err := NextBatch(append(bytes.Clone(old), testBatch(13, 1, "x")...))
		if err != nil || b.Magic() != int8(magic) || b.BaseOffset() != 12 || len(b) != len(old) || len(rest) == 0 {
			t.Fatal(b, err)
		}
		if h, err := ParseHeader(old); err != nil || h.BaseOffset != 12 || h.LastOffset() != 12 || h.MaxTimestamp != map[byte]int64{0: -1, 1: 77}[magic] {
			t.Fatal(h, err)
		}
		if key, value, ok := keyValue(b); !ok || string(key) != "k" || string(value) != "v" {
			t.Errorf("format %d: key %q, value %q", magic, key, value)
		}
		short := bytes.Clone(old[:leastSize(int8(magic))-1])
		binary.BigEndian.PutUint32(short[posLength:], uint32(len(short)-lengthEnd))
		if _, _, err := NextBatch(short); !errors.Is(err, ErrCorruptBatch) {
			t.Errorf("format %d in %d bytes: %v", magic, len(short), err)
		}
		old[posMagic] = 3
		if b, rest, err := NextBatch(append(old, 1)); !errors.Is(err, ErrUnsupportedFormat) || b == nil || len(rest) != 1 {
			t.Errorf("format 3: %v", err)
		}
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	for name, change := range map[string]func(Batch) Batch{
		"negative base offset":      func(b Batch) Batch { b.SetBaseOffset(-1); return b },
		"negative last delta":       func(b Batch) Batch { b.SetLastOffsetDelta(-1); return b },
		"offsets past the end":      func(b Batch) Batch { b.SetBaseOffset(math.MaxInt64); return b },
		"negative count":            func(b Batch) Batch { b.SetCount(-1); return b },
		"more records than offsets": func(b Batch) Batch { b.SetCount(4); return b },
		"negative length":           func(b Batch) Batch { binary.BigEndian.PutUint32(b[posLength:], 1<<31); return b },
		"length below a header's":   func(b Batch) Batch { binary.BigEndian.PutUint32(b[posLength:], 48); return b },
		"cut off":                   func(b Batch) Batch { return b[:len(b)-1] },
		"empty":                     func(b Batch) Batch { return nil },
	} {
		if _, err := ParseHeader(change(testBatch(0, 3, "value"))); !errors.Is(err, ErrCorruptBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := testBatch(5, 3, "")
	empty.SetCount(0) // what the cleaner leaves of a producer's last batch
	if h, err := ParseHeader(empty); err != nil || h.Dense() {
		t.Errorf("emptied batch: %v, dense %v", err, h.Dense())
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(testBatch(0, 2, "a")))
	f.Add([]byte(append(testBatch(0, 2, "a"), testBatch(2, 1, "b")...)))
	f.Add([]byte(testBatch(0, 2, "a"))[:40])
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, blob []byte) {
		total := 0
		for rest := blob; ; {
			b, next, err := NextBatch(rest)
			if b == nil {
				break
			}
			total += len(b)
			if total > len(blob) || len(b)+len(next) != len(rest) {
				t.Fatalf("batches of %d bytes in a blob of %d", total, len(blob))
			}
			rest = next
			if err != nil {
				continue
			}
			h, err := ParseHeader(b)
			if err != nil {
				continue
			}
			if b.LastOffset() != h.LastOffset() || b.Attributes() != h.Attributes || b.MaxTimestamp() != h.MaxTimestamp || b.Count() != h.Count {
				t.Fatalf("%+v", h)
			}
			if b.Old() {
				continue
			}
			if h.Size() != len(b) || h.LastOffset() < h.BaseOffset || h.Count < 0 {
				t.Fatalf("%+v", h)
			}
			records := append([]byte(nil), b[HeaderSize:]...)
			b.UpdateCRC()
			Rewrite(b, 1, 2, 3)
			if b.VerifyCRC() != nil || !bytes.Equal(records, b[HeaderSize:]) {
				t.Fatal("rewriting broke the batch")
			}
		}
	})
}

func BenchmarkVerifyAndRewrite(b *testing.B) {
	batch := testBatch(0, 256, string(bytes.Repeat([]byte("v"), 1000)))
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.VerifyCRC(); err != nil {
			b.Fatal(err)
		}
		Rewrite(batch, 1, 0, 5)
	}
}
