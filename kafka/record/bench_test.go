package record_test

import (
	"testing"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

func BenchmarkOpen(b *testing.B) {
	for codec, name := range codecNames {
		b.Run(name, func(b *testing.B) {
			batch := oracle.Compressible(b, 1<<40, record.Attributes(codec))
			c := record.NewCodec()
			var scratch []byte
			var rec record.Record
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
