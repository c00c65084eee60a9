package stream_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/stream"
	"sluice/test/oracle"
	"sluice/test/rig"
)

// bomb is bytes that decompress to very many.
func bomb(t *testing.T, codec record.Attributes, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	write := func(w interface {
		Write(p []byte) (int, error)
		Close() error
	}, err error) {
		t.Helper()
		zeros := make([]byte, 1<<20)
		for n := 0; n < size && err == nil; n += len(zeros) {
			_, err = w.Write(zeros)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	switch codec {
	case record.CodecGzip:
		write(gzip.NewWriter(&out), nil)
	case record.CodecLZ4:
		write(lz4.NewWriter(&out), nil)
	case record.CodecZstd:
		write(zstd.NewWriter(&out))
	case record.CodecSnappy: // it says so, and that is enough
		out.Write(binary.AppendUvarint(nil, uint64(size)))
		out.Write([]byte{0, 0})
	}
	return out.Bytes()
}

// hostile are answers that no sound broker gives, each with what the stream has to
// say of it.
func hostile(t *testing.T) map[string]struct {
	log  []byte
	code fsm.Code
	to   int64
} {
	const size = 512 << 20
	now := func(int64) int64 { return time.Now().UnixMilli() }
	// stamped has to be opened.
	stamped := func(change func(record.Batch) record.Batch) []byte {
		s := oracle.Source{Producer: -1, Attributes: record.AttrLogAppendTime, MaxStamp: now(0), Entries: numbered(0, 6, now)}
		b := change(s.Encode(t))
		b.SetLength()
		b.UpdateCRC()
		return b
	}
	body := func(codec record.Attributes, records []byte) []byte {
		return stamped(func(b record.Batch) record.Batch {
			b.SetAttributes(record.AttrLogAppendTime | codec)
			return append(b[:record.HeaderSize:record.HeaderSize], records...)
		})
	}
	at := func(pos int, bytes ...byte) func(record.Batch) record.Batch {
		return func(b record.Batch) record.Batch { copy(b[pos:], bytes); return b }
	}
	plain := oracle.Source{Producer: -1, Entries: numbered(0, 6, now)}.Encode(t)
	flipped := bytes.Clone(plain)
	flipped[len(flipped)-3] ^= 4
	old := func(magic int8, codec record.Attributes, value []byte) []byte {
		return oracle.Message(oracle.Entry{Offset: 5, Timestamp: now(0), Value: value}, magic, byte(codec))
	}
	type answer = struct {
		log  []byte
		code fsm.Code
		to   int64
	}
	all := map[string]answer{
		"a wrong crc":                             {flipped, fsm.CodeCorruptBatch, 6},
		"a negative length":                       {at(8, 0xff, 0xff, 0xff, 0xff)(bytes.Clone(plain)), fsm.CodeCorruptBatch, 1},
		"a length of nothing":                     {at(8, 0, 0, 0, 0)(bytes.Clone(plain)), fsm.CodeCorruptBatch, 1},
		"a length of two gigabytes":               {at(8, 0x7f, 0xff, 0xff, 0xff)(bytes.Clone(plain)), fsm.CodeCorruptBatch, 1},
		"a format that nobody knows":              {at(16, 77)(bytes.Clone(plain)), fsm.CodeUnsupportedFormat, 1},
		"a negative offset":                       {stamped(at(0, 0x80)), fsm.CodeCorruptBatch, 1},
		"two billion records":                     {stamped(at(57, 0x7f, 0xff, 0xff, 0xff)), fsm.CodeCorruptBatch, 6},
		"two billion records and offsets":         {stamped(func(b record.Batch) record.Batch { b.SetLastOffsetDelta(1<<31 - 2); b.SetCount(1<<31 - 1); return b }), fsm.CodeCorruptBatch, 1<<31 - 1},
		"a negative number of records":            {stamped(at(57, 0xff, 0xff, 0xff, 0xff)), fsm.CodeCorruptBatch, 6},
		"a record longer than its batch":          {stamped(at(record.HeaderSize, 0xfe, 0xff, 0xff, 0xff, 0x0f)), fsm.CodeCorruptBatch, 6},
		"a record of negative length":             {stamped(at(record.HeaderSize, 1)), fsm.CodeCorruptBatch, 6},
		"a varint that does not end":              {stamped(at(record.HeaderSize, bytes.Repeat([]byte{0xff}, 12)...)), fsm.CodeCorruptBatch, 6},
		"a record that is cut off":                {stamped(func(b record.Batch) record.Batch { return b[:len(b)-5] }), fsm.CodeCorruptBatch, 6},
		"a message of negative length":            {at(8, 0x80)(old(1, 0, []byte("v"))), fsm.CodeCorruptBatch, 1},
		"a message with a wrong crc":              {at(12, 1, 2, 3, 4)(oracle.Message(oracle.Entry{}, 0, 0)), fsm.CodeCorruptBatch, 1},
		"a wrapper of two billion bytes":          {old(1, record.CodecSnappy, bomb(t, record.CodecSnappy, 1<<31)), fsm.CodeOverBudget, 6},
		"a wrapper in a wrapper, and so on":       {old(0, record.CodecGzip, bomb(t, record.CodecGzip, size)), fsm.CodeOverBudget, 6},
		"a wrapper that decompresses to too much": {old(0, record.CodecLZ4, bomb(t, record.CodecLZ4, size)), fsm.CodeOverBudget, 6},
	}
	for codec := record.CodecGzip; codec <= record.CodecZstd; codec++ {
		all[fmt.Sprintf("half a gigabyte in codec %d", codec)] = answer{body(codec, bomb(t, codec, size)), fsm.CodeOverBudget, 6}
	}
	return all
}

// TestHostileBatches: whatever a source answers for a partition is named, stops
// that stream and no other of its link, and takes no more memory than a small
// node has.
func TestHostileBatches(t *testing.T) {
	for name, c := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			src := rig.Kfake(t, "source", 1)
			_, dst := rig.Embedded(t)
			p := rig.NewPair(t, src.ListenAddrs(), dst, fsm.LinkSpec{}, map[string]int32{"orders": 1, "pay": 1}, "n1")
			p.Produce(t, "orders", 0, 0, 6)
			serve(src, 6, c.log)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, _ := p.Runner(t, "n1", func(c *stream.Config) { c.Memory = 16 << 20 })
			p.Own(t, r, "n1")
			orders := func() *fsm.Task {
				for task := range p.View().Tasks {
					if task.Kind == fsm.KindCopy && task.Copy.Stream.Topic == "orders" {
						return task
					}
				}
				return nil
			}
			rig.Until(t, 30*time.Second, "it stops", func() bool { return orders().Copy.Stop != nil })
			if st := orders().Copy.Stop; st.Code != c.code || st.From != 0 || st.To != c.to || st.Target || st.Message == "" {
				t.Errorf("stopped by %+v, want %s [0, %d)", st, c.code, c.to)
			}
			p.Produce(t, "pay", 0, 0, 20)
			p.Copied(t, "pay", 0, 20, 0)
			if end := p.End(t, "orders", 0); end != 0 {
				t.Errorf("the target ends at %d", end)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 128<<20 {
				t.Errorf("%d MiB were allocated", got>>20)
			}
		})
	}
}
