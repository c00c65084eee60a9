package rewrite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// TestUpgradeKeepsAll: offsets, keys, values, timestamps and the codec of
// messages of both formats, however they follow each other.
func TestUpgradeKeepsAll(t *testing.T) {
	r := NewRebuilder()
	rapid.Check(t, func(t *rapid.T) {
		var records []byte
		var want []oracle.Entry
		for base := rapid.Int64Range(0, 1<<40).Draw(t, "base"); len(records) == 0 || rapid.IntRange(0, 3).Draw(t, "more") > 0; {
			s := oracle.DrawOld(t, base, rapid.Bool().Draw(t, "dense"))
			records, want = append(records, s.Encode(t)...), append(want, s.Read()...)
			base = want[len(want)-1].Offset + 1 + int64(rapid.IntRange(0, 2).Draw(t, "between"))
		}
		behind := oracle.Source{Base: 1 << 41, Entries: oracle.At(1 << 41)}.Encode(t)
		var got []oracle.Entry
		rest := append(records, behind...)
		for len(rest) > len(behind) {
			first, before := record.Batch(rest), len(rest)
			b, next, err := r.Upgrade(rest)
			if err != nil || len(next) >= before {
				t.Fatal(err)
			}
			es, err := oracle.Read(r.Codec, b, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			h := b.Header()
			last := es[len(es)-1].Offset
			if h.BaseOffset != es[0].Offset || h.LastOffset() != last || int(h.Count) != len(es) || h.ProducerID != -1 || h.Attributes != first.Attributes()&record.AttrCodecMask {
				t.Fatalf("header %+v of records %d to %d", h, es[0].Offset, last)
			}
			got, rest = append(got, es...), next
		}
		if !reflect.DeepEqual(got, want) || !bytes.Equal(rest, behind) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// TestUpgradeJoinsMessages that follow each other, up to a size.
func TestUpgradeJoinsMessages(t *testing.T) {
	r := NewRebuilder()
	var es []oracle.Entry
	for i := range int64(1000) {
		es = append(es, oracle.Entry{Offset: i, Value: make([]byte, 1000)})
	}
	records := oracle.Old{Magic: 1, Entries: es}.Encode(t)
	var counts []int32
	for rest := records; len(rest) > 0; {
		var b record.Batch
		var err error
		if b, rest, err = r.Upgrade(rest); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, b.Count())
	}
	most := int32(mostOld / (len(records) / 1000))
	if want := []int32{most, most, most, 1000 - 3*most}; !slices.Equal(counts, want) {
		t.Errorf("batches of %v records, want %v", counts, want)
	}
}

// TestUpgradeStopsBeforeDamage: what stands before it goes; then it is an error.
func TestUpgradeStopsBeforeDamage(t *testing.T) {
	r := NewRebuilder()
	bad := oracle.Old{Entries: oracle.At(2)}.Encode(t)
	bad[len(bad)-1] ^= 1
	records := slices.Concat(oracle.Old{Entries: oracle.At(0, 1)}.Encode(t), bad)
	b, rest, err := r.Upgrade(records)
	if err != nil || b.Count() != 2 || !bytes.Equal(rest, bad) {
		t.Fatal(b, err)
	}
	if _, rest, err := r.Upgrade(rest); !errors.Is(err, record.ErrCorruptBatch) || !bytes.Equal(rest, bad) {
		t.Fatal(err)
	}
	r.Room = 100
	wide := oracle.Old{Codec: record.CodecGzip, Entries: []oracle.Entry{{Value: make([]byte, 200)}}}.Encode(t)
	if _, _, err := r.Upgrade(wide); !errors.Is(err, record.ErrOverBudget) {
		t.Fatal(err)
	}
}

// FuzzUpgrade makes batches of any bytes; what becomes of messages holds the
// records that they do.
func FuzzUpgrade(f *testing.F) {
	for codec := record.CodecNone; codec <= record.CodecLZ4; codec++ {
		for magic := range int8(2) {
			f.Add(oracle.Old{Magic: magic, Codec: codec, Java: true, Entries: oracle.At(5, 6, 9)}.Encode(f))
		}
	}
	r := NewRebuilder()
	r.Room = 1 << 20
	f.Fuzz(func(t *testing.T, data []byte) {
		records := bytes.Clone(data)
		for b := range record.Batches(records) { // else nothing would get past the CRC
			if b != nil && b.Old() {
				binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
			}
		}
		b, rest, err := r.Upgrade(records)
		if err != nil {
			if !errors.Is(err, record.ErrCorruptBatch) && !errors.Is(err, record.ErrOverBudget) || len(rest) != len(records) {
				t.Fatalf("%v, %d bytes of %d are left", err, len(rest), len(records))
			}
			return
		}
		var want, got []oracle.Entry
		for old, err := range record.Batches(records[:len(records)-len(rest)]) {
			if err != nil {
				t.Fatal(err)
			}
			es, err := oracle.Read(r.Codec, old, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, es...)
		}
		if b != nil {
			if got, err = oracle.Read(r.Codec, b, 2<<20); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}
