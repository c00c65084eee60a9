package rewrite

import (
	"bytes"
	"testing"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

func BenchmarkRebuild(b *testing.B) {
	for codec, name := range codecNames {
		b.Run(name, func(b *testing.B) {
			batch := oracle.Compressible(b, 1<<40, record.Attributes(codec))
			c := NewRebuilder()
			dst := make([]byte, 0, 1<<20)
			job := Job{Batches: []record.Batch{bytes.Clone(batch)}, Cursor: Cursor{Source: 1<<40 + 7}}
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
