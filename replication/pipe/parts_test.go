package pipe

import (
	"fmt"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/recovery"
	"sluice/replication/rewrite"
	"sluice/test/oracle"
)

// heavy is a batch of records [from, to) with values of so many bytes.
func heavy(from, to int64, size int, codec record.Attributes) oracle.Source {
	s := of(data(from, to), -1, codec)
	for i := range s.Entries {
		s.Entries[i].Value = []byte(strings.Repeat(fmt.Sprintf("%05d ", s.Entries[i].Offset), size/6))
	}
	return s
}

// TestSplitsWhatTheTargetDoesNotTake: a batch that is larger than what the
// target takes becomes several, with the offsets and sequences of one; others
// stay as they are.
func TestSplitsWhatTheTargetDoesNotTake(t *testing.T) {
	stamped := heavy(10, 16, 600, record.AttrLogAppendTime)
	stamped.MaxStamp = wall
	wrapper := oracle.Old{Magic: 1, Codec: record.CodecGzip, Entries: heavy(10, 16, 600, 0).Entries}.Encode(t)
	half := len(heavy(10, 16, 600, 0).Encode(t))/2 + 120
	for _, c := range []struct {
		name    string
		mapping fsm.Mapping
		records []byte
		fits    int
		queue   string
	}{
		{"not known", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, heavy(10, 16, 600, 0)), 0, "[10,16)@10: 10 11 12 13 14 15"},
		{"it fits", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, heavy(10, 16, 600, 0)), 2 * half, "[10,16)@10: 10 11 12 13 14 15"},
		{"halves, and one that fits", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, heavy(10, 16, 600, 0), data(16, 17)), half, "[10,13)@10: 10 11 12; [13,16)@13: 13 14 15; [16,17)@16: 16"},
		{"resumed inside", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, heavy(6, 14, 600, 0)), half, "[10,13)@10: 10 11 12; [13,14)@13: 13"},
		{"less than one record", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, heavy(10, 12, 600, 0)), 5, "[10,11)@10: 10; [11,12)@11: 11"},
		{"one record, as it is", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, heavy(10, 11, 600, 0)), 5, "[10,11)@10: 10"},
		{"append time", mapping(fsm.PhaseDense, seg(0, 0)), encoded(t, stamped), half, "[10,13)@10: 10 11 12; [13,16)@13: 13 14 15"},
		{"a wrapper of format 1", mapping(fsm.PhaseDense, seg(0, 0)), wrapper, 4 * len(wrapper) / 5, "[10,15)@10: 10 11 12 13 14; [15,16)@15: 15"},
		{"translated, with gaps", mapping(fsm.PhaseTranslated, seg(0, 0), seg(4, 2)), encoded(t, oracle.Source{Base: 10, LastDelta: 9, Producer: -1, Entries: append(heavy(11, 13, 600, 0).Entries, heavy(15, 17, 600, 0).Entries...)}), half, "[10,16)@8: 11 12 15; [16,20)@11: 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := int64(10)
			if c.mapping.Phase == fsm.PhaseTranslated {
				target = 8
			}
			p := begin(c.mapping, 10, target)
			p.maxBatch = c.fits
			memory := &counted{}
			take(p, memory, c.records)
			sound(t, p)
			if got := queue(t, p); got != c.queue || memory.held != p.out.queue.len() {
				t.Errorf("waits: %s, want %s; memory is held %d times", got, c.queue, memory.held)
			}
			drain(t, p)
			if p.Life() != Taking || p.done.progress.Source != p.in.cursor.Source {
				t.Errorf("%s with the fault %+v; progress %+v, cursor %+v", p.Life(), p.fault, p.done.progress, p.in.cursor)
			}
		})
	}
}

// TestSplitsCompressedBatches by how they compress: parts are about as large as
// what fits, not what decompresses to that.
func TestSplitsCompressedBatches(t *testing.T) {
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		raw := heavy(10, 210, 600, codec)
		batch := raw.Encode(t)
		p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
		p.maxBatch = len(batch) / 2
		take(p, &counted{}, batch)
		sound(t, p)
		if n := p.out.queue.len(); n < 2 || n > 4 {
			t.Errorf("codec %d: %d parts of a batch of which half fits", codec, n)
		}
		for _, it := range p.out.queue.all() {
			if len(it.batch) > p.maxBatch*5/4 {
				t.Errorf("codec %d: a part of %d bytes, %d fit", codec, len(it.batch), p.maxBatch)
			}
		}
	}
}

