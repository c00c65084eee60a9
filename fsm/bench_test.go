package fsm

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkProgress applies a report of 1,000 moved streams among 10,000.
func BenchmarkProgress(b *testing.B) {
	d := tenThousand(b)
	p := &ProgressBatch{Node: d.s.View().Nodes[0].ID, At: 1_800_000_001_000}
	for i := range 1000 {
		p.Items = append(p.Items, ProgressItem{Task: TaskID(3*i + 2), Turn: 1, Version: 1, Progress: Progress{
			Source: 1<<33 + int64(i), SourceEpoch: 12, Target: 1<<33 + int64(i), TargetEpoch: 14, Records: 1<<32 + int64(i), At: 1_800_000_000_990,
		}})
	}
	data, err := Encode(p)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d.index++
		if _, err := d.s.Apply(d.index, data); err != nil {
			b.Fatal(err)
		}
	}
	if d.s.View().Task(2).Copy.Progress.At != 1_800_000_000_990 {
		b.Fatal("nothing was applied")
	}
	b.ReportMetric(float64(len(data))/1000, "bytes/item")
}

// BenchmarkAssign hands a dead node's third of 10,000 tasks over.
func BenchmarkAssign(b *testing.B) {
	d := tenThousand(b)
	var a Assign
	for i := range 3333 {
		a.Items = append(a.Items, Assignment{Task: TaskID(3*i + 2), Turn: 1, To: d.s.View().Nodes[1].ID})
	}
	data, err := Encode(&a)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	start := d.s
	for b.Loop() {
		s := *start
		if _, err := s.Apply(d.index+1, data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(data)), "bytes")
}

func BenchmarkSnapshot(b *testing.B) {
	v := tenThousand(b).s.View()
	data := snapshot(b, v)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := WriteSnapshot(io.Discard, v); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := ReadSnapshot(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
