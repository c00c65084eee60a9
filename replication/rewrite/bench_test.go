package rewrite

import (
	"bytes"
	"fmt"
	"testing"

	"sluice/kafka"
)

// benchBatch is 256 records of 1 KB that compress about 2:1.
func benchBatch(b *testing.B, codec kafka.Attributes) kafka.Batch {
	s := source{base: 1 << 40, attributes: codec}
	for i := range 256 {
		value := make([]byte, 1024)
		x := uint32(i + 1)
		for j := range value[:512] {
			x = x*1664525 + 1013904223
			value[j] = byte(x >> 24)
		}
		s.entries = append(s.entries, entry{Offset: s.base + int64(i), Timestamp: 1_700_000_000_000 + int64(i), Key: fmt.Append(nil, "key-", i), Value: value})
	}
	return s.encode(b)
}

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

func BenchmarkOpen(b *testing.B) {
	for codec, name := range codecNames {
		b.Run(name, func(b *testing.B) {
			batch := benchBatch(b, kafka.Attributes(codec))
			c := NewCodec()
			var scratch []byte
			var rec Record
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				rs, err := c.Open(batch, scratch, plenty)
				if err != nil {
					b.Fatal(err)
				}
				for more := true; more && err == nil; {
					more, err = rs.Next(&rec)
				}
				if err != nil {
					b.Fatal(err)
				}
				scratch = rs.Scratch
			}
		})
	}
}

func BenchmarkRebuild(b *testing.B) {
	for codec, name := range codecNames {
		b.Run(name, func(b *testing.B) {
			batch := benchBatch(b, kafka.Attributes(codec))
			c := NewCodec()
			dst := make([]byte, 0, 1<<20)
			job := Job{Batches: []kafka.Batch{bytes.Clone(batch)}, Cursor: Cursor{Source: 1<<40 + 7}, Budget: plenty}
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Rebuild(job, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
