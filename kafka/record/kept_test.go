package record

import (
	"runtime"
	"testing"
)

// TestCodecKeepsLittle: whatever a codec has been used for, it keeps little of
// it.
func TestCodecKeepsLittle(t *testing.T) {
	for codec := CodecGzip; codec <= CodecZstd; codec++ {
		for _, size := range []int{100 << 10, 1 << 20, 32 << 20} {
			var b Builder
			value := make([]byte, size)
			for i := range value {
				value[i] = byte(i * i >> 7) // compresses a little
			}
			b.Add(&Record{Value: value})
			c := NewCodec()
			before := live()
			used(t, c, codec, &b)
			if kept := live() - before; kept > MaxKept {
				t.Errorf("codec %d keeps %d bytes after a batch of %d", codec, kept, size)
			} else {
				t.Logf("codec %d keeps %d bytes after a batch of %d", codec, kept, size)
			}
			runtime.KeepAlive(c)
			runtime.KeepAlive(&b)
		}
	}
}

// used builds a batch and opens it.
func used(t *testing.T, c *Codec, codec Attributes, b *Builder) {
	t.Helper()
	batch, err := c.Build(nil, codec, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(batch, nil, 2*b.Size()); err != nil {
		t.Fatal(err)
	}
}

// live is the size of the heap without what is garbage.
func live() int64 {
	runtime.GC()
	runtime.GC() // what pools had put aside
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
