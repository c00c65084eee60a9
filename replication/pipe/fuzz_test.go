package pipe

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// FuzzTake: whatever a source answers, a pipe neither panics nor breaks what
// it promises, and all that it accepts can be sent. mend makes the CRC of every
// batch that of its bytes, so that more than the CRC is put to the test.
func FuzzTake(f *testing.F) {
	holes := oracle.Source{Base: 10, Producer: -1, LastDelta: 5, Entries: entries(11, 14)}
	appended := of(data(10, 12), -1, record.AttrLogAppendTime|record.CodecGzip)
	for _, seed := range [][]byte{
		encoded(f, data(8, 12), data(12, 13)),
		encoded(f, of(data(10, 12), 50, record.AttrTransactional), marker(12, 50, record.MarkerAbort), data(13, 14)),
		encoded(f, holes, oracle.Source{Base: 16, LastDelta: 3, Producer: -1}, data(20, 21)),
		encoded(f, appended),
		append(damaged(encoded(f, data(10, 12))), cut(encoded(f, data(12, 14)), 3)...),
		append(old(f, 1, record.CodecNone, 10, 11), old(f, 0, record.CodecLZ4, 12, 14)...),
		append(old(f, 0, record.CodecGzip, 8, 10), encoded(f, data(11, 12))...),
	} {
		f.Add(seed, int64(10), false, true)
		f.Add(seed, int64(50), true, true)
		f.Add(seed, int64(0), true, false)
		f.Add(seed, int64(0x17f), true, true)
	}
	f.Fuzz(func(t *testing.T, records []byte, txn int64, dense, mend bool) {
		fits := int(txn&0xff) << 2 // also small
		records = bytes.Clone(records)
		if mend {
			for rest := records; ; {
				b, r, err := record.NextBatch(rest)
				if err != nil || b == nil {
					break
				}
				if b.Old() {
					binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
				} else {
					b.UpdateCRC()
				}
				rest = r
			}
		}
		phase := fsm.PhaseTranslated
		if dense {
			phase = fsm.PhaseDense
		}
		m := mapping(phase, seg(0, 0))
		if dense && txn&0x100 != 0 { // it knows a gap
			m.Segments = append(m.Segments, seg(13, 12))
		}
		p := begin(m, 10, 10)
		p.skip, p.maxBatch = map[int64]bool{66: true}, fits
		memory, r := &counted{}, rewrite.NewRebuilder()
		r.Room = p.maxOpened
		for range 2 { // a broker may answer the same again
			a := Arrival{Records: bytes.Clone(records), Aborted: []record.AbortedTxn{{ProducerID: 50, FirstOffset: txn}}, Memory: memory}
			p.Take(&a, r)
			sound(t, p)
		}
		for p.Life() != Ended && p.Sendable() {
			if p.Next(at(), wall, always) != Ready {
				t.Fatal("with nothing in flight the next batch is not ready")
			}
			p.Pop(at())
			sound(t, p)
			p.Acknowledged(p.out.inFlight.at(0).sum.Target, at())
			sound(t, p)
		}
		if memory.held != 0 || p.Life() == Finishing || p.Life() == Ended && !p.Over() {
			t.Errorf("all is sent: memory is held %d times, it is %s", memory.held, p.Life())
		}
	})
}
