package filler

import (
	"testing"

	"sluice/kafka/record"
)

// TestWrote tells a filler's batches from those of other transactions.
func TestWrote(t *testing.T) {
	build := func(codec record.Attributes, key string, more record.Attributes) record.Batch {
		var records record.Builder
		for range 3 {
			records.Add(&record.Record{Key: []byte(key)})
		}
		b, err := record.NewCodec().Build(nil, codec, &records)
		if err != nil {
			t.Fatal(err)
		}
		b.SetAttributes(codec | more)
		b.UpdateCRC()
		return b
	}
	own, err := forge(3, 5)
	if err != nil {
		t.Fatal(err)
	}
	own.UpdateCRC()
	damaged := append(record.Batch(nil), own...)
	damaged[len(damaged)-1]++
	for _, c := range []struct {
		name  string
		batch record.Batch
		want  bool
	}{
		{"its own", own, true},
		{"its own, compressed by the broker", build(record.CodecGzip, key, record.AttrTransactional), true},
		{"a marker", build(record.CodecNone, "", record.AttrTransactional|record.AttrControl), true},
		{"records of somebody's transaction", build(record.CodecNone, "order", record.AttrTransactional), false},
		{"records without a transaction", build(record.CodecNone, key, 0), false},
		{"a damaged one", damaged, false},
	} {
		if got := Wrote(c.batch); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