// TestTooLarge: of a batch of several records half is tried next, and that is
// remembered; a single record stops the stream, and what was known of the
// target's limit is forgotten.
func TestTooLarge(t *testing.T) {
	refused := recovery.Faulty(recovery.Blocked, fsm.CodeRecordTooLarge, "too large")
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	take(p, &counted{}, encoded(t, heavy(10, 14, 600, 0)))
	size := p.NextSize()
	pop(t, p)
	p.Refused(refused)
	r := p.Result()
	if f := r.Fault; f.Kind != recovery.TooLarge || f.Fits != size/2 || f.Range != recovery.None() {
		t.Fatalf("%+v, half of %d bytes is to be tried", f, size)
	}
	m := r.Remember(recovery.Memory{})
	if m.Fits != size/2 {
		t.Errorf("%d bytes are remembered, want %d", m.Fits, size/2)
	}
	p = begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	p.maxBatch = 10
	take(p, &counted{}, encoded(t, heavy(10, 14, 600, 0)))
	pop(t, p)
	p.Acknowledged(10, at())
	pop(t, p)
	p.Refused(refused)
	r = p.Result()
	if f := r.Fault; f.Kind != recovery.Blocked || f.Code != fsm.CodeRecordTooLarge || !f.Source || f.Range != (recovery.Range{From: 11, To: 12}) {
		t.Errorf("a single record: %+v", f)
	}
	if m = r.Remember(m); m.Fits != 0 {
		t.Errorf("%d bytes are remembered after a stop", m.Fits)
	}
	m.Fits = 7
	if m = (&Result{Fault: recovery.Faulty(recovery.Unsure, fsm.CodeStarting, "")}).Remember(m); m.Fits != 7 {
		t.Errorf("%d bytes are remembered after something else", m.Fits)
	}
}

// TestGoesOnPastARecordInsideABatch: the mapping knows a gap that begins and ends
// inside a batch, as after a record that was too large; what was skipped then is
// skipped again when the target has lost what stands before it.
func TestGoesOnPastARecordInsideABatch(t *testing.T) {
	m := mapping(fsm.PhaseDense, seg(0, 0), seg(13, 12), seg(15, 13))
	for _, records := range [][]byte{encoded(t, data(10, 17)), encoded(t, data(8, 17)), old(t, 1, record.CodecGzip, span(9, 17)...), old(t, 0, record.CodecNone, span(10, 17)...)} {
		p := begin(m, 10, 10)
		take(p, &counted{}, records)
		sound(t, p)
		if got, want := queue(t, p), "[10,12)@10: 10 11; [13,14)@12: 13; [15,17)@13: 15 16"; got != want {
			t.Errorf("waits: %s, want %s", got, want)
		}
	}
}

// TestPartsBeforeDamageGo: a batch to be split whose last record cannot be read,
// though its CRC fits.
func TestPartsBeforeDamageGo(t *testing.T) {
	b := heavy(10, 16, 600, 0).Encode(t)
	b = append(b, 1)
	b.SetLength()
	b.UpdateCRC()
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	p.maxBatch = len(b) / 3
	take(p, &counted{}, b)
	sound(t, p)
	if got := queue(t, p); !strings.HasPrefix(got, "[10,") || p.Life() != Finishing {
		t.Fatalf("%s waits, %s", got, p.Life())
	}
	if f := p.fault; f.Code != fsm.CodeCorruptBatch || f.Range != (recovery.Range{From: p.in.cursor.Source, To: 16}) || p.in.cursor.Source < 12 {
		t.Errorf("%+v, cursor %+v", f, p.in.cursor)
	}
	drain(t, p)
	if !p.Over() {
		t.Error("it goes on")
	}
}

// TestOldFormatsAreKeptExactly: keys and values null and empty, and timestamps:
// none is -1, that of the broker stands for all.
func TestOldFormatsAreKeptExactly(t *testing.T) {
	es := []oracle.Entry{
		{Offset: 10, Timestamp: 1_500_000_000, Key: nil, Value: nil}, {Offset: 11, Timestamp: 1_500_000_000_000_000, Key: []byte{}, Value: []byte{}},
		{Offset: 12, Timestamp: -1, Key: []byte("k"), Value: []byte("v")},
	}
	for magic := range int8(2) {
		for codec := record.CodecNone; codec <= record.CodecLZ4; codec++ {
			for _, appended := range []int64{0, wall} {
				s := oracle.Old{Magic: magic, Codec: codec, Java: true, AppendTime: appended * int64(magic), Entries: es}
				p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
				take(p, &counted{}, s.Encode(t))
				if p.out.queue.len() != 1 {
					t.Fatalf("format %d, codec %d: %d batches, %+v", magic, codec, p.out.queue.len(), p.fault)
				}
				rb, got := oracle.Decode(t, p.out.queue.at(0).batch)
				for i := range got {
					got[i].Offset += 10
				}
				if want := s.Read(); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) || rb.Attributes != int16(codec) {
					t.Errorf("format %d, codec %d, append time %d: attributes %d\ngot  %+v\nwant %+v", magic, codec, appended, rb.Attributes, got, want)
				}
			}
		}
	}
}

// TestOldFormatsAskForRoom: a wrapper is opened once the memory for it is there.
func TestOldFormatsAskForRoom(t *testing.T) {
	s := oracle.Old{Magic: 1, Codec: record.CodecGzip, Entries: heavy(10, 30, 6000, 0).Entries}.Encode(t)
	p := begin(mapping(fsm.PhaseDense, seg(0, 0)), 10, 10)
	a := &Arrival{Records: append(old(t, 0, record.CodecNone, 9), s...), Memory: &counted{}}
	r := rewrite.NewRebuilder()
	room := p.Take(a, nil)
	if room != 4*len(s) || p.Held() != len(s) {
		t.Fatalf("room of %d bytes is to be tried, %d are to come", room, p.Held())
	}
	for r.Room = 10; room > 0; r.Room = room {
		room = p.Take(a, r)
	}
	if got := queue(t, p); !strings.HasPrefix(got, "[10,30)@10: 10 11") || p.Held() != p.out.queued {
		t.Errorf("waits: %s", got)
	}
}
