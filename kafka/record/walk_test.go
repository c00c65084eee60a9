package record

import (
	"errors"
	"slices"
	"testing"
)

func TestWalk(t *testing.T) {
	var data []byte
	for i := range 3 {
		var b Builder
		for _, v := range []string{"x", "y"} {
			b.Add(&Record{Value: []byte(v)})
		}
		batch, err := NewCodec().Build(nil, CodecZstd, &b)
		if err != nil {
			t.Fatal(err)
		}
		batch.SetBaseOffset(int64(i) * 2)
		data = append(data, batch...)
	}
	walk := func(data []byte) (offsets []int64, err error) {
		for batch, err := range Batches(data) {
			if err != nil {
				return offsets, err
			}
			rs, err := NewCodec().Open(batch, nil, 1<<20)
			if err != nil {
				return offsets, err
			}
			for rec, err := range rs.All() {
				if err != nil {
					return offsets, err
				}
				offsets = append(offsets, rec.Offset)
			}
		}
		return offsets, nil
	}
	if got, err := walk(data); err != nil || !slices.Equal(got, []int64{0, 1, 2, 3, 4, 5}) {
		t.Error(got, err)
	}
	if got, err := walk(data[:len(data)-1]); err != nil || !slices.Equal(got, []int64{0, 1, 2, 3}) {
		t.Error("cut off at the end:", got, err)
	}
	bad := slices.Clone(data)
	bad[len(data)/3+posMagic] = 3
	if got, err := walk(bad); !errors.Is(err, ErrUnsupportedFormat) || len(got) != 2 {
		t.Error(got, err)
	}
	for range Batches(data) {
		break // a reader may stop where it likes
	}
	batch, _, err := NextBatch(data)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := NewCodec().Open(batch, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	rs.in.b = rs.in.b[:len(rs.in.b)-1]
	count := 0
	for _, err := range rs.All() {
		if count++; count == 2 && !errors.Is(err, ErrCorruptBatch) || count > 2 {
			t.Error(count, err)
		}
	}
}
