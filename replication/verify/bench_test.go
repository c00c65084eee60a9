package verify

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"testing"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
	"sluice/replication/offsets"
	"sluice/test/oracle"
)

// BenchmarkCompare digests and compares both sides of a partition whose
// batches hold 256 records of 1 KB; bytes are those of both sides, compressed.
func BenchmarkCompare(b *testing.B) {
	for _, codec := range []record.Attributes{record.CodecNone, record.CodecLZ4, record.CodecZstd} {
		b.Run(fmt.Sprint(codec), func(b *testing.B) {
			var builder record.Builder
			value := bytes.Repeat([]byte("some text that compresses well; "), 32)
			for i := range 256 {
				copy(value, fmt.Append(nil, i))
				builder.Add(&record.Record{Timestamp: int64(i), Key: fmt.Append(nil, "key", i), Value: value})
			}
			batch, err := record.NewCodec().Build(nil, codec, &builder)
			if err != nil {
				b.Fatal(err)
			}
			j := &Job{seed: maphash.MakeSeed(), limits: DefaultConfig().Limits}
			readers := [2]*reader{j.reader(nil, catalog.Partition{}, 0, 256), j.reader(nil, catalog.Partition{}, 0, 256)}
			b.SetBytes(2 * int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				c := &comparison{alone: alone{mapping: offsets.Translate(&fsm.Mapping{Segments: oracle.Segments(0, 0)}), tally: tally{maxFaults: 20}}}
				var sides [2][]item
				for i, r := range readers {
					r.next = 0
					if sides[i], err = r.digest(b.Context(), &kafka.FetchedPartition{Records: batch}); err != nil {
						b.Fatal(err)
					}
				}
				c.push(sides[0], sides[1], true, true)
				if c.counts != (Counts{Compared: 256}) {
					b.Fatalf("%+v", c.counts)
				}
			}
		})
	}
}
